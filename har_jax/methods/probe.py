"""A frozen-encoder probe: only the head trains."""

from har_jax.methods.method import Method, in_head

METHOD = Method(
  name='probe',
  summary='trains the head on the frozen encoder',
  trains=lambda path, settings: in_head(path),
)
