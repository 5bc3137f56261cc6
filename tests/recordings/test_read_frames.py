"""DataFrames are read as files are, whatever their index and dtypes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import user_files
from user_files import AXES, FRAME

from har_jax import recordings
from har_jax.errors import UserError

SINCE = pd.to_timedelta(FRAME['time'], unit='s')
DATES = pd.Timestamp('2026-05-28T20:26:40Z') + SINCE


@pytest.mark.parametrize(
  ('frame', 'options'),
  [
    (FRAME[AXES].set_axis(DATES), {}),
    (FRAME[AXES].set_axis(DATES.rename('when')), {}),
    (FRAME.set_axis(DATES), {}),  # a column of times, too
    (FRAME[AXES].set_axis(SINCE), {}),
    (FRAME.assign(time=SINCE), {}),
    (FRAME.assign(time=SINCE.astype(str)), {}),
    (FRAME.set_index('time'), {}),
    (
      FRAME.set_axis([('time', ''), *((name, axis) for name in ('acc', 'gyro') for axis in 'xyz')], axis=1),
      {},
    ),
    (FRAME.astype(dict.fromkeys(FRAME, 'Float64')).convert_dtypes(), {}),
    (FRAME.set_axis(range(7), axis=1), {'columns': dict(zip(['time', *AXES], range(7), strict=True))}),
  ],
)
def test_a_frame_is_read_as_its_file(frame: pd.DataFrame, options: dict[str, Any]):
  before = frame.copy()
  reading = recordings.read(frame, **options)
  user_files.assert_same(reading)
  assert (reading.recordings[0].subject, reading.recordings[0].position) == ('me', 'unknown')
  pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize('given', [FRAME['ax'], FRAME.to_numpy(), {'time': [0.0]}, [FRAME], None])
def test_what_has_no_columns_is_refused_by_its_type(given: Any):
  with pytest.raises(UserError, match=f'^{type(given).__name__} holds no names of columns'):
    recordings.read(given)
  if given is not None:
    with pytest.raises(UserError, match='give a path or a DataFrame'):
      recordings.read(FRAME, labels=given)


@pytest.mark.parametrize('empty', [FRAME[:0], FRAME[[]]])
def test_a_frame_without_a_value_is_refused(empty: pd.DataFrame):
  with pytest.raises(UserError, match='holds no row'):
    recordings.read(empty)


def test_labels_that_are_whole_numbers_are_the_same_in_a_file_where_some_are_missing(tmp_path):
  frame = FRAME.assign(label=np.where(FRAME.index < 500, 2.0, np.nan))
  frame.to_csv(tmp_path / 'day.csv', index=False)  # as 2.0
  for source in (frame, tmp_path / 'day.csv'):
    assert [span.activity for span in recordings.read(source).recordings[0].spans] == ['2']


def test_labels_may_have_an_index_with_a_name():
  labels = pd.DataFrame({'start': [1.0], 'end': [9.0], 'activity': pd.Categorical(['walk'])})
  for given in (labels, labels.set_index('start')):
    reading = recordings.read(FRAME, labels=given)
    user_files.expect(reading, spans=[(1, 9, 'walk')], notes=['labels: 1 label, its times read as s on'])


def test_a_time_since_a_start_that_is_none_is_named():
  times = SINCE.astype(str)
  times[3] = 'soon'
  with pytest.raises(UserError, match=r"'soon' \(row 4\) is no time"):
    recordings.read(FRAME.assign(time=times))
  assert np.isfinite(recordings.read(FRAME.assign(time=SINCE.mask(SINCE.index == 3))).seconds)
