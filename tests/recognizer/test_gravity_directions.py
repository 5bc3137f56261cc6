"""How well gravity fits the training windows in other frames, and how much better another frame must fit."""

import numpy as np
import pytest
import worn_device

from har_jax.recognizer import frame_check
from har_jax.signal import frames
from har_jax.signal.summary import summarize

TRAINED, LABELS = worn_device.windows(0)
SUMMARY = summarize(TRAINED, LABELS.tolist(), 50)
SIGNALS, _ = worn_device.windows(1)  # of another person


@pytest.mark.parametrize(
  ('gain', 'positions', 'opposite', 'deviates', 'undecided'),
  [
    (-1.1, 1, False, False, False),
    (-0.9, 1, False, False, True),
    (0.9, 1, False, False, True),
    (0.5, 1, False, False, True),
    (1.1, 1, True, True, True),
    (1.4, 2, False, False, True),
    (1.6, 2, True, True, True),
  ],
)
def test_the_opposite_sign_must_fit_better_by_more_for_many_positions(
  gain, positions, opposite, deviates, undecided
):
  gains = np.full(48, -5.0)
  gains[[frame_check._AS_IS, frame_check._FLIP]] = 0, gain
  directions = frame_check._Directions(gains, True, positions)
  assert (directions.is_opposite, directions.deviates) == (opposite, deviates)
  assert (directions.is_undecided, directions.is_certain) == (undecided, positions == 1)
  assert directions.agrees == (gain < (0.6 if positions == 1 else 2))


@pytest.mark.parametrize(('positions', 'limit'), [(1, 2.0), (2, 2.5)])
def test_another_frame_must_fit_much_better(positions, limit):
  gains = np.full(48, -5.0)
  other = frame_check._index(np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))
  for gain, deviates in ((limit - 0.1, False), (limit + 0.1, True)):
    gains[[frame_check._AS_IS, other]] = 0, gain
    directions = frame_check._Directions(gains, True, positions)
    assert (directions.deviates, directions.is_opposite) == (deviates, False)


def test_directions_are_of_windows_from_all_of_the_recording():
  many = np.concatenate([np.repeat(SIGNALS, 20, axis=0), np.repeat(frames.FLIP(SIGNALS), 20, axis=0)])
  assert len(many) > 2 * frame_check._MOST_COMPARED
  gains = [
    frame_check._Directions.from_signals(SUMMARY, signals).gain for signals in (many, frames.FLIP(SIGNALS))
  ]
  mixed, opposite = (gain[frame_check._FLIP] for gain in gains)
  assert opposite > 1
  assert abs(mixed) < 0.3 * opposite
