"""Windows, and their folder on disk: signals.npy, index.npz, and meta.json with their sums.

w windows, n samples.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float, Float32, Int16, Int32

from har_jax import checksums, records, replacing, storage
from har_jax.config import CHANNELS, Windowing
from har_jax.errors import UserError, advice, shorten
from har_jax.signal.cutting import Window
from har_jax.signal.recording import ACTIVITIES
from har_jax.storage import Place

_FILES = ('signals.npy', 'index.npz', 'meta.json')
_PREPARE_AGAIN = 'delete the folder and prepare it again'
Card = tuple[records.Windows, dict[str, str]]  # meta.json, and the checksums of the other files
_INDEX = {'activity': np.int16, 'subject': np.int16, 'recording': np.int32, 'start_s': np.float64}
_NAMES = {'activity': 'activities', 'subject': 'subjects', 'position': 'all_positions'}  # of meta


@dataclasses.dataclass(frozen=True)
class Windows:
  """An archive's windows, in the order of its recordings.

  `signals` are in m/s² with gravity and rad/s, not normalized. `activity` and `subject` index
  meta.activities and meta.subjects; `recording` numbers the recordings as read; `start_s` is the
  recording's time. `position` indexes meta.all_positions; the windows come position by position.
  """

  signals: Float32[np.ndarray, 'w n 6']
  activity: Int16[np.ndarray, 'w']
  subject: Int16[np.ndarray, 'w']
  recording: Int32[np.ndarray, 'w']
  start_s: Float[np.ndarray, 'w']
  position: Int16[np.ndarray, 'w']
  meta: records.Windows

  def labels(self, classes: Sequence[str]) -> Int32[np.ndarray, 'w']:
    """The index of each window's activity in `classes`, or -1."""
    return find_labels(self.meta.activities, classes)[self.activity]


def find_labels(names: Sequence[str | None], classes: Sequence[str]) -> Int32[np.ndarray, 'n']:
  """The index of each name in `classes`, or -1."""
  return np.array([classes.index(name) if name in classes else -1 for name in names], np.int32)


def check_windowing(name: str, meta: records.Windows, windowing: Windowing) -> None:
  """Raises UserError if the windows of a meta.json are not of the length and rate that a model takes."""
  if (actual := meta.windowing) != windowing:
    raise UserError(
      f'the windows of {name} are {actual}, and the model takes {windowing}: give a model or base of '
      f'{actual}, or prepare windows with --window_samples={windowing.samples} '
      f'--window_rate_hz={windowing.rate_hz}'
    )


def gather(windows: Sequence[Window], about: Mapping[str, Any], windowing: Windowing) -> Windows:
  """Collects the windows of one archive. about: entries of meta.json that the windows do not tell.

  Windows of several positions must come position by position. Raises UserError if there are none.
  """
  if not windows:
    raise UserError(
      f'no window of {windowing.seconds:g} s in {about.get("archive", "these recordings")}: nothing to train '
      'on'
    )
  present = {window.activity for window in windows}
  # A user's own activities follow those that archives share.
  activities = [activity for activity in ACTIVITIES if activity in present]
  activities += sorted(present - set(activities))
  names = {'activity': activities} | {
    column: list(dict.fromkeys(getattr(window, column) for window in windows))
    for column in ('subject', 'position')
  }
  columns = {
    column: np.array([values.index(getattr(window, column)) for window in windows], np.int16)
    for column, values in names.items()
  } | {
    column: np.array([getattr(window, column) for window in windows], _INDEX[column])
    for column in ('recording', 'start_s')
  }
  if len(names['position']) == 1:
    del names['position']
  meta = records.Windows(
    **about,
    positions=names.get('position'),
    window_samples=windowing.samples,
    rate_hz=windowing.rate_hz,
    channels=[f'{sensor}_{axis}' for sensor in ('acc', 'gyro') for axis in 'xyz'],
    units=['m/s²'] * 3 + ['rad/s'] * 3,
    activities=activities,
    subjects=names['subject'],
    counts=_count(columns, names),
  )
  return Windows(np.stack([window.signal for window in windows]), **columns, meta=meta)


