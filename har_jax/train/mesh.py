"""Data parallelism over all devices of all processes: batches are split, everything else is replicated.

A step is written as if for one device and sees the whole batch; the compiler splits it by the sharding of
its arguments. So every mean, BatchNorm's included, is over the whole batch, and gradients need no extra
scaling.
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
  """A mesh of all devices with one axis, `data`. None for a single device, where nothing needs placement."""
  # Sorted by process, so that the rows of one process are contiguous.
  devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
  return Mesh(np.array(devices), ('data',)) if len(devices) > 1 else None


def replicated(mesh: Mesh | None) -> NamedSharding | None:
  """The sharding of a replicated array; None leaves it to JAX."""
  return None if mesh is None else NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh | None) -> Any:
  """Puts a full copy of each array on every device. All processes pass the same arrays.

  The result may share memory with the argument: copy before donating it.
  """
  if mesh is None:
    return tree
  sharding = replicated(mesh)

  def place(leaf: Any) -> jax.Array:
    if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
      return leaf
    # With several processes, `device_put` would compare their arrays, one round of messages per array.
    if jax.process_count() == 1:
      return jax.device_put(leaf, sharding)
    return jax.make_array_from_process_local_data(sharding, np.asarray(leaf), leaf.shape)

  return jax.tree.map(place, tree)


def split(batch: dict[str, np.ndarray], mesh: Mesh | None, *, axis: int = 0) -> dict[str, Any]:
  """Splits a batch over the devices along its axis of windows. Each process passes its own rows."""
  if mesh is None:
    return batch
  sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, 'data'))
  return jax.make_array_from_process_local_data(sharding, batch)


# (function, variables, *windows) → function(variables, *windows)
ShardOverBatch = Callable[..., Any]


def on_one_device(function: Callable[..., Any], variables: Variables, *windows: Any) -> Any:
  """The `ShardOverBatch` that does not shard."""
  return function(variables, *windows)


def shard_over_batch(mesh: Mesh | None, trainable: Collection[str]) -> ShardOverBatch:
  """Calls a function on each device's own windows. No window's output may depend on another window.

  The compiler would split the function the same way, but reduce the gradient of each variable separately.
  Here those of the `trainable` paths form one vector and one reduction: 0.3 ms instead of 4 ms on two CPU
  devices. It also lets fused kernels run on each device; the compiler cannot split them.
  """
  if mesh is None:
    return on_one_device

  def call(function: Callable[..., Any], variables: Variables, *windows: Any) -> Any:
    moving, fixed = variables_of.split(variables, lambda path: path in trainable)
    vector, unravel = ravel_pytree(moving)

    def call_on_device(vector: Array, fixed: Variables, *windows: Any) -> Any:
      return function(unravel(vector) | fixed, *windows)

    sharded = PartitionSpec('data')
    # With check_vma, variables would be cast first and reduced one by one, in bfloat16 too.
    return jax.shard_map(
      call_on_device,
      mesh=mesh,
      in_specs=(PartitionSpec(), PartitionSpec(), *[sharded] * len(windows)),
      out_specs=sharded,
      check_vma=False,
    )(vector, fixed, *windows)

  return call


def check_divisible(batch: int, mesh: Mesh | None, *, flag: str) -> None:
  """Raises UserError where the number of devices does not divide the batch."""
  if mesh is not None and batch % mesh.size:
    raise UserError(
      f'--{flag}={batch} cannot be split evenly over {mesh.size} devices; '
      f'use a multiple of {mesh.size}, or fewer devices'
    )


def next_multiple(batch: int, mesh: Mesh | None) -> int:
  """The batch size, rounded up to a multiple of the devices."""
  return batch if mesh is None else batch + -batch % mesh.size


def process_rank() -> dict[str, int]:
  """This process's index and the number of processes, as the batch readers take them."""
  return {'process': jax.process_index(), 'processes': jax.process_count()}


def is_main_process() -> bool:
  """Returns whether this process writes logs and results; the others stay silent."""
  return jax.process_index() == 0


def broadcast_bool(value: bool) -> bool:
  """The main process's value, in every process: all take the same branch, even while files change."""
  return value if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(np.bool_(value)))


def wait_for_all(name: str) -> None:
  """Returns once every process has called it."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
