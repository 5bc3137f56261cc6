"""Checkpoints of a run through Orbax: each collection an item, the newest and the best kept."""

import math
import os
import re
import shutil
from typing import Any

import grain
import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers
from orbax.checkpoint.path import atomicity

from har_jax import storage, variables
from har_jax.errors import UserError
from har_jax.storage import Place
from har_jax.train.step import State
from har_jax.variables import Variables

_ROOM = 3  # times a state's size that a save may take while it writes: parts are written, then merged


def _score(measured: dict[str, float]) -> float:
  return measured['score']


_NEWEST_AND_BEST = checkpoint_managers.AnyPreservationPolicy(
  [checkpoint_managers.LatestN(1), checkpoint_managers.BestN(get_metric_fn=_score, n=1)]
)


class _Manager(ocp.CheckpointManager):
  def reached_preemption(self, step: int) -> bool:
    """Never: Orbax would ask JAX at each save, by the run's step, and spoil the count by which the loop's `stop` asks."""
    return False


class Checkpoints:
  """The checkpoints in one folder. A save under way when the process dies leaves the one before it whole.

  Of several processes all save and all read, in a folder that they share. What is read is the same on any number of
  processes and devices: each process gets whole arrays, on one device of its own.
  """

  def __init__(self, folder: Place):
    self.folder = folder
    in_bucket = storage.is_bucket(folder)
    options = ocp.CheckpointManagerOptions(
      preservation_policy=_NEWEST_AND_BEST,
      best_fn=_score,  # or Orbax keeps no scores to tell the best by
      cleanup_tmp_directories=True,
      # Where a folder cannot be renamed at once, a file in it says that it is whole.
      temporary_path_class=atomicity.CommitFileTemporaryPath if in_bucket else None,
      enable_async_checkpointing=False,  # the next step reuses the state's memory (donation), so a save copies first
    )
    self._manager = _Manager(folder if in_bucket else folder.resolve(), options=options)

  def save(
    self,
    state: State,
    batches: grain.DatasetIterator,
    history: list[dict],
    score: float = -math.inf,
    *,
    seconds: float = 0.0,
  ) -> None:
    """Saves a state at its step; `seconds` is what the run took so far.

    One without a score is for going on alone: it is kept while it is the newest.
    Raises UserError where the disk is full or the folder cannot be written to; older checkpoints stay.
    """
    items: dict[str, Any] = {
      name: ocp.args.StandardSave(collection) for name, collection in _collections(state).items()
    }
    self._refuse_full_disk(state)
    # Grain's own item is one for each process, and no use to another number of them; the state is the same in all.
    items['data'] = ocp.args.JsonSave(batches.get_state())
    about = {'history': history, 'seconds': seconds, 'shapes': _shapes(state)}
    items['about'] = ocp.args.JsonSave(about)
    try:
      self._manager.save(int(state.step), args=ocp.args.Composite(**items), metrics={'score': score})
    except (OSError, ValueError) as error:
      raise UserError(f'no checkpoint could be written to {self.folder}: {_reason(error)}') from error

  def newest(self, like: State, batches: grain.DatasetIterator) -> tuple[State, list[dict], float] | None:
    """The newest state, its history and seconds, and `batches` set to go on from there; None where nothing was saved."""
    step = self._manager.latest_step()
    if step is None:
      return None
    self._refuse_other(step, like.trainable | like.statistics)
    items = _to_restore(_collections(like))
    items['data'] = ocp.args.JsonRestore()
    items['about'] = ocp.args.JsonRestore()
    restored = self._manager.restore(step, args=ocp.args.Composite(**items))
    batches.set_state(restored['data'])
    arrays = {name: _arrays(restored[name]) for name in _collections(like)}
    optimizer = arrays.pop('optimizer')
    flat = variables.flatten(arrays)
    state = State(
      step=jax.numpy.int32(step),
      trainable={path: flat[path] for path in like.trainable},
      statistics={path: flat[path] for path in like.statistics},
      optimizer=optimizer,
    )
    return state, restored['about']['history'], restored['about']['seconds']

  def variables(self, step: int, like: Variables) -> Variables:
    """These variables, arrays or their shapes, as they were saved at a step. Other items are not read."""
    self._refuse_other(step, like)
    items = _to_restore(variables.nest(like))
    restored = self._manager.restore(step, args=ocp.args.Composite(**items))
    return variables.flatten({name: _arrays(restored[name]) for name in items})

  def _refuse_full_disk(self, state: State) -> None:
    """Before Orbax starts: its writers' own threads each print a traceback, hundreds of them, when space runs out."""
    if storage.is_bucket(self.folder):
      return
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    if (free := shutil.disk_usage(self.folder).free) < _ROOM * size:
      raise UserError(
        f'no checkpoint could be written to {self.folder}: it takes up to {_ROOM * size / 1e6:.1f} MB and the disk has '
        f'{free / 1e6:.1f} MB left; free some space and run again, which goes on from the last checkpoint'
      )

  def _refuse_other(self, step: int, like: Variables) -> None:
    """Raises UserError with the differences where names, shapes or dtypes are not those expected."""
    if step not in self._manager.all_steps():
      raise UserError(
        f'{self.folder} lacks the checkpoint of step {step}; delete {self.folder.parent} and run again'
      )
    about = self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))['about']
    given = {path: jax.ShapeDtypeStruct(shape, dtype) for path, (shape, dtype) in about['shapes'].items()}
    if lines := variables.difference(like, given):
      raise UserError(f'the checkpoint in {self.folder} is of another model; give another --out:\n{lines}')


def _reason(error: OSError | ValueError) -> str:
  """The system's own words. TensorStore raises ValueError on a full disk, the number of the fault in its message."""
  if isinstance(error, OSError):
    return error.strerror or str(error)
  if (found := re.search(r"os_error_code='(\d+)'", str(error))) is None:
    raise error
  return os.strerror(int(found[1]))


def _collections(state: State) -> dict[str, Any]:
  """What is saved of a state: an item a collection, and the optimizer."""
  return variables.nest(state.trainable | state.statistics) | {'optimizer': state.optimizer}


def _shapes(state: State) -> dict[str, Any]:
  flat = state.trainable | state.statistics
  return {path: (list(leaf.shape), np.dtype(leaf.dtype).name) for path, leaf in flat.items()}


def _to_restore(items: dict[str, Any]) -> dict[str, Any]:
  # As NumPy's arrays: for JAX's, Orbax looks for the devices that they were saved from.
  like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), items)
  return {name: ocp.args.StandardRestore(item) for name, item in like.items()}


def _arrays(restored: Any) -> Any:
  """As JAX's own copies: a step that is given them uses them up."""
  return jax.tree.map(lambda leaf: jax.numpy.array(leaf, copy=True), restored)
