"""Full fine-tuning: every weight trains."""

from har_jax.methods.method import Method

METHOD = Method(
  name='full',
  summary='trains every weight',
  trains=lambda path, settings: path.startswith('params/'),
)
