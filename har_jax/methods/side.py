"""A small encoder next to the frozen one, trained from random weights: the head takes the features of both.

The frozen encoder has what the sources taught, the small one what is new in a device, a place or an activity.
Source: side-tuning, arXiv:1912.13503, with features side by side in place of their weighted sum.
"""

from har_jax.methods.method import Method, in_head

METHOD = Method(
  name='side',
  summary='trains a small encoder next to the frozen one, and the head on both',
  trains=lambda path, settings: in_head(path) or path.startswith('params/side_encoder/'),
  side_width=64,
)
