"""LIARA: pieces of one recording are joined in order, and the real archive's counts."""

import collections

import numpy as np
import pytest

from har_jax.archives.liara import ARCHIVE
from har_jax.archives.source import Source
from har_jax.signal.recording import Span


def _write(folder, activity: str, number: int, rows: int) -> None:
  path = folder / 'ActivitiesExercisesRecognition' / 'raw' / 'B' / activity
  path.mkdir(parents=True, exist_ok=True)
  values = [f'{number},{row},1,10,20,{number},0,0,0' for row in range(rows)]
  (path / f'iteration_{number}.csv').write_text('\n'.join(['ax,ay,az,gx,gy,gz,mx,my,mz', *values]))


def _read(folder):
  return list(ARCHIVE.read(Source(folder), 'wrist', collections.Counter()))


def test_pieces_of_walking_are_one_recording_in_the_order_of_their_numbers(tmp_path):
  for number in (10, 2, 1):
    _write(tmp_path, 'shortWalking', number, 27)
  (recording,) = _read(tmp_path)
  assert (recording.subject, recording.spans) == ('B', (Span(0.0, 1.5, 'walking'),))
  np.testing.assert_allclose(
    np.rad2deg(recording.gyro.values[::27]), [[-10, -20, -n] for n in (1, 2, 10)], rtol=1e-5
  )


def test_repetitions_of_an_exercise_are_recordings_of_their_own(tmp_path):
  for number in (1, 2):
    _write(tmp_path, 'ExoSquat', number, 270)
  assert [each.spans for each in _read(tmp_path)] == 2 * [(Span(0.0, 5.0, 'squatting'),)]


@pytest.mark.archives
def test_the_real_archive_has_ten_people_and_ten_activities(real_recordings):
  recordings, _ = real_recordings('liara', 'wrist')
  assert len({each.subject for each in recordings}) == 10
  counts = collections.Counter(each.spans[0].activity for each in recordings)
  assert counts == {
    **dict.fromkeys(('walking', 'running', 'sitting'), 10),
    **dict.fromkeys(('lunging', 'marching', 'sit_ups', 'squatting'), 100),
    **dict.fromkeys(('stand_to_sit', 'sit_to_stand', 'turning_wrist'), 100),
  }
