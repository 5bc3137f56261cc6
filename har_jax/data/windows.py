"""Windows of 2.56 s and their folder on disk: signals.npy, index.npz, meta.json.

w windows, n samples of a piece; a window is [128, 6].
"""

import collections
import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int16, Int32

from har_jax import storage
from har_jax.config import CHANNELS, WINDOW_SAMPLES
from har_jax.data.recording import ACTIVITIES, RATE_HZ, STEP_SAMPLES, Recording
from har_jax.data.resample import Piece
from har_jax.errors import UserError
from har_jax.storage import Place

FORMAT = 'har_jax windows 1'
_FILES = ('signals.npy', 'index.npz', 'meta.json')
_INDEX = ('activity', 'subject', 'recording', 'start_s')
_WINDOW_S = WINDOW_SAMPLES / RATE_HZ
_SLACK = 1e-3  # of a sample: a span's edge that rounding moved is still that sample's


@dataclasses.dataclass(frozen=True)
class Windows:
  """An archive's windows, in the order of its recordings.

  `signals` in m/s² with gravity and rad/s, not normalized. `activity` indexes meta['activities'], `subject`
  indexes meta['subjects']; `recording` counts recordings as read; `start_s` is on the recording's clock.
  """

  signals: Float32[np.ndarray, 'w 128 6']
  activity: Int16[np.ndarray, 'w']
  subject: Int16[np.ndarray, 'w']
  recording: Int32[np.ndarray, 'w']
  start_s: Float[np.ndarray, 'w']
  meta: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Window:
  """One window and where it was cut."""

  signal: Float32[np.ndarray, '128 6']
  activity: str
  subject: str
  recording: int
  start_s: float


def cut(
  recording: Recording, pieces: Sequence[Piece], dropped: collections.Counter, *, number: int = 0
) -> Iterator[Window]:
  """Windows that lie within one labeled span and one piece, span after span; `number` is the recording's.

  The first begins with the span, or with the piece where that begins later; each next one 64 samples on.
  Raises UserError where a window holds a value that is not finite.
  """
  for span in recording.spans:
    count = 0
    for piece in pieces:
      # Samples at or after the start, before the stop.
      first = max(math.ceil((span.start_s - piece.start_s) * RATE_HZ - _SLACK), 0)
      end = min(math.ceil((span.stop_s - piece.start_s) * RATE_HZ - _SLACK), len(piece.signal))
      for begin in range(first, end - WINDOW_SAMPLES + 1, STEP_SAMPLES):
        signal = piece.signal[begin : begin + WINDOW_SAMPLES]
        start_s = piece.start_s + begin / RATE_HZ
        if not np.isfinite(signal).all():
          raise UserError(
            f'recording {number} (subject {recording.subject}, {span.activity}) holds a value that is not '
            f'finite in the {_WINDOW_S} s from {start_s:.2f} s on: is the archive damaged?'
          )
        yield Window(signal, span.activity, recording.subject, number, start_s)
        count += 1
    if not count:
      short = span.stop_s - span.start_s < _WINDOW_S - _SLACK / RATE_HZ
      dropped[
        'spans shorter than a window' if short else 'spans without a window of both sensors unbroken'
      ] += 1