def _count(columns: Mapping[str, np.ndarray], names: Mapping[str, Sequence[str]]) -> records.WindowCounts:
  """Counts windows and recordings, and windows of each name of a column."""
  by_name = {
    f'by_{column}': dict(zip(listed, np.bincount(columns[column]).tolist(), strict=True))
    for column, listed in names.items()
  }
  recordings = columns['recording']
  return records.WindowCounts(len(recordings), len(np.unique(recordings)), **by_name)


def at_position(windows: Windows, number: int) -> Windows:
  """The windows of one position, as if they had been prepared alone."""
  if not windows.meta.positions:
    return windows
  first, last = np.searchsorted(windows.position, [number, number + 1])
  rows = slice(int(first), int(last))  # a slice keeps the signals memory-mapped
  columns = {name: getattr(windows, name)[rows] for name in (*_INDEX, 'position')}
  names = {}
  for column in ('activity', 'subject'):
    present, indices = np.unique(columns[column], return_inverse=True)
    columns[column] = indices.astype(np.int16)
    names[column] = [getattr(windows.meta, _NAMES[column])[index] for index in present]
  meta = msgspec.structs.replace(
    windows.meta,
    position=windows.meta.all_positions[number],
    positions=None,
    activities=names['activity'],
    subjects=names['subject'],
    counts=_count(columns, names),
  )
  return Windows(windows.signals[rows], **columns, meta=meta)


def save(windows: Windows, folder: Place) -> None:
  """Writes a windows folder completely or not at all: writes it next to `folder`, then renames it.

  Buckets cannot rename: there meta.json is deleted first and written last, as no folder is valid without it.
  Replaces the files of a windows folder, never anything else: other files in it are kept.
  Raises UserError: a full or read-only disk, a folder with other files.
  """
  if folder.exists() and not _is_replaceable(folder):
    raise UserError(f'{folder} exists and is not a windows folder: move it away or choose another --out')
  if storage.is_bucket(folder):
    return _upload(windows, folder)
  try:
    with replacing.folder(folder, _FILES) as partial:
      _write(windows, partial)
  except OSError as error:
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = advice(error) if error.errno else 'free some space'  # NumPy's error for a full disk has no errno
    need_mb = windows.signals.nbytes / 1e6
    raise UserError(f'cannot write {need_mb:.0f} MB of windows to {folder}: {reason}; {hint}') from error


def _write(windows: Windows, folder: pathlib.Path) -> None:
  np.save(folder / 'signals.npy', windows.signals, allow_pickle=False)
  names = _index_columns(windows.meta)
  np.savez(folder / 'index.npz', **{name: getattr(windows, name) for name in names})
  written = {name: checksums.hash_file(folder / name) for name in _FILES[:-1]}
  (folder / 'meta.json').write_bytes(storage.card(records.to_json(windows.meta), written))


def _upload(windows: Windows, folder: Place) -> None:
  """Raises UserError if the bucket cannot be written."""
  filesystem, root = storage.bucket(folder)
  try:
    with tempfile.TemporaryDirectory() as local_copy:
      _write(windows, pathlib.Path(local_copy))
      if filesystem.exists(f'{root}/meta.json'):
        filesystem.rm_file(f'{root}/meta.json')
      for name in _FILES:  # meta.json is the last
        filesystem.put_file(f'{local_copy}/{name}', f'{root}/{name}')
  except OSError as error:
    raise UserError(f'cannot write windows to {folder}: {error}; check the permissions') from error


def local(folder: Place) -> pathlib.Path:
  """A folder of windows folders on the local disk; a folder in a bucket is copied.

  Copies are in the user's cache folder, one per state of the bucket's folder, made once.
  Raises UserError: no windows in the bucket, a full disk.
  """
  if not storage.is_bucket(folder):
    return folder
  filesystem, root = storage.bucket(folder)
  files = {
    name[len(root) :].lstrip('/'): details
    for name, details in sorted(filesystem.find(root, detail=True).items())
    if name.rpartition('/')[2] in _FILES
  }
  if not files:
    raise UserError(f'no windows in {folder}; make some with har-jax prepare')
  state = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
  cache = storage.cache_folder()
  copy = cache / state
  if copy.is_dir():
    return copy
  try:
    cache.mkdir(parents=True, exist_ok=True)
    # Several jobs may run this at once: each downloads to a new folder; the first to finish renames it.
    with tempfile.TemporaryDirectory(dir=cache) as download:
      for name in files:
        (path := pathlib.Path(download) / 'windows' / name).parent.mkdir(parents=True, exist_ok=True)
        filesystem.get_file(f'{root}/{name}', str(path))
      with contextlib.suppress(OSError):
        (pathlib.Path(download) / 'windows').rename(copy)
  except OSError as error:
    raise UserError(f'{folder} cannot be copied to {cache}: {error}; {advice(error)}') from error
  return copy


