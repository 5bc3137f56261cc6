"""Turns an archive into a folder of windows, and detects the archives in a folder."""

import collections
import contextlib
import fnmatch
import itertools
import logging
import pathlib
import zipfile
from collections.abc import Iterator

from tqdm import tqdm

from har_jax import __version__, records, storage
from har_jax.archives import ARCHIVES
from har_jax.archives.archive import Archive
from har_jax.archives.source import UNREADABLE, Source
from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import windows as store
from har_jax.datasets.unit_check import UnitCheck
from har_jax.errors import UserError
from har_jax.recordings import limits
from har_jax.signal import cutting, physics
from har_jax.signal.cutting import resample
from har_jax.signal.recording import ACTIVITIES

_LOG = logging.getLogger(__name__)
_SENSORS = {'accelerometer': slice(3), 'gyroscope': slice(3, None)}  # their channels
_CHUNK = 4096  # windows looked at together: memory holds one more copy of them
_MAX_DEPTH = 3  # levels of subfolders to search for archives
_MAX_INNER_ZIPS = 8  # zips within a zip to open; each may be hundreds of megabytes
_MAX_FILES = 2000  # files of an extracted folder to look at
_WITH_MARKER = [archive for archive in ARCHIVES.values() if archive.marker]


def prepare(
  archive: Archive,
  source_path: str | pathlib.Path | None,
  out: str | pathlib.Path,
  *,
  position: str | None = None,
  windowing: Windowing = DEFAULT_WINDOWING,
  progress: bool = True,
) -> store.Windows:
  """Reads an archive, resamples it, cuts windows, and saves them to `<out>/<archive's name>/`.

  `position` is one of the archive's, several joined by commas, or 'all'; by default its first. Of several,
  the first is the position of a target, and sources have all. `source_path` is None for archives that come
  with the package.
  Holds all windows in memory, at the end twice.
  Raises UserError: an unknown position, another archive, a damaged file, more bytes than an archive has,
  units that its reader has not converted, no window, no space. Logs a warning for what is doubtful about
  units and axes.
  """
  positions = _positions(archive, position)
  source_path = source_path or archive.bundled
  if source_path is None:
    raise UserError(f'{archive.name} needs --archive_path: its zip, or the extracted folder')
  source = Source(source_path)
  dropped: collections.Counter = collections.Counter()
  cut: list[cutting.Window] = []
  unit_check = UnitCheck(archive.name, windowing.rate_hz)
  number = -1
  with source.border():
    if archive.marker and not source.find(archive.marker):
      raise UserError(f'{source.path} has no {archive.marker}: is it all of {archive.title}?')
    recordings = itertools.chain.from_iterable(archive.read(source, name, dropped) for name in positions)
    bar = tqdm(recordings, archive.name, unit=' recordings', mininterval=0.5, disable=not progress)
    for number, recording in enumerate(bar):
      unit_check.add(recording)
      pieces = resample(recording, dropped, windowing)
      cut += cutting.cut(
        recording, pieces, dropped, windowing, number=number, majority_label=archive.majority_label
      )
  if source.copies:
    dropped['files that are copies in another folder'] += len(source.copies)
  without = [name for name in positions if name not in {window.position for window in cut}]
  if len(positions) > 1 and without:
    raise UserError(f'{archive.name} has no window at {", ".join(without)}: leave it out of --position')
  unit_check.finish(cut)
  windows = store.gather(
    cut,
    {
      'archive': archive.name,
      'title': archive.title,
      'position': ','.join(positions),
      'license': archive.license,
      'source': source.path.name,
      'checksum': source.checksum(),
      'code_version': __version__,
      'recordings_read': number + 1,
      'dropped': dict(sorted((+dropped).items())),
    },
    windowing,
  )
  folder = storage.place(out) / archive.name
  _warn_of_replaced(folder, windows.meta)
  store.save(windows, folder)
  if own := [name for name in windows.meta.activities if name not in ACTIVITIES]:
    # A misspelled name would be a class of its own, that no source has.
    text = '%s: no public archive has an activity named %s; if others have it by another name, use theirs'
    _LOG.warning(text, archive.name, ', '.join(own))
  for sensor, axes in _SENSORS.items():
    starts = range(0, len(windows.signals), _CHUNK)
    parts = [windows.signals[start : start + _CHUNK, :, axes] for start in starts]
    if sentence := physics.scale_of_few(sensor, parts):
      _LOG.warning('%s: %s', archive.name, sentence)
  return windows


def _warn_of_replaced(folder: storage.Place, new: records.Windows) -> None:
  """Logs a warning if a folder holds other windows: another length, rate, position or source."""
  with contextlib.suppress(UserError):  # nothing was there, or it is damaged
    old = store.read_card(folder)[0]
    if (old.windowing, old.position, old.checksum) != (new.windowing, new.position, new.checksum):
      _LOG.warning(
        '%s: the windows before (%s, %s, of %s) are replaced', folder, old.windowing, old.position, old.source
      )


