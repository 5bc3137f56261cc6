"""Orbax checkpoints of a run: one item per collection, with checksums; the newest and the best are kept."""

import functools
import logging
import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import grain
import jax
import msgspec
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree
from orbax.checkpoint.path import atomicity

from har_jax import checksums, storage, variables
from har_jax.errors import UserError, shorten
from har_jax.storage import Place
from har_jax.train import mesh
from har_jax.train.metrics import find_best
from har_jax.train.step import State
from har_jax.variables import Variables

_LOG = logging.getLogger(__name__)
_DISK_FACTOR = 3  # a save needs this many times the state's size: Orbax writes parts, then merges them


class _About(msgspec.Struct):
  """The item `about`. sums: of each item. shapes: path → shape and dtype of a leaf."""

  history: list[dict[str, int | float]]
  seconds: float
  shapes: dict[str, tuple[list[int], str]]
  sums: dict[str, str]


class _DamagedError(Exception):
  """A checkpoint does not hold what was saved."""


class _Manager(ocp.CheckpointManager):
  def reached_preemption(self, step: int) -> bool:
    """Returns false: Orbax would poll JAX by the run's step and disturb the count of the loop's `stop`."""
    return False


class Checkpoints:
  """The checkpoints in one folder. If the process dies during a save, the previous checkpoint stays intact.

  With several processes, all save and all restore, in a shared folder. Checkpoints do not depend on the
  number of processes and devices: each process restores complete arrays on one device.
  All that is restored is compared with the checksums that were saved with it.
  """

  def __init__(self, folder: Place):
    """Raises UserError where Orbax cannot open the folder."""
    self.folder = folder
    in_bucket = storage.is_bucket(folder)
    root = folder if in_bucket else folder.resolve()
    try:
      str(root).encode()
    except UnicodeEncodeError as error:
      raise UserError(
        f'{root} has letters that this locale does not know; set PYTHONUTF8=1, or LC_ALL=C.UTF-8'
      ) from error
    options = ocp.CheckpointManagerOptions(
      cleanup_tmp_directories=True,
      # Buckets cannot rename a folder atomically: a file in it marks it as complete.
      temporary_path_class=atomicity.CommitFileTemporaryPath if in_bucket else None,
      enable_async_checkpointing=False,  # it would copy the state, because the next step donates it
    )
    try:
      self._manager = _Manager(root, options=options)
    except OSError as error:
      raise UserError(f'{folder} cannot be used: {error.strerror or error}; give another --out') from error
    except Exception as error:  # whatever Orbax raises at files that it did not write so
      raise self._damaged('the list of checkpoints', error) from error

  def save(
    self,
    state: State,
    batches: grain.DatasetIterator,
    history: list[dict[str, float]],
    *,
    seconds: float = 0.0,
  ) -> None:
    """Saves a state at its step, with the seconds that the run has taken so far.

    Deletes all but the newest and the best of the history. One that is not in the history only serves to
    resume.
    Raises UserError where the disk is full or the folder not writable; older checkpoints stay.
    """
    self._check_disk_space(state)
    # NumPy arrays: for JAX arrays, Orbax takes twice as long.
    collections, step = jax.tree.map(np.asarray, _collections(state)), int(state.step)
    # Not Grain's checkpoint item, which is per process: the state is the same in all processes.
    data = batches.get_state()
    sums = {name: _sum(item) for name, item in collections.items()} | {'data': checksums.hash_entries(data)}
    leaves = state.trainable | state.statistics
    shapes = {path: (list(leaf.shape), np.dtype(leaf.dtype).name) for path, leaf in leaves.items()}
    about = msgspec.to_builtins(_About(history, seconds, shapes, sums))
    items = {name: ocp.args.StandardSave(item) for name, item in collections.items()}
    items |= {'data': ocp.args.JsonSave(data), 'about': ocp.args.JsonSave(about)}
    try:
      if step in self._manager.all_steps():  # a damaged one, which `newest` skipped
        self._manager.delete(step)
      self._manager.save(step, args=ocp.args.Composite(**items))
      self._drop_superseded(step, history)
    except (OSError, ValueError) as error:
      raise UserError(f'cannot write a checkpoint to {self.folder}: {_reason(error)}') from error

  def newest(
    self, like: State, batches: grain.DatasetIterator
  ) -> tuple[State, list[dict[str, float]], float] | None:
    """The newest state that is whole, its history and seconds; None if there is none.

    A damaged checkpoint is skipped, with a warning; the next save of its step replaces it. Moves `batches` to
    the state's step.
    """
    for step in sorted(self._manager.all_steps(), reverse=True):
      restored, reason = None, 'the main process cannot read it'
      try:
        restored = self._restore_state(step, like, batches)
      except _DamagedError as error:
        reason = str(error)
      # Every process reads the same files. All must take the same checkpoint: that of the main process.
      if mesh.broadcast_bool(restored is not None):
        if restored is None:
          raise UserError(f'checkpoint {step} in {self.folder} cannot be read here ({reason}); run again')
        self._drop_superseded(step, restored[1])  # a process may have died after a save
        return restored
      _LOG.warning('checkpoint %d in %s is damaged and skipped: %s', step, self.folder, reason)
    return None

  def _drop_superseded(self, newest: int, history: list[dict[str, float]]) -> None:
    """Deletes those before the newest but the best."""
    best = find_best(history)['step'] if history else newest
    for step in self._manager.all_steps():
      if mesh.broadcast_bool(step < newest and step != best):
        self._manager.delete(step)

  def _restore_state(
    self, step: int, like: State, batches: grain.DatasetIterator
  ) -> tuple[State, list[dict[str, float]], float]:
    about = self._about(step)
    self._check_variables(about, like.trainable | like.statistics)
    items = _to_restore(_collections(like)) | {'data': ocp.args.JsonRestore()}
    restored = self._restore(step, items, about.sums)
    batches.set_state(restored['data'])
    arrays = {name: _arrays(restored[name]) for name in items if name != 'data'}
    optimizer = arrays.pop('optimizer')
    flat = variables.flatten(arrays)
    state = State(
      step=jax.numpy.int32(step),
      trainable={path: flat[path] for path in like.trainable},
      statistics={path: flat[path] for path in like.statistics},
      optimizer=optimizer,
    )
    return state, about.history, about.seconds

  def variables(self, step: int, like: Variables) -> Variables:
    """The variables of `like` (arrays or shapes) at a step. Other items are not read.

    Raises UserError where the step is missing, damaged, or of another model.
    """
    if step not in self._manager.all_steps():
      raise UserError(
        f'{self.folder} has no checkpoint of step {step}; delete {self.folder.parent} and run again'
      )
    try:
      about = self._about(step)
      self._check_variables(about, like)
      items = _to_restore(variables.nest(like))
      restored = self._restore(step, items, about.sums)
    except _DamagedError as error:
      raise self._damaged(f'checkpoint {step}', error) from error
    return variables.flatten({name: _arrays(restored[name]) for name in items})

  def _about(self, step: int) -> _About:
    """The item `about`. Raises _DamagedError."""
    entries = self._restore(step, {'about': ocp.args.JsonRestore()})['about']
    try:
      return msgspec.convert(entries, _About)
    except msgspec.ValidationError as error:
      raise _DamagedError(_first_line(error)) from error

  def _restore(
    self, step: int, items: Mapping[str, ocp.args.CheckpointArgs], sums: Mapping[str, str] | None = None
  ) -> Any:
    """Items by name, compared with `sums`, unless they hold their own. Raises _DamagedError."""
    _silence_late_reads()
    try:
      restored = self._manager.restore(step, args=ocp.args.Composite(**items))
    except Exception as error:  # Orbax and TensorStore raise many types at a damaged file
      raise _DamagedError(_first_line(error)) from error
    if sums is None:
      return restored
    for name in items:
      computed = checksums.hash_entries(restored[name]) if name == 'data' else _sum(restored[name])
      if computed != sums.get(name):
        raise _DamagedError(f'the sum of {name} is {computed}, and it was saved with {sums.get(name)}')
    return restored

  def _damaged(self, what: str, error: Exception) -> UserError:
    return UserError(
      f'{what} in {self.folder} cannot be read ({_first_line(error)}): it is damaged; '
      f'delete {self.folder.parent} and run again'
    )

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

  def _check_variables(self, about: _About, like: Variables) -> None:
    """Raises UserError, with the differences, where names, shapes or dtypes are others; or _DamagedError."""
    try:
      saved = {path: jax.ShapeDtypeStruct(shape, dtype) for path, (shape, dtype) in about.shapes.items()}
    except TypeError as error:  # no such dtype
      raise _DamagedError(_first_line(error)) from error
    if lines := variables.difference(like, saved):
      raise UserError(f'the checkpoint in {self.folder} is of another model; use another --out:\n{lines}')


