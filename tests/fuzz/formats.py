"""Every format that har_jax reads: a small valid input, how it is damaged, and what is read of it."""

import collections
import contextlib
import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import made_archives
import made_files
import mutations
import numpy as np
from made_archives import Read, digest

from har_jax.archives import ARCHIVES
from har_jax.archives.archive import Archive


@dataclasses.dataclass(frozen=True)
class Format:
  """`build` writes a valid input to a folder; `damage` changes one of its files; `read` may write to `out`.

  `has_sum`: the format holds a checksum, so damage must be refused or change nothing.
  """

  name: str
  build: Callable[[pathlib.Path], None]
  damage: Callable[[bytes, mutations.Random], bytes]
  read: Callable[[pathlib.Path, pathlib.Path], Read]
  has_sum: bool
  files: str = '*'  # which are damaged


def _build_archive(folder: pathlib.Path, name: str) -> None:
  (folder / 'a.zip').write_bytes(made_archives.zipped(made_archives.made(name)))


def _read_archive(folder: pathlib.Path, out: pathlib.Path, name: str) -> Read:
  return _prepared(ARCHIVES[name], folder / 'a.zip', out)


def _prepared(archive: Archive, source: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax.datasets.prepare import prepare

  windows = prepare(archive, source, out, progress=False)
  names = [np.array(windows.meta[each]) for each in ('activities', 'subjects')]
  labels = names[0][windows.activity].tolist(), names[1][windows.subject].tolist()
  return digest(windows.signals, labels, windows.start_s), repr(windows.meta['dropped'])


def _archives(damage: Callable, kind: str, has_sum: bool) -> list[Format]:
  return [
    Format(
      f'archive {name}, {kind}',
      functools.partial(_build_archive, name=name),
      damage,
      functools.partial(_read_archive, name=name),
      has_sum,
    )
    for name in made_archives.NAMES
  ]


def _recording() -> Any:
  import pandas as pd

  rows = 700
  time_s = np.arange(rows) / 50
  rng = np.random.default_rng(1)
  values = np.sin(2 * np.pi * 1.9 * time_s[:, None] + np.arange(6)) + rng.normal(0, 0.05, (rows, 6))
  values[:, 2] += 9.6
  frame = pd.DataFrame(values.round(5), columns=['ax', 'ay', 'az', 'gx', 'gy', 'gz'])
  frame.insert(0, 'time', (time_s * 1000).astype(int))
  return frame


def _build_csv(folder: pathlib.Path) -> None:
  _recording().to_csv(folder / 'day.csv', index=False)


def _build_labels(folder: pathlib.Path) -> None:
  _build_csv(folder)
  (folder / 'labels.csv').write_text('start,end,activity\n0,6,walking\n6,13.5,sitting\n')


def _build_parquet(folder: pathlib.Path) -> None:
  _recording().to_parquet(folder / 'day.parquet')


def _build_sensor_files(folder: pathlib.Path) -> None:
  """As some phone apps write them: a file a sensor."""
  frame = _recording()
  for name, columns in (('Accelerometer', ['ax', 'ay', 'az']), ('Gyroscope', ['gx', 'gy', 'gz'])):
    part = frame[['time', *columns]].set_axis(['time', 'x', 'y', 'z'], axis=1)
    part.assign(time=part['time'] / 1000).to_csv(folder / f'{name}.csv', index=False)


def _read_recording(folder: pathlib.Path, out: pathlib.Path, file: str, labels: str | None = None) -> Read:
  from har_jax import recordings

  del out  # nothing is written
  reading = recordings.read(folder / file, labels=folder / labels if labels else None)
  warnings = reading.warnings + recordings.check(reading)
  dropped: collections.Counter = collections.Counter()
  windows = recordings.to_windows(reading, dropped=dropped) if labels else []
  windows += recordings.unlabeled_windows(reading)
  numbers = [each.signal for each in windows], [(each.activity, each.start_s) for each in windows]
  return digest(*numbers[0], numbers[1]), repr((reading.notes, warnings, dropped))


def _build_dataset(folder: pathlib.Path) -> None:
  (folder / 'dataset.toml').write_text(
    'name = "mine"\nlicense = "CC0"\nposition = "wrist"\nrate_hz = 50.0\n[activities]\ngo = "walking"\n'
    '[columns]\nax = "ax"\nay = "ay"\naz = "az"\n[units]\nacc = "m/s2"\ngyro = "rad/s"\ntime = "ms"\n'
  )
  for subject, label in (('1', 'go'), ('2', 'sitting')):
    (folder / subject).mkdir()
    _recording().head(300).assign(label=label).to_csv(folder / subject / 'day.csv', index=False)


def _read_dataset(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax.archives import own_dataset

  return _prepared(own_dataset.load(folder / 'dataset.toml'), folder, out)


def sealed(content: bytes, rng: mutations.Random) -> bytes:
  """A card with another value and right sums, as a hostile hand would write it."""
  from har_jax import checksums, storage  # type: ignore[attr-defined]

  entries, files = checksums.unseal(json.loads(content))
  while True:
    with contextlib.suppress(ValueError):  # NaN, which no card can hold
      return storage.card(mutations.damaged_value(entries, rng), files)


_FOLDERS = (
  ('windows', made_files.build_windows, made_files.read_windows, '*.json'),
  ('base', made_files.build_base, made_files.read_base, '*.json'),
  ('recording head', made_files.build_recording_head, made_files.read_recording_head, 'recording_head.json'),
  ('adapter', made_files.build_adapter, made_files.read_adapter, 'adapter.json'),
  ('results', made_files.build_results, made_files.read_results, '*.json'),
)
_CSV = functools.partial(_read_recording, file='day.csv')

FORMATS: dict[str, Format] = {
  each.name: each
  for each in (
    *_archives(mutations.damaged_bytes, 'bytes of its zip', True),
    *_archives(mutations.damaged_member, 'a file in its zip', False),
    Format('recording, CSV', _build_csv, mutations.damaged_text, _CSV, False),
    Format(
      'recording, Parquet',
      _build_parquet,
      mutations.damaged_bytes,
      functools.partial(_read_recording, file='day.parquet'),
      False,
    ),
    Format(
      'recording, a file a sensor',
      _build_sensor_files,
      mutations.damaged_text,
      functools.partial(_read_recording, file='.'),
      False,
    ),
    Format(
      'labels',
      _build_labels,
      mutations.damaged_text,
      functools.partial(_CSV, labels='labels.csv'),
      False,
      'labels.csv',
    ),
    Format('own dataset', _build_dataset, mutations.damaged_text, _read_dataset, False),
    *(
      Format(f'{name}, bytes', build, mutations.damaged_bytes, read, True)
      for name, build, read, _ in _FOLDERS
    ),
    *(
      Format(f'{name}, card', build, mutations.damaged_json, read, True, cards)
      for name, build, read, cards in _FOLDERS
    ),
    *(
      Format(f'{name}, card with right sums', build, sealed, read, False, cards)
      for name, build, read, cards in _FOLDERS
    ),
    Format(
      'table of runs, bytes', made_files.build_table, mutations.damaged_bytes, made_files.read_table, True
    ),
    Format(
      'table of runs, text', made_files.build_table, mutations.damaged_text, made_files.read_table, True
    ),
    Format(
      'checkpoints', made_files.build_checkpoints, mutations.damaged_bytes, made_files.read_checkpoints, True
    ),
  )
}