def is_prepared(
  archive: Archive,
  source_path: str | pathlib.Path,
  out: str | pathlib.Path,
  windowing: Windowing,
  *,
  position: str | None = None,
) -> bool:
  """Returns whether `out` has these windows of an archive: positions, length, rate, source, code version.

  Damaged ones do not count. In a bucket, only their meta.json is looked at.
  """
  wanted, folder = ','.join(_positions(archive, position)), storage.place(out) / archive.name
  try:
    meta = store.read_card(folder)[0] if storage.is_bucket(folder) else store.load(folder).meta
  except UserError:
    return False
  if (meta.code_version, meta.position, meta.windowing) != (__version__, wanted, windowing):
    return False
  return meta.checksum == Source(source_path).checksum()


def _positions(archive: Archive, position: str | None) -> tuple[str, ...]:
  """The positions of an archive that were asked for, in that order, each once."""
  if position == 'all':
    return archive.positions
  positions = tuple(dict.fromkeys((position or archive.positions[0]).split(',')))
  for name in positions:
    if name not in archive.positions:
      raise UserError(
        f'{archive.name} has no position {name!r}; one of {", ".join(archive.positions)}, or all'
      )
  return positions


def detect_archives(folder: str | pathlib.Path) -> list[tuple[Archive, pathlib.Path]]:
  """The archives in a folder, zipped or extracted, up to three levels down; each once, a zip before a folder.

  Zips of one archive that are alone in a folder are its parts: the folder is read. Reads names only, no
  contents. Skips other files; warns of an unreadable zip, and of one that is left out.
  """
  candidates = list(_candidates(pathlib.Path(folder), _MAX_DEPTH, set()))
  zips: dict[str, list[pathlib.Path]] = {}
  for path in candidates:
    if path.is_file() and (archive := _detect_in_zip(path)) is not None:
      zips.setdefault(archive.name, []).append(path)
  detected = {name: (ARCHIVES[name], _whole(name, parts, candidates)) for name, parts in zips.items()}
  for path in filter(pathlib.Path.is_dir, candidates):
    for archive in _WITH_MARKER:
      if archive.name not in detected and _has_marker(path, archive.marker):
        detected[archive.name] = archive, path
  return [detected[name] for name in ARCHIVES if name in detected]


def _whole(name: str, parts: list[pathlib.Path], candidates: list[pathlib.Path]) -> pathlib.Path:
  """The zip of an archive, or the folder that holds its parts and no other zip."""
  folder = parts[0].parent
  if len(parts) > 1 and parts == [path for path in candidates if path.is_file() and path.parent == folder]:
    return folder
  for other in parts[1:]:
    _LOG.warning('%s: %s is read, %s is not; put parts of one archive into a folder', name, parts[0], other)
  return parts[0]


def _candidates(path: pathlib.Path, depth: int, seen: set[pathlib.Path]) -> Iterator[pathlib.Path]:
  """Folders and zips; each once, even if links lead to it."""
  real = path.resolve()
  if real in seen:
    return
  seen.add(real)
  if path.is_file():
    if path.suffix == '.zip':
      yield path
  elif path.is_dir():
    yield path
    with contextlib.suppress(PermissionError):
      for child in sorted(path.iterdir()):
        # Files lie one deeper than the folders that hold them.
        if child.suffix == '.zip' or (depth > 0 and child.is_dir()):
          yield from _candidates(child, depth - 1, seen)


def _has_marker(folder: pathlib.Path, marker: str) -> bool:
  """Returns whether a file matches the marker, relative to this folder."""
  top_pattern, *below = marker.split('/')
  with contextlib.suppress(OSError):
    for top in folder.glob(top_pattern):
      if not below:
        return True
      for file in itertools.islice(top.rglob('*'), _MAX_FILES):
        name = file.relative_to(folder).as_posix()
        names = [name]
        if file.suffix == '.zip' and file.is_file():
          with contextlib.suppress(*UNREADABLE), zipfile.ZipFile(file) as inner:
            names = [f'{name}/{entry}' for entry in inner.namelist()]
        if fnmatch.filter(names, marker):
          return True
  return False


def _detect_in_zip(path: pathlib.Path) -> Archive | None:
  try:
    with zipfile.ZipFile(path) as outer:
      names = outer.namelist()
      archive = _detect_in_names(names)
      inner_zips = (name for name in names if name.endswith('.zip') and '__MACOSX/' not in name)
      for name in itertools.islice(inner_zips, _MAX_INNER_ZIPS):
        entry = outer.getinfo(name)
        if archive is None and not limits.is_bomb(entry.file_size, entry.compress_size):
          with outer.open(name) as file, zipfile.ZipFile(file) as inner:
            archive = _detect_in_names([f'{name}/{entry}' for entry in inner.namelist()])
      return archive
  except UNREADABLE as error:
    _LOG.warning('%s skipped: %s', path, error)
    return None


def _detect_in_names(names: list[str]) -> Archive | None:
  rooted = [f'/{name}' for name in names]
  return next((one for one in _WITH_MARKER if fnmatch.filter(rooted, f'*/{one.marker}')), None)
