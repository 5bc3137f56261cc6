"""LIARA: pieces of one recording are joined in order."""

import numpy as np
import pytest

from har_jax.signal.recording import Span


def _files(activity: str, numbers: tuple[int, ...], rows: int) -> dict[str, str]:
  return {
    f'ActivitiesExercisesRecognition/raw/B/{activity}/iteration_{number}.csv': '\n'.join(
      ['ax,ay,az,gx,gy,gz,mx,my,mz', *(f'{number},{row},1,10,20,{number},0,0,0' for row in range(rows))]
    )
    for number in numbers
  }


@pytest.mark.parametrize(
  ('name', 'activity'),
  [('shortWalking', 'walking'), ('shortRunning', 'running'), ('shortSeat', 'sitting')],
)
def test_pieces_are_one_recording_in_the_order_of_their_numbers(read, name, activity):
  (recording,), _ = read(_files(name, (10, 2, 1), 27))
  assert (recording.subject, recording.spans) == ('B', (Span(0.0, 1.5, activity),))
  np.testing.assert_allclose(
    np.rad2deg(recording.gyro.values[::27]), [[-10, -20, -n] for n in (1, 2, 10)], rtol=1e-5
  )


def test_repetitions_of_an_exercise_are_recordings_of_their_own(read):
  recordings, _ = read(_files('ExoSquat', (1, 2), 270) | _files('shortSitting', (1, 2), 54))
  made = 2 * [(Span(0.0, 5.0, 'squatting'),)] + 2 * [(Span(0.0, 1.0, 'stand_to_sit'),)]
  assert [recording.spans for recording in recordings] == made
