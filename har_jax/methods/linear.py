"""A linear head on the frozen encoder's features and on the window's statistics, by logistic regression.

The loss of logistic regression is convex: the fit takes a second, has no learning rate, and depends on no
seed. Encoder and statistics know different things: the first what the sources taught, the second what is
new in a device, a place or an activity.
"""

from har_jax.methods.method import Method, in_head

METHOD = Method(
  name='linear',
  summary="fits a linear head to the frozen encoder's features and the window's statistics",
  trains=lambda path, settings: in_head(path),
  fits_head=True,
  budget_place=3,
)
