"""A small encoder next to the frozen one, trained from random weights: the head takes the features of both.

The frozen encoder has what the sources taught, the small one what is new in a device, a place or an activity.
The small one is trained alone, with a head that is not kept: the base takes no part in a training step.
Source: side-tuning, arXiv:1912.13503, with features side by side in place of their weighted sum.
"""

from har_jax.methods.method import Method, in_head, in_side_encoder

METHOD = Method(
  name='side',
  summary='trains a small encoder, and fits a linear head to its features and those of `linear`',
  trains=lambda path, settings: in_head(path) or in_side_encoder(path),
  fits_head=True,
  side_width=64,
  budget_place=1,
)
