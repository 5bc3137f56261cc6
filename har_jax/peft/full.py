"""Full fine-tuning: everything moves."""

from har_jax.peft.method import Method

METHOD = Method(
  name='full',
  summary='every weight moves',
  adapt=lambda variables, lora, key: variables,
  trains=lambda path, lora: path.startswith('params/'),
)
