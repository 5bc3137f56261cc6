"""Cut an archive of recordings into windows.

har-jax prepare hapt --archive_path='HAPT Data Set.zip' --out=windows
har-jax prepare all --archive_path=archives --out=windows
har-jax prepare my_study/dataset.toml --out=windows
har-jax prepare hapt --archive_path=archives --window_samples=256 --out=windows_of_5_s
"""

import functools
import multiprocessing
import pathlib
import sys
from concurrent import futures
from typing import Any

from har_jax import config, records
from har_jax.archives import ARCHIVES, own_dataset
from har_jax.archives.archive import Archive
from har_jax.archives.sample import SAMPLE
from har_jax.cli import command, jobs
from har_jax.errors import UserError, counted

POSITIONAL = ('archive',)
COMMON = 'archive archive_path position window_samples window_rate_hz download out'
FLAGS, _define = command.new_flags()
_ARCHIVE = _define(
  'archive',
  None,
  f'one of {", ".join(ARCHIVES)}; all: every one in the folder --archive_path; sample: the '
  'excerpts of real archives that come with the package; or the dataset.toml of your own dataset',
)
_ARCHIVE_PATH = _define(
  'archive_path', None, "the archive's zip or extracted folder, or a folder of archives"
)
_OUT = _define('out', 'windows', 'folder or bucket (gs://, s3://) for the windows, one folder per dataset')
_POSITION = _define(
  'position',
  None,
  "where the device is worn: one position, several joined by commas, or all (default: the archive's first). "
  'A target has the first one only; a source has all',
)
_windowing = command.define_fields(FLAGS, config.Windowing, prefix='window_')
_DOWNLOAD = _define(
  'download', False, 'first download the official archive to --archive_path, or to archives/'
)
_ALLOW_HTTP = _define(
  'allow_http', False, 'with --download: also without encryption, where anyone on the way can change the file'
)


def main() -> None:
  import tqdm

  pairs = _select()
  processes = min(len(jobs.cores()), len(pairs)) if _ARCHIVE.value == 'all' else 1
  prepare = functools.partial(
    _prepare,
    out=_OUT.value,
    position=_POSITION.value,
    windowing=config.Windowing(**_windowing()),
    progress=processes == 1,  # bars of several processes would overwrite each other
  )
  if processes <= 1:
    for archive, path in pairs:
      print(_summary(prepare(archive, path)), flush=True)
    return
  with futures.ProcessPoolExecutor(processes, multiprocessing.get_context('spawn')) as pool:
    metas = pool.map(prepare, *zip(*pairs, strict=True))
    try:
      for meta in tqdm.tqdm(metas, 'archives', total=len(pairs), unit=' archives'):
        print(_summary(meta), flush=True)
    except futures.process.BrokenProcessPool as error:
      raise UserError(
        'a process that prepared an archive was killed, perhaps for want of memory; '
        'prepare one archive after the other, by name'
      ) from error


def _prepare(archive: Archive, path: pathlib.Path | None, **options: Any) -> records.Windows:
  from har_jax.datasets.prepare import prepare

  return prepare(archive, path, **options).meta


def _select() -> list[tuple[Archive, pathlib.Path | None]]:
  from har_jax.datasets.prepare import detect_archives, is_prepared

  name, path = _ARCHIVE.value, pathlib.Path(_ARCHIVE_PATH.value) if _ARCHIVE_PATH.value else None
  if name is None:
    raise UserError(f'--archive= one of {", ".join(ARCHIVES)}, all or sample')
  if name == 'sample':
    return [(archive, None) for archive in SAMPLE]
  if name.endswith('.toml'):
    return [(own_dataset.load(name), pathlib.Path(name).parent)]
  if name not in (*ARCHIVES, 'all'):
    raise UserError(f'--archive={name}: give one of {", ".join(ARCHIVES)}, all, sample, or a dataset.toml')
  if name != 'all':
    archive = ARCHIVES[name]
    if _DOWNLOAD.value:
      from har_jax.archives.download import fetch

      folder = path or pathlib.Path('archives')
      return [(archive, fetch(archive, folder, allow_http=_ALLOW_HTTP.value))]
    if path is None:
      return [(archive, None)]
    paths = {archive.name: source for archive, source in detect_archives(path)} if path.is_dir() else {}
    return [(archive, paths.get(name, path))]
  if path is None or _DOWNLOAD.value:
    raise UserError('--archive=all needs --archive_path= a folder of archives, and no --download')
  detected = detect_archives(path)
  if not detected:
    raise UserError(f'--archive_path={path} holds none of the archives {", ".join(ARCHIVES)}')
  pairs: list[tuple[Archive, pathlib.Path | None]] = []
  for archive, source in detected:
    if is_prepared(archive, source, _OUT.value, config.Windowing(**_windowing()), position=_POSITION.value):
      print(
        f'{archive.name}: {_OUT.value}/{archive.name} is up to date; delete it to prepare it again',
        file=sys.stderr,
      )
    else:
      pairs.append((archive, source))
  return pairs


def _summary(meta: records.Windows) -> str:
  from tabulate import tabulate

  counts = meta.counts
  title = (
    f'{meta.archive} ({meta.position}): {counted(counts.windows, "window")}, '
    f'{counted(len(meta.subjects), "subject")}, {counted(counts.recordings, "recording")}'
  )
  parts = [title, tabulate(counts.by_activity.items(), headers=('activity', 'windows'))]
  if counts.by_position:
    parts.append(tabulate(counts.by_position.items(), headers=('position', 'windows')))
  if meta.dropped:
    parts.append(tabulate(meta.dropped.items(), headers=('left out', 'count')))
  return '\n\n'.join(parts) + '\n'
