"""A model's variables as one flat dict: 'collection/module/leaf' → array.

params/encoder/block_3/attention/query/kernel    f32[192,192]
lora/encoder/block_3/attention/query/a           f32[192,32]
nf4/encoder/block_3/attention/query/codes        u8[18432]
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import traverse_util

Variables = dict[str, Any]  # arrays, or their shapes under jax.eval_shape


def flatten(nested: Any) -> Variables:
  """Linen's nested variables as the flat dict."""
  return traverse_util.flatten_dict(nested, sep='/')


def nest(flat: Variables) -> dict:
  """The flat dict as what linen's `apply` takes."""
  return traverse_util.unflatten_dict(flat, sep='/')


def collection(path: str) -> str:
  return path.partition('/')[0]


def split(flat: Variables, holds: Callable[[str], bool]) -> tuple[Variables, Variables]:
  """Those entries whose path fits, and the others."""
  fits = {path: leaf for path, leaf in flat.items() if holds(path)}
  return fits, {path: leaf for path, leaf in flat.items() if path not in fits}


def count(flat: Variables) -> int:
  """Numbers held."""
  return sum(int(np.prod(leaf.shape)) for leaf in flat.values())


def bytes_held(flat: Variables) -> dict[str, int]:
  """Bytes a collection holds, by collection."""
  held: dict[str, int] = {}
  for path, leaf in flat.items():
    held[collection(path)] = held.get(collection(path), 0) + resident(leaf)
  return held


def resident(tree: Any) -> int:
  """Bytes that a tree's leaves hold: of live arrays as their device reports it, of shapes as their dtype implies.

  The device's word, as `nbytes` says a byte of four-bit integers that take half of one.
  """
  return sum(_resident(leaf) for leaf in jax.tree.leaves(tree))


def _resident(leaf: Any) -> int:
  if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
    return leaf.on_device_size_in_bytes()  # type: ignore[attr-defined]
  return int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize


def difference(expected: Variables, given: Variables) -> str:
  """What sets two flat dicts apart, a line an entry; empty where names, shapes and dtypes agree."""
  lines = []
  for path in sorted(expected.keys() | given.keys()):
    wanted = _describe(expected.get(path))
    held = _describe(given.get(path))
    if wanted != held:
      lines.append(f'  {path}: expected {wanted}, given {held}')
  return '\n'.join(lines)


def _describe(leaf: Any) -> str:
  return 'nothing' if leaf is None else f'{np.dtype(leaf.dtype).name}{list(leaf.shape)}'
