"""A probe: the encoder stays as pretrained, the head alone moves."""

from har_jax.methods.method import Method, in_head

METHOD = Method(
  name='probe',
  summary='the head alone moves',
  adapt=lambda variables, experiment, key: variables,
  trains=lambda path, experiment: in_head(path),
)
