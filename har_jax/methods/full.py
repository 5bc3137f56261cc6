"""Full fine-tuning: everything moves."""

from har_jax.methods.method import Method

METHOD = Method(
  name='full',
  summary='every weight moves',
  adapt=lambda variables, experiment, key: variables,
  trains=lambda path, experiment: path.startswith('params/'),
)