def gather(windows: Sequence[Window], meta: dict[str, Any]) -> Windows:
  """Windows of one archive; adds activities, subjects, counts and the format to `meta`.

  Raises UserError where there is none.
  """
  if not windows:
    raise UserError(
      f'no window of {_WINDOW_S} s in {meta.get("archive", "these recordings")}: nothing to learn from'
    )
  present = {window.activity for window in windows}
  activities = [activity for activity in ACTIVITIES if activity in present]
  if unknown := present - set(activities):
    raise ValueError(f'no such activity: {", ".join(sorted(unknown))}; see recording.ACTIVITIES')
  subjects = list(dict.fromkeys(window.subject for window in windows))
  counts = {
    'windows': len(windows),
    'recordings': len({window.recording for window in windows}),
    'by_activity': _counts([window.activity for window in windows], activities),
    'by_subject': _counts([window.subject for window in windows], subjects),
  }
  of_activity = {activity: index for index, activity in enumerate(activities)}
  of_subject = {subject: index for index, subject in enumerate(subjects)}
  return Windows(
    signals=np.stack([window.signal for window in windows]),
    activity=np.array([of_activity[window.activity] for window in windows], np.int16),
    subject=np.array([of_subject[window.subject] for window in windows], np.int16),
    recording=np.array([window.recording for window in windows], np.int32),
    start_s=np.array([window.start_s for window in windows], np.float64),
    meta={
      'format': FORMAT,
      **meta,
      'rate_hz': RATE_HZ,
      'channels': [f'{sensor}_{axis}' for sensor in ('acc', 'gyro') for axis in 'xyz'],
      'units': ['m/s²'] * 3 + ['rad/s'] * 3,
      'activities': activities,
      'subjects': subjects,
      'counts': counts,
    },
  )


def save(windows: Windows, folder: str | Place) -> None:
  """Writes a windows folder, all of it or none: it is written beside `folder` and renamed when complete.

  In a bucket, where nothing can be renamed, meta.json goes first and comes last: without it the rest is no windows folder.
  Replaces a windows folder, never anything else.
  Raises UserError: a full or read-only disk, a folder of something else.
  """
  folder = _place(folder)
  if folder.exists() and not _is_ours(folder):
    raise UserError(f'{folder} exists and holds no windows: move it away or write elsewhere')
  if storage.is_bucket(folder):
    return _upload(windows, folder)
  partial = folder.with_name(f'.{folder.name}.{os.getpid()}.partial')
  replaced = folder.with_name(f'.{folder.name}.{os.getpid()}.replaced')
  try:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir()
    _write(windows, partial)
    if folder.exists():
      folder.rename(replaced)  # a folder cannot be renamed onto one that is not empty
    partial.rename(folder)
  except OSError as error:
    if replaced.exists() and not folder.exists():
      replaced.rename(folder)
    reason = os.strerror(error.errno) if error.errno else str(error)
    # NumPy reports a full disk as bytes asked for and bytes written, without a number.
    refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
    hint = 'may you write there?' if refused else 'free some space'
    need_mb = windows.signals.nbytes / 1e6
    raise UserError(f'cannot write {need_mb:.0f} MB of windows to {folder}: {reason}; {hint}') from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)
    if folder.exists():
      shutil.rmtree(replaced, ignore_errors=True)


def _write(windows: Windows, folder: pathlib.Path) -> None:
  np.save(folder / 'signals.npy', windows.signals, allow_pickle=False)
  np.savez(folder / 'index.npz', **{name: getattr(windows, name) for name in _INDEX})
  text = json.dumps(windows.meta, indent=2, ensure_ascii=False)
  (folder / 'meta.json').write_text(f'{text}\n', encoding='utf-8')


def _upload(windows: Windows, folder: Place) -> None:
  """Raises UserError where the bucket refuses."""
  filesystem, root = storage.bucket(folder)
  try:
    with tempfile.TemporaryDirectory() as written:
      _write(windows, pathlib.Path(written))
      if filesystem.exists(f'{root}/meta.json'):
        filesystem.rm_file(f'{root}/meta.json')
      for name in _FILES:  # meta.json is the last
        filesystem.put_file(f'{written}/{name}', f'{root}/{name}')
  except OSError as error:
    raise UserError(f'cannot write windows to {folder}: {error}; may you write there?') from error


