"""Partial fine-tuning: the last blocks train, the norm after them, and the head.

Source: arXiv:2111.06377, section 4.3.
"""

import re

from har_jax.methods.method import Method, Settings, in_head

_BLOCK = re.compile(r'params/encoder/block_(\d+)/.*')


def trains(path: str, settings: Settings) -> bool:
  if block := _BLOCK.fullmatch(path):
    return int(block[1]) >= settings.depth - settings.methods.partial_blocks
  return in_head(path) or path.startswith('params/encoder/norm/')


METHOD = Method(
  name='partial',
  summary='trains the last blocks, and the head',
  trains=trains,
)
