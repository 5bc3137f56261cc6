"""Training from scratch: the same model without pretraining, to measure what pretraining is worth."""

from har_jax.methods.method import Method

METHOD = Method(
  name='scratch',
  summary='trains every weight, from random weights',
  trains=lambda path, settings: path.startswith('params/'),
  pretrained=False,
)
