"""Makes windows from an archive: python launch/prepare.py --archive=hapt --source='HAPT Data Set.zip'."""

import pathlib
import sys

from absl import flags

from har_jax.cli import command
from har_jax.data.archives import ARCHIVES
from har_jax.data.archives.archive import Archive
from har_jax.errors import UserError

_ARCHIVE = flags.DEFINE_enum(
  'archive',
  None,
  [*ARCHIVES, 'all', 'synthetic'],
  "which archive; all that --source's folder holds; or the made-up ones",
)
_SOURCE = flags.DEFINE_string('source', None, 'the zip, the extracted folder, or a folder of archives')
_OUT = flags.DEFINE_string(
  'out', 'windows', 'folder or bucket (gs://, s3://) for the windows, one folder per archive within'
)
_POSITION = flags.DEFINE_string(
  'position', None, "where the device is worn; the archive's first if not given"
)
_DOWNLOAD = flags.DEFINE_bool(
  'download', False, "fetch the official archive into --source, or 'archives', first"
)


def main() -> None:
  from har_jax.data.prepare import prepare

  for archive, source in _chosen():
    windows = prepare(archive, source, _OUT.value, position=_POSITION.value)
    print(_summary(windows.meta), flush=True)


def _chosen() -> list[tuple[Archive, pathlib.Path | None]]:
  from har_jax.data.prepare import is_prepared, recognize

  if _ARCHIVE.value is None:
    raise UserError(f'which archive? --archive= one of {", ".join(ARCHIVES)}, all or synthetic')
  if _ARCHIVE.value == 'synthetic':
    return [(archive, None) for archive in ARCHIVES.values() if not archive.marker]
  if _ARCHIVE.value != 'all':
    archive = ARCHIVES[_ARCHIVE.value]
    if _DOWNLOAD.value:
      from har_jax.data.download import fetch

      return [(archive, pathlib.Path(fetch(archive, pathlib.Path(_SOURCE.value or 'archives'))))]
    if _SOURCE.value is None:
      return [(archive, None)]
    given = pathlib.Path(_SOURCE.value)
    held = {found.name: path for found, path in recognize(given)} if given.is_dir() else {}
    return [(archive, held.get(archive.name, given))]
  if _SOURCE.value is None or _DOWNLOAD.value:
    raise UserError('--archive=all needs --source= a folder of archives, and downloads nothing')
  found = recognize(_SOURCE.value)
  if not found:
    raise UserError(f'no archive in {_SOURCE.value} that we know: {", ".join(ARCHIVES)}')
  chosen: list[tuple[Archive, pathlib.Path | None]] = []
  for archive, path in found:
    if is_prepared(archive, path, _OUT.value, position=_POSITION.value):
      print(
        f'{archive.name}: {_OUT.value}/{archive.name} is up to date; delete it to prepare it again',
        file=sys.stderr,
      )
    else:
      chosen.append((archive, path))
  return chosen


def _summary(meta: dict) -> str:
  from tabulate import tabulate

  counts = meta['counts']
  title = (
    f'{meta["archive"]} ({meta["position"]}): {counts["windows"]} windows, {len(meta["subjects"])} subjects, '
    f'{counts["recordings"]} recordings'
  )
  parts = [title, tabulate(counts['by_activity'].items(), headers=('activity', 'windows'))]
  if meta['dropped']:
    parts.append(tabulate(meta['dropped'].items(), headers=('left out', 'count')))
  return '\n\n'.join(parts) + '\n'


if __name__ == '__main__':
  command.run(main)
