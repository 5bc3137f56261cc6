"""Times of labels as people write them by hand, and what is said where they miss the recording."""

import numpy as np
import pandas as pd
import pytest
import user_files

from har_jax import recordings
from har_jax.errors import UserError

NINE = 1_780_045_200  # 2026-05-29T09:00:00Z
HALF_HOUR = np.arange(0, 1800, 0.2)


def _recording(tmp_path, times):
  still = np.tile([0.0, 0, 9.81], (len(HALF_HOUR), 1)) + np.random.default_rng(1).normal(0, 0.1, (9000, 3))
  return user_files.written(tmp_path, user_files.frame(times, still, None, 'time ax ay az'))


def _labels(tmp_path, *rows: tuple):
  path = tmp_path / 'labels.csv'
  pd.DataFrame(rows, columns=['start', 'end', 'activity']).to_csv(path, index=False)
  return path


@pytest.mark.parametrize(
  'times',
  [NINE + HALF_HOUR, pd.to_datetime((NINE + HALF_HOUR) * 1e9).strftime('%H:%M:%S.%f')],
)
def test_hours_and_minutes_are_times_of_day_if_they_lie_in_the_recording(tmp_path, times):
  path = _recording(tmp_path, times)
  labels = _labels(tmp_path, ('09:05', '09:10', 'sit'), ('9:12', '9:20', 'stand'))
  reading = recordings.read(path, labels=labels)
  assert user_files.spans(reading.recordings[0]) == [(300, 600, 'sit'), (720, 1200, 'stand')]
  assert user_files.has_note(reading, 'read as hours and minutes of the day')


def test_hours_and_minutes_are_read_in_the_time_zone(tmp_path):
  path, labels = _recording(tmp_path, NINE + HALF_HOUR), _labels(tmp_path, ('11:05', '11:10', 'sit'))
  reading = recordings.read(path, labels=labels, time_zone='Europe/Berlin')
  assert user_files.spans(reading.recordings[0]) == [(300, 600, 'sit')]
  (warning,) = [each for each in recordings.read(path, labels=labels).warnings if 'labels.csv' in each]
  assert "read as hours, minutes and seconds from the recording's start. They may be hours and" in warning
  assert 'shifted by exactly 2 h back they would fit: --time_zone=' in warning


def test_minutes_and_seconds_from_the_start_stay_what_they_are(tmp_path):
  path, labels = _recording(tmp_path, NINE + HALF_HOUR), _labels(tmp_path, ('5:00', '9:20', 'sit'))
  reading = recordings.read(path, labels=labels)
  assert user_files.spans(reading.recordings[0]) == [(300, 560, 'sit')]
  assert not [each for each in reading.warnings if 'labels.csv' in each]


def test_labels_that_miss_the_recording_are_named_in_the_likeliest_unit(tmp_path):
  path = _recording(tmp_path, ((NINE + HALF_HOUR) * 1e3).round())
  labels = _labels(tmp_path, (NINE + 7200, NINE + 7300, 'sit'))
  with pytest.raises(UserError, match=r'read as s on the recording.s clock, .* from 7200\.0 to 7300\.0 s'):
    recordings.read(path, labels=labels)