def load(folder: str | pathlib.Path, card: Card | None = None) -> Windows:
  """Opens a windows folder; the signals are memory-mapped, and compared with their checksum.

  card: what `read_card` returned, so that it is not read again. The checksum takes 0.1 ms a megabyte.
  Raises UserError: no such folder, other files, a damaged file, files that contradict each other.
  """
  folder = pathlib.Path(folder)
  _check_there(folder, _FILES)
  meta, expected = card or read_card(folder)
  index_bytes = storage.read_file(folder / 'index.npz', expected.get('index.npz'), to_do=_PREPARE_AGAIN)
  try:
    signals = np.load(folder / 'signals.npy', mmap_mode='r', allow_pickle=False)
    # Through the map itself, header included: its pages are then there for whoever reads the signals.
    checksum = checksums.hash_bytes(signals.base)
    storage.check_sum(folder / 'signals.npy', checksum, expected.get('signals.npy'), to_do=_PREPARE_AGAIN)
    with np.load(io.BytesIO(index_bytes), allow_pickle=False) as index:
      columns = {name: index[name] for name in _index_columns(meta)}
  except UserError:
    raise
  except Exception as error:  # NumPy, zipfile and the tokenizer of a header's text raise dozens of types
    raise _inconsistent(folder, shorten(error)) from error
  shape = meta.window_samples, CHANNELS
  if signals.dtype != np.float32 or signals.shape[1:] != shape:
    expected_shape = f'float32[w, {", ".join(map(str, shape))}]'
    raise _inconsistent(folder, f'signals are {signals.dtype}{list(signals.shape)}, not {expected_shape}')
  columns.setdefault('position', np.zeros(len(signals), np.int16))
  for name, values in columns.items():
    if values.shape != signals.shape[:1] or values.dtype != _INDEX.get(name, np.int16):
      raise _inconsistent(folder, f'{name} is {values.dtype}{list(values.shape)}')
  for name, entry in _NAMES.items():
    names = getattr(meta, entry)
    if len(signals) and not (columns[name].min() >= 0 and columns[name].max() < len(names)):
      raise _inconsistent(folder, f'{name} is out of range: meta.json names {len(names)}')
  if (np.diff(columns['position']) < 0).any():
    raise _inconsistent(folder, 'the windows are not in the order of their positions')
  return Windows(signals, **columns, meta=meta)


def _index_columns(meta: records.Windows) -> tuple[str, ...]:
  """The columns of index.npz: without positions if there is only one."""
  return (*_INDEX, 'position') if meta.positions else tuple(_INDEX)


def sum_card(card: Card) -> str:
  """The checksum of what numbers depend on: signals, index, and the names that it refers to."""
  meta, expected = card
  named = [meta.activities, meta.subjects, meta.positions]
  return checksums.hash_entries([*(expected.get(file) for file in _FILES[:-1]), *named])


def _check_there(folder: Place, files: Sequence[str]) -> None:
  if missing := [name for name in files if not (folder / name).exists()]:
    raise UserError(
      f'{folder} is not a windows folder ({", ".join(missing)} missing): make one with har-jax prepare'
    )


def read_card(folder: Place) -> Card:
  """The meta.json, and the checksums of the other files. Raises UserError if it is no windows folder."""
  path = folder / 'meta.json'
  _check_there(folder, (path.name,))
  return storage.read_card(path, records.Windows, to_do=_PREPARE_AGAIN)


def _is_replaceable(folder: Place) -> bool:
  with contextlib.suppress(UserError):
    return str(storage.parse(folder / 'meta.json').get('format')).startswith('har_jax')
  return folder.is_dir() and not any(folder.iterdir())


def _inconsistent(folder: Place, reason: str) -> UserError:
  return UserError(f'{folder} is not a valid windows folder ({reason}): {_PREPARE_AGAIN}')
