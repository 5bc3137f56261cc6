"""From scratch: the same model without pretraining, to tell what that is worth."""

from har_jax.methods.method import Method

METHOD = Method(
  name='scratch',
  summary='every weight moves, from a fresh start',
  adapt=lambda variables, experiment, key: variables,
  trains=lambda path, experiment: path.startswith('params/'),
  pretrained=False,
)
