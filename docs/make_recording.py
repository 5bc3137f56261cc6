"""A recording as a phone's app would export it, and its labels: python docs/make_recording.py --out=watch.

Made up; or what one person of an archive recorded, --archive=motionsense --source=<zip or folder> --subject=5, in the same form.
labels.csv has the first --windows windows of each activity, and truth.csv what comes after them.
"""

import collections
import pathlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from absl import flags

from har_jax.cli import command
from har_jax.config import WINDOW_SAMPLES
from har_jax.data.archives import ARCHIVES
from har_jax.data.recording import RATE_HZ, STANDARD_GRAVITY_M_S2, STEP_SAMPLES, Recording
from har_jax.data.source import Source
from har_jax.data.synthetic import corpus_recordings
from har_jax.errors import UserError

_OUT = flags.DEFINE_string('out', 'watch', 'folder for day.csv, labels.csv and truth.csv')
_ARCHIVE = flags.DEFINE_enum(
  'archive', None, list(ARCHIVES), 'whose recordings to take; made-up ones if not given'
)
_SOURCE = flags.DEFINE_string('source', None, "the archive's zip or folder")
_SUBJECT = flags.DEFINE_string('subject', '1', 'whose recordings, as the archive calls them')
_WINDOWS = flags.DEFINE_integer(
  'windows', 0, 'to label of each activity; 0: all, and no truth.csv', lower_bound=0
)
_APP_HZ = 100.0
_BEGAN_NS = 1_767_000_000_000_000_000  # some morning


def main() -> None:
  rng = np.random.default_rng(0)
  parts: list[np.ndarray] = []
  labels: list[tuple[float, float, str]] = []
  truth: list[tuple[float, float, str]] = []
  taken: collections.Counter = collections.Counter()
  began_s = 0.0
  for recording in _recordings():
    length_s = min(recording.acc.time_s[-1], recording.gyro.time_s[-1])
    ticks = np.arange(0, length_s, 1 / _APP_HZ)
    ticks += rng.uniform(0, 0.4 / _APP_HZ, len(ticks))
    acc_g, gyro_rad_s = (
      np.stack([np.interp(ticks, sensor.time_s, axis) for axis in sensor.values.T], axis=1)
      for sensor in (recording.acc, recording.gyro)
    )
    parts.append(np.column_stack([began_s + ticks, acc_g / STANDARD_GRAVITY_M_S2, np.rad2deg(gyro_rad_s)]))
    for span in recording.spans:
      start_s, stop_s = began_s + span.start_s, began_s + min(span.stop_s, length_s)
      cut_s = stop_s
      if _WINDOWS.value:
        some = min(_WINDOWS.value - taken[span.activity], _windows_in(stop_s - start_s))
        taken[span.activity] += max(some, 0)
        cut_s = start_s + (WINDOW_SAMPLES + (some - 1) * STEP_SAMPLES) / RATE_HZ if some > 0 else start_s
      labels.append((start_s, cut_s, span.activity))
      truth.append((cut_s, stop_s, span.activity))
    began_s += length_s
  if not parts:
    raise UserError(f'{_ARCHIVE.value} has nobody of the name --subject={_SUBJECT.value}')
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  rows = np.concatenate(parts)
  columns = {'timestamp_ns': _BEGAN_NS + (rows[:, 0] * 1e9).astype(np.int64)}
  columns |= {f'acceleration_{axis} (g)': rows[:, 1 + place].round(5) for place, axis in enumerate('xyz')}
  columns |= {f'rotation_{axis} (deg/s)': rows[:, 4 + place].round(3) for place, axis in enumerate('xyz')}
  pd.DataFrame(columns).to_csv(out / 'day.csv', index=False)
  for name, spans in ({'labels': labels} | ({'truth': truth} if _WINDOWS.value else {})).items():
    table = pd.DataFrame([span for span in spans if span[1] > span[0]], columns=['start', 'end', 'activity'])
    table.round(2).to_csv(out / f'{name}.csv', index=False)
  activities = dict.fromkeys(activity for _, _, activity in truth)
  print(f'{out / "day.csv"}: {began_s:.0f} s of {", ".join(activities)}')


def _recordings() -> Iterator[Recording]:
  if _ARCHIVE.value is None:
    yield from corpus_recordings('synth_waist', subjects=1, seconds=30.0)  # one an activity
    return
  if _SOURCE.value is None:
    raise UserError(f"--source= {_ARCHIVE.value}'s zip or folder")
  archive = ARCHIVES[_ARCHIVE.value]
  for recording in archive.read(Source(_SOURCE.value), archive.positions[0], collections.Counter()):
    if recording.subject == _SUBJECT.value:
      yield recording


def _windows_in(length_s: float) -> int:
  return int((length_s * RATE_HZ - WINDOW_SAMPLES) // STEP_SAMPLES) + 1


if __name__ == '__main__':
  command.run(main)
