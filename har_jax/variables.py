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
  """The flat dict of linen's nested variables."""
  return traverse_util.flatten_dict(nested, sep='/')


def nest(flat: Variables) -> dict[str, Any]:
  """The nested variables that linen's `apply` takes."""
  return traverse_util.unflatten_dict(flat, sep='/')


def collection(path: str) -> str:
  return path.partition('/')[0]


def modules_with(flat: Variables, name: str, leaf: str) -> list[str]:
  """The modules with this leaf in this collection: encoder/block_0/up of lora/encoder/block_0/up/a."""
  start, end = f'{name}/', f'/{leaf}'
  return [
    path.removeprefix(start).removesuffix(end)
    for path in flat
    if path.startswith(start) and path.endswith(end)
  ]


def split(flat: Variables, is_selected: Callable[[str], bool]) -> tuple[Variables, Variables]:
  """The entries whose path is selected, and the others."""
  selected = {path: leaf for path, leaf in flat.items() if is_selected(path)}
  return selected, {path: leaf for path, leaf in flat.items() if path not in selected}


def split_statistics(flat: Variables) -> tuple[Variables, Variables]:
  """The running statistics of BatchNorm, and the other entries."""
  return split(flat, lambda path: path.startswith('batch_stats/'))


def count(flat: Variables) -> int:
  """The number of parameters."""
  return sum(int(np.prod(leaf.shape)) for leaf in flat.values())


def bytes_held(flat: Variables) -> dict[str, int]:
  """Bytes in memory, by collection."""
  sizes: dict[str, int] = {}
  for path, leaf in flat.items():
    sizes[collection(path)] = sizes.get(collection(path), 0) + resident(leaf)
  return sizes


def resident(tree: Any) -> int:
  """Bytes in memory of the leaves: as the device reports for arrays, as the dtype implies for shapes.

  Not `nbytes`, which counts a byte for each four-bit integer although it takes half of one.
  """
  return sum(_resident(leaf) for leaf in jax.tree.leaves(tree))


def _resident(leaf: Any) -> int:
  if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
    return leaf.on_device_size_in_bytes()  # type: ignore[attr-defined]
  return int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize


def difference(expected: Variables, actual: Variables) -> str:
  """One line per entry whose name, shape or dtype differs; empty if there is none."""
  lines = []
  for path in sorted(expected.keys() | actual.keys()):
    want, have = _describe(expected.get(path)), _describe(actual.get(path))
    if want != have:
      lines.append(f'  {path}: expected {want}, found {have}')
  return '\n'.join(lines)


def _describe(leaf: Any) -> str:
  return 'nothing' if leaf is None else f'{np.dtype(leaf.dtype).name}{list(leaf.shape)}'