def local(folder: Place) -> pathlib.Path:
  """A folder of windows folders, on this machine's disk: the one given or, of a bucket's, a copy.

  Copies lie under ~/.cache/har_jax (or $XDG_CACHE_HOME), one for each state of a bucket's folder, and are made once.
  Raises UserError where the bucket holds no windows, or the disk not so much.
  """
  if not storage.is_bucket(folder):
    return folder
  filesystem, root = storage.bucket(folder)
  found = {
    name[len(root) :].lstrip('/'): about
    for name, about in sorted(filesystem.find(root, detail=True).items())
    if name.rpartition('/')[2] in _FILES
  }
  if not found:
    raise UserError(f'no windows under {folder}; make some with launch/prepare.py')
  state = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]
  cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'har_jax'
  copy = cache / state
  if copy.is_dir():
    return copy
  try:
    cache.mkdir(parents=True, exist_ok=True)
    # Several jobs of a machine may do this at once: each in a folder of its own, and the first to be done gives the name.
    with tempfile.TemporaryDirectory(dir=cache) as fetched:
      for name in found:
        (path := pathlib.Path(fetched) / 'windows' / name).parent.mkdir(parents=True, exist_ok=True)
        filesystem.get_file(f'{root}/{name}', str(path))
      with contextlib.suppress(OSError):
        (pathlib.Path(fetched) / 'windows').rename(copy)
  except OSError as error:
    raise UserError(f'{folder} cannot be copied to {cache}: {error}; free some space') from error
  return copy


def load(folder: str | pathlib.Path) -> Windows:
  """A windows folder; the signals stay on disk and are read as they are used.

  Raises UserError: no such folder, a folder of something else, files that do not belong together.
  """
  folder = pathlib.Path(folder)
  if missing := [name for name in _FILES if not (folder / name).is_file()]:
    raise UserError(
      f'{folder} is no windows folder ({", ".join(missing)} missing): make one with launch/prepare.py'
    )
  meta = read_meta(folder)
  try:
    signals = np.load(folder / 'signals.npy', mmap_mode='r', allow_pickle=False)
    with np.load(folder / 'index.npz', allow_pickle=False) as index:
      columns = {name: index[name] for name in _INDEX}
  except (ValueError, OSError, KeyError, EOFError) as error:
    raise _inconsistent(folder, str(error)) from error
  if signals.dtype != np.float32 or signals.shape[1:] != (WINDOW_SAMPLES, CHANNELS):
    raise _inconsistent(folder, f'signals are {signals.dtype}{list(signals.shape)}, not float32[w, 128, 6]')
  for name, dtype in zip(_INDEX, (np.int16, np.int16, np.int32, np.float64), strict=True):
    if columns[name].shape != signals.shape[:1] or columns[name].dtype != dtype:
      raise _inconsistent(folder, f'{name} is {columns[name].dtype}{list(columns[name].shape)}')
  for name, words in (('activity', meta['activities']), ('subject', meta['subjects'])):
    if len(signals) and not (columns[name].min() >= 0 and columns[name].max() < len(words)):
      raise _inconsistent(folder, f'{name} points outside its {len(words)} words')
  return Windows(signals, **columns, meta=meta)


def read_meta(folder: str | Place) -> dict[str, Any]:
  """The meta.json of a windows folder. Raises UserError where it is not one of ours."""
  path = _place(folder) / 'meta.json'
  try:
    meta = json.loads(path.read_bytes().decode())
  except (OSError, ValueError) as error:
    raise _inconsistent(path.parent, f'meta.json: {error}') from error
  if not isinstance(meta, dict) or meta.get('format') != FORMAT:
    raise _inconsistent(path.parent, f'meta.json does not say {FORMAT!r}')
  if meta.get('rate_hz') != RATE_HZ or not {'activities', 'subjects', 'counts'} <= meta.keys():
    raise _inconsistent(path.parent, 'meta.json lacks the rate, the activities, the subjects or the counts')
  return meta


def _counts(values: Sequence[str], order: Sequence[str]) -> dict[str, int]:
  counted = collections.Counter(values)
  return {value: counted[value] for value in order}


def _place(folder: str | Place) -> Place:
  return pathlib.Path(folder) if isinstance(folder, str) else folder


def _is_ours(folder: Place) -> bool:
  with contextlib.suppress(OSError, ValueError, AttributeError):
    return str(json.loads((folder / 'meta.json').read_bytes().decode()).get('format')).startswith('har_jax')
  return folder.is_dir() and not any(folder.iterdir())


def _inconsistent(folder: Place, reason: str) -> UserError:
  return UserError(f'{folder} is no sound windows folder ({reason}): delete it and prepare it again')
