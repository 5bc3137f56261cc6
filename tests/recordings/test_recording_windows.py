"""Windows of users' recordings: of the labels, of the rest, of all."""

import numpy as np
import pytest
import user_files
from user_files import FRAME

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import windows

LABELED = FRAME.assign(label=['walk'] * 300 + [''] * 300 + ['sit'] * 400)


def test_many_chunks_are_one_recording(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.tables.CHUNK_ROWS', 77)
  reading = user_files.read(tmp_path, LABELED)
  user_files.assert_same(reading)
  assert user_files.find_spans(reading.recordings[0]) == [(0, 6, 'walk'), (12, 20, 'sit')]


def test_windows_lie_in_the_spans_and_hold_the_signal(tmp_path):
  reading = user_files.read(tmp_path, LABELED)
  windows = recordings.to_windows(reading, DEFAULT_WINDOWING)
  assert [window.activity for window in windows] == ['walk'] * 3 + ['sit'] * 5
  assert [window.start_s for window in windows[:3]] == pytest.approx([0, 1.28, 2.56])
  recording = reading.recordings[0]
  np.testing.assert_array_equal(windows[3].signal[:, :3], recording.acc.values[600:728])
  np.testing.assert_array_equal(windows[3].signal[:, 3:], recording.gyro.values[600:728])


def test_the_unlabeled_rest_overlaps_no_label(tmp_path):
  reading = user_files.read(tmp_path, LABELED)
  rest = recordings.unlabeled_windows(reading, DEFAULT_WINDOWING)
  assert [window.start_s for window in rest] == pytest.approx([6.4, 7.68, 8.96])  # the labels end at 6 s
  assert [window.activity for window in rest] == [''] * 3
  few = recordings.unlabeled_windows(reading, DEFAULT_WINDOWING, limit=2)
  assert [window.start_s for window in few] == pytest.approx([6.4, 8.96])


def test_unlabeled_windows_cover_all_and_do_not_depend_on_slices(tmp_path, monkeypatch):
  reading = recordings.read(user_files.written(tmp_path, user_files.frame(*user_files.signal(5000))))
  assert recordings.to_windows(reading, DEFAULT_WINDOWING) == []
  whole = recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
  assert len(whole) == (5000 - 128) // 64 + 1
  assert {window.activity for window in whole} == {''}
  # A long recording is cut in slices.
  monkeypatch.setattr(windows, '_SLICE_S', 9 * 1.28)
  sliced = recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
  assert [window.start_s for window in sliced] == pytest.approx([window.start_s for window in whole])
  for one, other in zip(whole, sliced, strict=True):
    np.testing.assert_array_equal(one.signal, other.signal)