def _reason(error: OSError | ValueError) -> str:
  """The system's message. TensorStore raises ValueError on a full disk, with the error number in its text."""
  if isinstance(error, OSError):
    return error.strerror or str(error)
  if (code := re.search(r"os_error_code='(\d+)'", str(error))) is None:
    raise error
  return os.strerror(int(code[1]))


@functools.cache
def _silence_late_reads() -> None:
  """Silences late reads: where one read fails, Orbax closes its event loop while TensorStore reads the rest.

  Each of them would print a traceback about the closed loop, from a thread that no caller can catch.
  """
  previous = sys.unraisablehook

  def hook(late: Any) -> None:
    if not (isinstance(late.exc_value, RuntimeError) and str(late.exc_value) == 'Event loop is closed'):
      previous(late)

  sys.unraisablehook = hook


def _first_line(error: Exception) -> str:
  return shorten(str(error).partition('\n')[0] or type(error).__name__)


def _sum(item: PyTree) -> str:
  return checksums.hash_arrays(np.asarray(leaf) for leaf in jax.tree.leaves(item))


def _collections(state: State) -> dict[str, PyTree]:
  """The items of a state: one per collection, and the optimizer."""
  return variables.nest(state.trainable | state.statistics) | {'optimizer': state.optimizer}


def _to_restore(items: Mapping[str, PyTree]) -> dict[str, ocp.args.CheckpointArgs]:
  # NumPy arrays: for JAX arrays, Orbax looks for the devices that they were saved from.
  like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), items)
  return {name: ocp.args.StandardRestore(item) for name, item in like.items()}


def _arrays(restored: Any) -> Any:
  """Copies as JAX arrays, because a step donates them. NumPy copies without a program for each shape."""
  return jax.tree.map(lambda leaf: jax.device_put(np.array(leaf)), restored)
