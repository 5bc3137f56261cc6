"""Scale and bias of each layer norm of the encoder train, and the head.

Source: arXiv:2103.05247, section 2.
"""

import re

from har_jax.methods.method import Method, in_head

_NORM = re.compile(r'params/encoder/(.*/)?norm(_\w+)?/(scale|bias)')

METHOD = Method(
  name='norm',
  summary='trains scale and bias of the layer norms, and the head',
  trains=lambda path, settings: in_head(path) or bool(_NORM.fullmatch(path)),
)
