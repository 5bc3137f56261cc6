"""A probe: the encoder stays as pretrained, the head alone moves."""

from har_jax.peft.method import Method, in_head

METHOD = Method(
  name='probe',
  summary='the head alone moves',
  adapt=lambda variables, lora, key: variables,
  trains=lambda path, lora: in_head(path),
)
