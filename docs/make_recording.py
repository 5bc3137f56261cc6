"""Make a recording in the format of a phone app, and its labels, to try `har-jax adapt` with.

python docs/make_recording.py --out=watch

The signals are those of one person: of the sample that comes with the package, or of an archive with
--archive=hapt --archive_path=<zip or folder> --subject=5.

day.csv     the recording
labels.csv  the first --windows_per_activity windows of each activity
truth.csv   the labels of the rest

--people=5 writes a folder for each of the archive's first five people: day.csv, and day.labels.csv, which the
commands find next to it.
"""

import collections
import itertools
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd

from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.cli import command
from har_jax.config import DEFAULT_WINDOWING as WINDOWING
from har_jax.errors import UserError
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording

FLAGS, _define = command.new_flags()
_OUT = _define('out', 'watch', 'folder for day.csv, labels.csv and truth.csv')
_ARCHIVE = _define('archive', 'sample_motionsense', 'archive of the recordings', choices=list(ARCHIVES))
_ARCHIVE_PATH = _define(
  'archive_path', None, "the archive's zip or extracted folder; none if it comes with the package"
)
_SUBJECT = _define('subject', '1', 'subject, by its name in the archive')
_PEOPLE = _define(
  'people',
  0,
  'the first so many people of the archive, a folder for each, and a dataset.toml; 0: --subject alone',
  lower_bound=0,
)
_WINDOWS = _define(
  'windows_per_activity', 0, 'windows to label of each activity; 0: all, without truth.csv', lower_bound=0
)
_APP_HZ = 100.0
_START_NS = 1_767_000_000_000_000_000  # 2025-12-29T09:20Z


def main() -> None:
  out = pathlib.Path(_OUT.value)
  by_subject = itertools.groupby(_recordings(), key=lambda recording: recording.subject)
  if _PEOPLE.value:
    people = itertools.islice(by_subject, _PEOPLE.value)
    written = [_write(recordings, out / subject) for subject, recordings in people]
    (out / 'dataset.toml').write_text(f'name = "{out.name}"\n', encoding='utf-8')
  else:
    written = [_write(recordings, out) for subject, recordings in by_subject if subject == _SUBJECT.value]
  if not written:
    raise UserError(f'{_ARCHIVE.value} has no subject --subject={_SUBJECT.value}')
  print(*written, sep='\n')


def _write(recordings: Iterator[Recording], folder: pathlib.Path) -> str:
  """Writes the recordings of one subject as one; returns what it holds."""
  rng = np.random.default_rng(0)
  parts: list[np.ndarray] = []
  labels: list[tuple[float, float, str]] = []
  truth: list[tuple[float, float, str]] = []
  labeled: collections.Counter = collections.Counter()
  offset_s = 0.0
  for recording in recordings:
    length_s = min(recording.acc.time_s[-1], recording.gyro.time_s[-1])
    time_s = np.arange(0, length_s, 1 / _APP_HZ)
    time_s += rng.uniform(0, 0.4 / _APP_HZ, len(time_s))
    acc_m_s2, gyro_rad_s = (
      np.stack([np.interp(time_s, sensor.time_s, axis) for axis in sensor.values.T], axis=1)
      for sensor in (recording.acc, recording.gyro)
    )
    parts.append(
      np.column_stack([offset_s + time_s, acc_m_s2 / STANDARD_GRAVITY_M_S2, np.rad2deg(gyro_rad_s)])
    )
    for span in recording.spans:
      start_s, stop_s = offset_s + span.start_s, offset_s + min(span.stop_s, length_s)
      cut_s = stop_s
      if _WINDOWS.value:
        count = min(_WINDOWS.value - labeled[span.activity], _windows_in(stop_s - start_s))
        labeled[span.activity] += max(count, 0)
        cut_s = start_s + _seconds_of(count)
      labels.append((start_s, cut_s, span.activity))
      truth.append((cut_s, stop_s, span.activity))
    offset_s += length_s
  folder.mkdir(parents=True, exist_ok=True)
  rows = np.concatenate(parts)
  columns = {'timestamp_ns': _START_NS + (rows[:, 0] * 1e9).astype(np.int64)}
  columns |= {f'acceleration_{axis} (g)': rows[:, 1 + index].round(5) for index, axis in enumerate('xyz')}
  columns |= {f'rotation_{axis} (deg/s)': rows[:, 4 + index].round(3) for index, axis in enumerate('xyz')}
  pd.DataFrame(columns).to_csv(folder / 'day.csv', index=False)
  files = {'day.labels': labels} if _PEOPLE.value else {'labels': labels}
  files |= {'truth': truth} if _WINDOWS.value and not _PEOPLE.value else {}
  for name, spans in files.items():
    table = pd.DataFrame([span for span in spans if span[1] > span[0]], columns=['start', 'end', 'activity'])
    table.round(2).to_csv(folder / f'{name}.csv', index=False)
  activities = dict.fromkeys(activity for _, _, activity in truth)
  return f'{folder / "day.csv"}: {offset_s:.0f} s of {", ".join(activities)}'


def _recordings() -> Iterator[Recording]:
  archive = ARCHIVES[_ARCHIVE.value]
  path = _ARCHIVE_PATH.value or archive.bundled
  if path is None:
    raise UserError(f"--archive_path= {archive.name}'s zip or folder")
  return archive.read(Source(path), archive.positions[0], collections.Counter())


def _windows_in(length_s: float) -> int:
  return int((length_s * WINDOWING.rate_hz - WINDOWING.samples) // WINDOWING.step_samples) + 1


def _seconds_of(windows: int) -> float:
  samples = WINDOWING.samples + (windows - 1) * WINDOWING.step_samples
  return samples / WINDOWING.rate_hz if windows > 0 else 0.0


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))
