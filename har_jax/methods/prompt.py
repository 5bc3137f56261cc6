"""Deep prompt tuning: learned tokens that each block attends to.   Source: arXiv:2203.12119, section 3.2."""

import re

import jax

from har_jax.methods.method import Method, Settings, in_head, module_key
from har_jax.variables import Variables

_NORM = re.compile(r'params/(encoder/block_\d+)/norm_attention/scale')
_INIT_STD = 0.02  # as of the positions


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  """Adds tokens to each block. They change its attention, so the model does not start as it was."""
  added: Variables = {}
  for path, scale in variables.items():
    if block := _NORM.fullmatch(path):
      shape = (1, settings.methods.prompt_tokens, scale.size)
      added[f'prompt/{block[1]}/tokens'] = _INIT_STD * jax.random.normal(module_key(block[1], key), shape)
  return variables | added


METHOD = Method(
  name='prompt',
  summary='trains tokens that each block attends to, and the head',
  adapt=adapt,
  trains=lambda path, settings: in_head(path) or path.startswith('prompt/'),
  collections=('prompt',),
  unmerged='its tokens are inputs of the blocks',
)
