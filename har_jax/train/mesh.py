"""Every device of every process: a batch is split over them all, and everything else is whole on each.

A step is written as for one device and given the whole batch; where its arguments lie tells the compiler how to split it. So
a mean over windows, BatchNorm's too, is over the whole batch, and gradients need no scaling of our own.
"""

from collections.abc import Callable, Collection
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from har_jax import variables as variables_of
from har_jax.errors import UserError
from har_jax.variables import Variables


def data_mesh() -> Mesh | None:
  """The mesh of a run, of the one axis `data`; None where there is one device: nothing is placed there at all."""
  # By process: the rows of a batch that a process holds are then side by side.
  devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
  return Mesh(np.array(devices), ('data',)) if len(devices) > 1 else None


def replicated(mesh: Mesh | None) -> NamedSharding | None:
  """The sharding of what each device holds whole; None leaves it to JAX."""
  return None if mesh is None else NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh | None) -> Any:
  """The tree's arrays, the same in each process, whole on each device.

  Those given may share memory with what is returned: whoever donates it copies first.
  """
  if mesh is None:
    return tree
  sharding = replicated(mesh)

  def place(leaf: Any) -> jax.Array:
    if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
      return leaf
    # Of several processes `device_put` compares their arrays, at a round of messages an array.
    if jax.process_count() == 1:
      return jax.device_put(leaf, sharding)
    return jax.make_array_from_process_local_data(sharding, np.asarray(leaf), leaf.shape)

  return jax.tree.map(place, tree)


def split(batch: dict[str, np.ndarray], mesh: Mesh | None, *, axis: int = 0) -> dict[str, Any]:
  """The whole batch, of which each process gives its own rows, split over the devices along its axis of windows."""
  if mesh is None:
    return batch
  sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, 'data'))
  return jax.make_array_from_process_local_data(sharding, batch)


ShardOverBatch = Callable[
  ..., Any
]  # (function, variables, *windows) → what function(variables, *windows) gives


def on_one(function: Callable[..., Any], variables: Variables, *windows: Any) -> Any:
  return function(variables, *windows)


def shard_over_batch(mesh: Mesh | None, moving: Collection[str]) -> ShardOverBatch:
  """How to call a function of which no window's output depends on another window: each device on its own windows.

  The compiler, left alone, would split it the same way, but sum the gradient of each of a hundred small variables by
  itself. Here those of `moving`, the paths that have one, are one vector and one sum: on two CPU devices 0.3 ms for 4 ms.
  And a fused kernel, which the compiler does not split at all, sees the windows of its own device.
  """
  if mesh is None:
    return on_one

  def call(function: Callable[..., Any], variables: Variables, *windows: Any) -> Any:
    moves, still = variables_of.split(variables, lambda path: path in moving)
    vector, nested = ravel_pytree(moves)

    def on_each(vector: Array, still: Variables, *windows: Any) -> Any:
      return function(nested(vector) | still, *windows)

    each = PartitionSpec('data')
    # check_vma off: with it, variables are cast first and summed one by one, in bfloat16 too.
    return jax.shard_map(
      on_each,
      mesh=mesh,
      in_specs=(PartitionSpec(), PartitionSpec(), *[each] * len(windows)),
      out_specs=each,
      check_vma=False,
    )(vector, still, *windows)

  return call


def check_divisible(batch: int, mesh: Mesh | None, *, flag: str) -> None:
  """Raises UserError where the devices cannot have as many windows each."""
  if mesh is not None and batch % mesh.size:
    raise UserError(
      f'{batch} windows a step cannot be split evenly over {mesh.size} devices; give --{flag} a multiple of {mesh.size}, '
      'or use fewer devices'
    )


def next_multiple(batch: int, mesh: Mesh | None) -> int:
  """A batch's windows, and so many more that the devices have as many each."""
  return batch if mesh is None else batch + -batch % mesh.size


def is_main_process() -> bool:
  """Whether this is the process that writes logs and results; the others stay silent."""
  return jax.process_index() == 0


def broadcast_bool(word: bool) -> bool:
  """What the leading process says, in each: all take the same way, though files come and go while they look."""
  return word if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(np.bool_(word)))


def wait_for_all(name: str) -> None:
  """Returns once every process has come to this point."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
