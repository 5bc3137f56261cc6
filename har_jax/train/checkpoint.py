"""Checkpoints of a run through Orbax: each collection an item, the newest and the best kept."""

import os
import pathlib
import re
import shutil
from typing import Any

import grain
import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from har_jax import variables
from har_jax.errors import UserError
from har_jax.train.step import State
from har_jax.variables import Variables

_ROOM = 3  # times a state's size that a save may take while it writes: parts are written, then merged


def _score(measured: dict[str, float]) -> float:
  return measured['score']


_NEWEST_AND_BEST = checkpoint_managers.AnyPreservationPolicy(
  [checkpoint_managers.LatestN(1), checkpoint_managers.BestN(get_metric_fn=_score, n=1)]
)


class Checkpoints:
  """The checkpoints in one folder. A save under way when the process dies leaves the one before it whole."""

  def __init__(self, folder: pathlib.Path):
    self.folder = folder
    options = ocp.CheckpointManagerOptions(
      preservation_policy=_NEWEST_AND_BEST,
      best_fn=_score,  # or Orbax keeps no scores to tell the best by
      cleanup_tmp_directories=True,
      enable_async_checkpointing=False,  # the next step reuses the state's memory (donation), so a save copies first
    )
    self._manager = ocp.CheckpointManager(folder.resolve(), options=options)

  def save(self, state: State, batches: grain.DatasetIterator, history: list[dict], score: float) -> None:
    """Raises UserError where the disk is full or the folder cannot be written to; older checkpoints stay."""
    items: dict[str, Any] = {
      name: ocp.args.StandardSave(collection) for name, collection in _collections(state).items()
    }
    self._refuse_full_disk(state)
    items['data'] = grain.checkpoint.CheckpointSave(batches)
    items['about'] = ocp.args.JsonSave({'history': history, 'shapes': _shapes(state)})
    try:
      self._manager.save(int(state.step), args=ocp.args.Composite(**items), metrics={'score': score})
    except (OSError, ValueError) as error:
      raise UserError(f'no checkpoint could be written to {self.folder}: {_reason(error)}') from error

  def newest(self, like: State, batches: grain.DatasetIterator) -> tuple[State, list[dict]] | None:
    """The newest state, its history, and `batches` set to go on from there; None where nothing was saved."""
    step = self._manager.latest_step()
    if step is None:
      return None
    self._refuse_other(step, like.trainable | like.statistics)
    items = _to_restore(_collections(like))
    items['data'] = grain.checkpoint.CheckpointRestore(batches)
    items['about'] = ocp.args.JsonRestore()
    restored = self._manager.restore(step, args=ocp.args.Composite(**items))
    flat = variables.flatten({name: restored[name] for name in items if name in _collections(like)})
    state = State(
      step=jax.numpy.int32(step),
      trainable={path: flat[path] for path in like.trainable},
      statistics={path: flat[path] for path in like.statistics},
      optimizer=restored['optimizer'],
    )
    return state, restored['about']['history']

  def variables(self, step: int, like: Variables) -> Variables:
    """These variables, arrays or their shapes, as they were saved at a step. Other items are not read."""
    self._refuse_other(step, like)
    items = _to_restore(variables.nest(like))
    restored = self._manager.restore(step, args=ocp.args.Composite(**items))
    return variables.flatten({name: restored[name] for name in items})

  def _refuse_full_disk(self, state: State) -> None:
    """Before Orbax starts: its writers' own threads each print a traceback, hundreds of them, when space runs out."""
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
  abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), items)
  return {name: ocp.args.StandardRestore(item) for name, item in abstract.items()}
