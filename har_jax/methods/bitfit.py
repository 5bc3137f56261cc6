"""BitFit: the biases of the encoder train, and the head.   Source: arXiv:2106.10199, section 3."""

from har_jax.methods.method import Method, in_head

METHOD = Method(
  name='bitfit',
  summary='trains the biases, and the head',
  trains=lambda path, settings: in_head(path) or (path.startswith('params/') and path.endswith('/bias')),
)
