"""Orbax checkpoints of a run: one item per collection; the newest and the best are kept."""

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

_DISK_FACTOR = 3  # a save needs this many times the state's size: Orbax writes parts, then merges them


def _score(measured: dict[str, float]) -> float:
  return measured['score']


_NEWEST_AND_BEST = checkpoint_managers.AnyPreservationPolicy(
  [checkpoint_managers.LatestN(1), checkpoint_managers.BestN(get_metric_fn=_score, n=1)]
)


class _Manager(ocp.CheckpointManager):
  def reached_preemption(self, step: int) -> bool:
    """Always false: Orbax would poll JAX by the run's step and disturb the count of the loop's `stop`."""
    return False


class Checkpoints:
  """The checkpoints in one folder. If the process dies during a save, the previous checkpoint stays intact.

  With several processes, all save and all restore, in a shared folder. Checkpoints do not depend on the
  number of processes and devices: each process restores complete arrays on one device.
  """

  def __init__(self, folder: Place):
    self.folder = folder
    in_bucket = storage.is_bucket(folder)
    options = ocp.CheckpointManagerOptions(
      preservation_policy=_NEWEST_AND_BEST,
      best_fn=_score,  # without it, Orbax stores no scores
      cleanup_tmp_directories=True,
      # Buckets cannot rename a folder atomically: a file in it marks it as complete.
      temporary_path_class=atomicity.CommitFileTemporaryPath if in_bucket else None,
      enable_async_checkpointing=False,  # it would copy the state, because the next step donates it
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
    """Saves a state at its step, with the seconds that the run has taken so far.

    A checkpoint without a score only serves to resume: it is kept while it is the newest.
    Raises UserError where the disk is full or the folder not writable; older checkpoints stay.
    """
    items: dict[str, Any] = {
      name: ocp.args.StandardSave(collection) for name, collection in _collections(state).items()
    }
    self._check_disk_space(state)
    # Not Grain's checkpoint item, which is per process: the state is the same in all processes.
    items['data'] = ocp.args.JsonSave(batches.get_state())
    about = {'history': history, 'seconds': seconds, 'shapes': _shapes(state)}
    items['about'] = ocp.args.JsonSave(about)
    try:
      self._manager.save(int(state.step), args=ocp.args.Composite(**items), metrics={'score': score})
    except (OSError, ValueError) as error:
      raise UserError(f'cannot write a checkpoint to {self.folder}: {_reason(error)}') from error

  def newest(self, like: State, batches: grain.DatasetIterator) -> tuple[State, list[dict], float] | None:
    """The newest state, its history and seconds; None if there is none. Moves `batches` to that step."""
    step = self._manager.latest_step()
    if step is None:
      return None
    self._check_variables(step, like.trainable | like.statistics)
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
    """The variables of `like` (arrays or shapes) at a step. Other items are not read."""
    self._check_variables(step, like)
    items = _to_restore(variables.nest(like))
    restored = self._manager.restore(step, args=ocp.args.Composite(**items))
    return variables.flatten({name: _arrays(restored[name]) for name in items})

  def _check_disk_space(self, state: State) -> None:
    """Checked before Orbax starts, whose writer threads each print a traceback on a full disk."""
    if storage.is_bucket(self.folder):
      return
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    if (free := shutil.disk_usage(self.folder).free) < _DISK_FACTOR * size:
      raise UserError(
        f'cannot write a checkpoint to {self.folder}: it needs up to {_DISK_FACTOR * size / 1e6:.1f} MB, '
        f'and {free / 1e6:.1f} MB are free; free some space, then rerun to resume from the last checkpoint'
      )

  def _check_variables(self, step: int, like: Variables) -> None:
    """Raises UserError, with the differences, where names, shapes or dtypes do not match."""
    if step not in self._manager.all_steps():
      raise UserError(
        f'{self.folder} has no checkpoint of step {step}; delete {self.folder.parent} and run again'
      )
    about = self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))['about']
    saved = {path: jax.ShapeDtypeStruct(shape, dtype) for path, (shape, dtype) in about['shapes'].items()}
    if lines := variables.difference(like, saved):
      raise UserError(f'the checkpoint in {self.folder} is of another model; use another --out:\n{lines}')


def _reason(error: OSError | ValueError) -> str:
  """The system's message. TensorStore raises ValueError on a full disk, with the error number in its text."""
  if isinstance(error, OSError):
    return error.strerror or str(error)
  if (found := re.search(r"os_error_code='(\d+)'", str(error))) is None:
    raise error
  return os.strerror(int(found[1]))


def _collections(state: State) -> dict[str, Any]:
  """The items of a state: one per collection, and the optimizer."""
  return variables.nest(state.trainable | state.statistics) | {'optimizer': state.optimizer}


def _shapes(state: State) -> dict[str, Any]:
  flat = state.trainable | state.statistics
  return {path: (list(leaf.shape), np.dtype(leaf.dtype).name) for path, leaf in flat.items()}


def _to_restore(items: dict[str, Any]) -> dict[str, Any]:
  # NumPy arrays: for JAX arrays, Orbax looks for the devices that they were saved from.
  like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), items)
  return {name: ocp.args.StandardRestore(item) for name, item in like.items()}


def _arrays(restored: Any) -> Any:
  """Copies as JAX arrays, because a step donates them."""
  return jax.tree.map(lambda leaf: jax.numpy.array(leaf, copy=True), restored)
