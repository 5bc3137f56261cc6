"""Files as a user has them, and the recordings that they hold."""

import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import export_base
import exports
import numpy as np
import pandas as pd
import pytest
import zips
from export_base import DEGREES as DEGREES
from export_base import EPOCH_S as EPOCH_S

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING

START = '2026-05-28T20:26:40'


def signal(samples: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Seconds at 50 Hz, m/s² with gravity, rad/s: a brisk walk with noise."""
  one = export_base.recording(samples)
  return one.time_s, one.acc, one.gyro


def frame(time, acc, gyro, names='time ax ay az gx gy gz') -> pd.DataFrame:
  columns = [time, *acc.T, *([] if gyro is None else gyro.T)]
  return pd.DataFrame(dict(zip(names.split(), columns, strict=True)))


FRAME = frame(*signal()).round(6)
ACC, GYRO = ['ax', 'ay', 'az'], ['gx', 'gy', 'gz']
AXES = [*ACC, *GYRO]
SENSORS = {
  name: FRAME[['time', *axes]].set_axis(['time', *'xyz'], axis=1)
  for name, axes in (('Accelerometer.csv', ACC), ('Gyroscope.csv', GYRO))
}


def written(tmp_path, frame: pd.DataFrame, name='walk.csv', **options):
  path = tmp_path / name
  frame.to_csv(path, index=False, **options)
  return path


def put(folder: pathlib.Path, content: Any) -> pathlib.Path:
  """Writes a table or text as day.csv, a pair of name and bytes as a file, a dict of such as a folder."""
  if isinstance(content, pd.DataFrame):
    return written(folder, content, 'day.csv')
  if isinstance(content, dict):
    (folder / 'all').mkdir()
    return zips.write(folder / 'all', content)
  name, data = ('day.csv', content.encode()) if isinstance(content, str) else content
  (folder / name).write_bytes(data)
  return folder / name


def content(name: str) -> bytes:
  """The file that an app writes."""
  with tempfile.TemporaryDirectory() as folder:
    return exports.WRITERS[name](pathlib.Path(folder), export_base.recording()).path.read_bytes()


def exported(name: str, folder: pathlib.Path, one: export_base.Recording) -> export_base.Written:
  """A recording as an app exports it. Skips the test if the format's library is not installed."""
  for part, library in exports.LIBRARIES.items():
    if part in name:
      pytest.importorskip(library, reason=f'{part} needs {library}')
  return exports.WRITERS[name](folder, one)


def read(folder: pathlib.Path, table: pd.DataFrame, **options) -> recordings.Reading:
  return recordings.read(written(folder, table), **{'gyro_unit': 'rad/s'} | options)


def assert_same(reading: recordings.Reading, *, gyro: bool = True, atol: float = 1e-3) -> None:
  time_s, acc, turn = signal()
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.acc.time_s, time_s, atol=1e-5)
  np.testing.assert_allclose(recording.acc.values, acc, atol=atol)
  assert recording.acc.values.dtype == recording.gyro.values.dtype == np.float32
  if gyro:
    np.testing.assert_allclose(recording.gyro.time_s, time_s, atol=1e-5)
    np.testing.assert_allclose(recording.gyro.values, turn, atol=atol)


def find_spans(recording) -> list[tuple[float, float, str]]:
  return [(round(span.start_s, 3), round(span.stop_s, 3), span.activity) for span in recording.spans]


def values(reading: recordings.Reading, sensor: str, field: str = 'values') -> np.ndarray:
  """Samples, or their times, of all recordings, one after another."""
  return np.concatenate([getattr(getattr(recording, sensor), field) for recording in reading.recordings])


def expect(
  reading: recordings.Reading,
  *,
  same: bool = False,
  samples: tuple[int, int] | None = None,
  arrays: Mapping[str, tuple[np.ndarray, float]] = {},
  notes: Sequence[str] = (),
  warnings: Sequence[str] = (),
  silent: bool = False,
  never: Sequence[str] = (),
  not_noted: Sequence[str] = (),
  spans: Sequence[tuple] | None = None,
  **fields: Any,
) -> None:
  """Compares a reading with what a row of a table says.

  same: the samples are those of `signal`; those of the accelerometer alone if the reading has no gyroscope.
  samples: counts of both sensors. arrays: by sensor, or `time_s` of the accelerometer, with a tolerance.
  notes, warnings: parts of sentences; no note has those of `not_noted`, and no warning those of `never`. A
  warning may be of the check that follows reading; `silent`: reading has none. spans: of all recordings.
  """
  said = reading.warnings
  if never or not all(any(words in sentence for sentence in said) for words in warnings):
    said = said + recordings.check(reading, DEFAULT_WINDOWING)
  if same:
    assert_same(reading, gyro=reading.has_gyro)
  if samples:
    assert tuple(len(values(reading, sensor)) for sensor in ('acc', 'gyro')) == samples
  for name, (expected, atol) in arrays.items():
    actual = values(reading, 'acc', 'time_s') if name == 'time_s' else values(reading, name)
    np.testing.assert_allclose(actual, expected, atol=atol)
  for words in notes:
    assert any(words in note for note in reading.notes), reading.notes
  for words in warnings:
    assert any(words in sentence for sentence in said), said
  assert not (silent and reading.warnings), reading.warnings
  assert not [sentence for sentence in said if any(words in sentence for words in never)], said
  assert not [note for note in reading.notes if any(words in note for words in not_noted)], reading.notes
  if spans is not None:
    assert [span for recording in reading.recordings for span in find_spans(recording)] == list(spans)
  for name, expected in fields.items():
    assert getattr(reading, name) == expected
  assert max(np.abs(values(reading, sensor)).max() for sensor in ('acc', 'gyro')) < 30
