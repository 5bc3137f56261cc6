"""Whether movements are as quick as people's, in the bundled excerpts of real recordings."""

import numpy as np
import pytest
import short_sample
import worn_device

from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import Reading
from har_jax.signal import pace
from har_jax.signal.recording import Recording
from har_jax.timeline import rate_check


def _warnings(parts: list[Recording], *, has_gyro: bool = True) -> list[str]:
  reading = Reading(parts, [], [], '', has_gyro, ['day'] * len(parts), [0.0] * len(parts))
  checked, _ = rate_check.check(None, reading, 'as_is', DEFAULT_WINDOWING)
  return [sentence for sentence in checked.warnings if 'as fast as people' in sentence]


@pytest.mark.slow
@pytest.mark.parametrize('archive', ['sample_motionsense', 'sample_wisdm', 'sample_dsads'])
def test_a_rate_that_is_not_the_recordings_makes_people_too_quick_or_too_slow(archive):
  parts = short_sample.read(archive, subjects=4, seconds=30.0)
  assert _warnings(parts) == []
  (fast,) = _warnings([worn_device.at_speed(part, 2.0) for part in parts])
  assert 'about twice as fast as people are' in fast
  assert 'by 2.' in fast
  (slow,) = _warnings([worn_device.at_speed(part, 0.5) for part in parts])
  assert 'about half as fast as people are' in slow
  assert _warnings([worn_device.at_speed(part, 2.0) for part in parts], has_gyro=False) == []


def test_rest_movements_of_no_person_and_few_windows_tell_nothing():
  rng = np.random.default_rng(0)
  swaying = worn_device.signal('walking', 60, 3)[:2816].reshape(-1, 256, 6)
  assert pace.is_moving(swaying).all()
  assert pace.check(swaying).factor is None
  still = np.float32([0, 0, 9.8, 0, 0, 0]) + 0.1 * rng.standard_normal((30, 256, 6)).astype(np.float32)
  assert pace.check(still) == pace.Odds(0.0, 0.0, 0)
  assert [pace.Odds(9.0, -9.0, windows).factor for windows in (7, 8)] == [None, 2]


def test_a_device_moves_if_it_is_both_shaken_and_turned():
  shaken, turned = np.zeros((2, 256, 6)), np.zeros((2, 256, 6))
  shaken[..., :3], turned[..., 5] = np.random.default_rng(0).normal(0, 3, (2, 256, 3)), 1  # evenly
  assert [pace.is_moving(part).all() for part in (shaken, turned, shaken + turned)] == [False, False, True]


def test_the_likelier_speed_counts():
  assert pace.Odds(9.0, 3.0, 50).factor == 2
  assert pace.Odds(3.0, 9.0, 50).factor == 0.5
  assert [pace.Odds(odds, -1.0, 50).factor for odds in (2.1, 2.3)] == [None, 2]
  assert [pace.Odds(-1.0, odds, 50).factor for odds in (0.4, 0.6)] == [None, 0.5]


def test_spectra_by_hand():
  """A tone of 2 Hz: its strength, frequencies and entropy on each of the three spectra."""
  time_s = np.arange(256) / 50
  tone = np.zeros((1, 256, 6))
  tone[..., 2] = 10 + np.sin(2 * np.pi * 2 * time_s)
  described = pace.describe(tone).reshape(3, 5)
  np.testing.assert_allclose(described[0], described[1], rtol=1e-6)  # one axis is the length
  np.testing.assert_allclose(np.exp(described[0, 1:4]), 2, rtol=0.03)
  np.testing.assert_allclose(
    pace.describe(3 * tone).reshape(3, 5)[0] - described[0], [np.log(3), 0, 0, 0, 0], atol=1e-6
  )
