"""Every device of every process: a batch is split over them all, and everything else is whole on each.

A step is written as for one device and given the whole batch; where its arguments lie tells the compiler how to split it. So
a mean over windows, BatchNorm's too, is over the whole batch, and gradients need no scaling of our own.
"""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from har_jax.errors import UserError


def over_all_devices() -> Mesh | None:
  """The mesh of a run, of the one axis `data`; None where there is one device: nothing is placed there at all."""
  # By process: the rows of a batch that a process holds are then side by side.
  devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
  return Mesh(np.array(devices), ('data',)) if len(devices) > 1 else None


def whole(mesh: Mesh | None) -> NamedSharding | None:
  """The sharding of what each device holds whole; None leaves it to JAX."""
  return None if mesh is None else NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh | None) -> Any:
  """The tree's arrays, the same in each process, whole on each device.

  Those given may share memory with what is returned: whoever donates it copies first.
  """
  if mesh is None:
    return tree
  sharding = whole(mesh)

  def place(leaf: Any) -> jax.Array:
    if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
      return leaf
    # Of several processes `device_put` compares their arrays, at a round of messages an array.
    if jax.process_count() == 1:
      return jax.device_put(leaf, sharding)
    return jax.make_array_from_process_local_data(sharding, np.asarray(leaf), leaf.shape)

  return jax.tree.map(place, tree)


def split(batch: dict[str, np.ndarray], mesh: Mesh | None) -> dict[str, Any]:
  """The whole batch, of which each process gives its own rows, split over the devices."""
  if mesh is None:
    return batch
  return jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec('data')), batch)


def held_by_one(tree: Any) -> Any:
  """What one device holds of a tree."""
  return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def refuse_uneven(batch: int, mesh: Mesh | None, *, flag: str) -> None:
  """Raises UserError where the devices cannot have as many windows each."""
  if mesh is not None and batch % mesh.size:
    raise UserError(
      f'{batch} windows a step cannot be split evenly over {mesh.size} devices; give --{flag} a multiple of {mesh.size}, '
      'or use fewer devices'
    )


def next_multiple(batch: int, mesh: Mesh | None) -> int:
  """A batch's windows, and so many more that the devices have as many each."""
  return batch if mesh is None else batch + -batch % mesh.size


def leads() -> bool:
  """Whether this is the process that writes logs and results; the others stay silent."""
  return jax.process_index() == 0


def leaders_word(word: bool) -> bool:
  """What the leading process says, in each: all take the same way, though files come and go while they look."""
  return word if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(np.bool_(word)))


def wait_for_all(name: str) -> None:
  """Returns once every process has come to this point."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
