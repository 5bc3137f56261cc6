"""Limits of how a gyroscope may disagree with gravity, and which of several causes is named."""

import numpy as np
import pytest
import worn_device

from har_jax.signal import frames, gyro_agreement
from har_jax.signal.gyro_agreement import Agreement

SIGNALS, _ = worn_device.windows(0)
NEGATED = frames.parse('x,y,z,-x,-y,-z')(SIGNALS)
OPPOSITE, USUAL = -np.eye(3), np.eye(3)


def _gains(first: float, second: float, others: float) -> np.ndarray:
  """Gains of each matrix in each of 20 windows. The first is the usual one."""
  gains = np.full((len(gyro_agreement._CANDIDATES), 20), others)
  gains[:2] = [[first], [second]]
  return gains


@pytest.mark.parametrize(
  ('second', 'others', 'expected'),
  [
    (-0.35, -9.0, (False, True, False)),
    (-0.25, -9.0, (False, False, False)),  # too near to the usual one
    (0.45, -9.0, (False, False, False)),
    (0.55, 0.2, (True, True, True)),
    (0.55, 0.3, (True, True, False)),  # the third is too near to the second
  ],
)
def test_axes_are_known_if_all_others_are_worse_and_unique_if_they_are_much_worse(second, others, expected):
  agreement = gyro_agreement._compare_axes(_gains(0.0, second, others))
  assert (agreement.gyro is not None, agreement.is_known, agreement.is_unique) == expected


def test_a_multiple_of_the_gyroscope_is_compared_as_a_gyroscope_of_so_much():
  blocks, factors = gyro_agreement._blocks(SIGNALS, 50), gyro_agreement._FACTORS
  (usual,) = np.flatnonzero((gyro_agreement._CANDIDATES == USUAL).all(axis=(1, 2)))
  for factor, logs in zip(factors[::4], gyro_agreement._log_factor_misfits(blocks)[::4], strict=True):
    larger = blocks._replace(gyro=factor * blocks.gyro)
    np.testing.assert_allclose(gyro_agreement._log_misfits(larger)[usual], logs, atol=1e-3)


@pytest.mark.parametrize(
  ('best', 'gain', 'over_none', 'factor'),
  [
    (14, 0.35, 9.0, 2**0.5),
    (14, 0.25, 9.0, None),
    (10, 0.65, 9.0, 2**-0.5),
    (10, 0.55, 9.0, None),  # less for a smaller one: cycling makes gravity seem to turn less
    (10, 0.65, 0.45, None),  # no gyroscope at all is nearly as good
    (13, 9.0, 9.0, None),  # by 19 %
    (11, 9.0, 9.0, None),
    (24, 9.0, 9.0, None),  # and perhaps more
  ],
)
def test_a_factor_must_gain_more_if_it_is_smaller_and_differ_by_a_fifth(
  monkeypatch, best, gain, over_none, factor
):
  logs = np.full(25, 20.0)
  logs[12], logs[0] = gain, over_none
  logs[best] = 0.0
  monkeypatch.setattr(gyro_agreement, '_log_factor_misfits', lambda blocks: np.tile(logs[:, None], 20))
  found_gain, found = gyro_agreement._find_factor(gyro_agreement._blocks(SIGNALS, 50))
  if factor is None:
    assert (found_gain, found) == (0.0, None)
  else:
    assert found == pytest.approx(factor)
    assert found_gain == pytest.approx(gain)


@pytest.mark.parametrize(
  ('lag', 'other', 'late_s'),
  [(11, 1.0, 0.4), (11, -1.0, None), (12, 1.0, None), (1, 1.0, -0.4), (0, 1.0, None)],
)
def test_a_delay_at_the_last_lag_or_that_other_axes_explain_better_is_none(monkeypatch, lag, other, late_s):
  def misfits(acc, gyro, step_s, turns):
    logs = np.full((13 if gyro.shape[2] > acc.shape[1] else 1, 1, 1, len(acc)), other)
    logs[lag : lag + 1 if len(logs) > 1 else lag] = 0.0
    return logs

  monkeypatch.setattr(gyro_agreement, '_log_swing_misfits', misfits)
  found = gyro_agreement._find_delay(gyro_agreement._blocks(SIGNALS, 50), USUAL, [OPPOSITE])
  assert found == (None if late_s is None else pytest.approx(late_s))


@pytest.mark.parametrize(
  ('signals', 'factor', 'others'),
  [
    (SIGNALS, None, []),
    (SIGNALS, 2.0, [2 * USUAL]),
    (NEGATED, None, [OPPOSITE]),
    (NEGATED, 2.0, [2 * USUAL, OPPOSITE]),
  ],
)
def test_a_delay_is_compared_with_the_factor_and_the_axes_in_calm_windows(
  monkeypatch, signals, factor, others
):
  def find_delay(blocks, expected, compared):
    np.testing.assert_array_equal(np.reshape(compared, (-1, 3, 3)), np.reshape(others, (-1, 3, 3)))
    assert 0.36 < blocks.body.max() < 0.4  # g of the body's own acceleration
    return 0.25

  monkeypatch.setattr(gyro_agreement, '_find_delay', find_delay)
  monkeypatch.setattr(gyro_agreement, '_find_factor', lambda blocks: (1.0, factor))
  shaken = signals.copy()
  for part, deviation_g in ((slice(None, None, 3), 0.37), (slice(1, None, 3), 0.45)):
    shaken[part, :, :3] *= 1 + deviation_g * np.repeat([[1], [-1]] * 16, 4, axis=0)  # one block up, one down
  assert gyro_agreement.check(shaken, 50) == Agreement(late_s=0.25)


@pytest.mark.parametrize(('gain', 'is_factor'), [(99.0, True), (0.0, False)])
def test_of_axes_and_a_factor_the_one_that_gains_more_is_named(monkeypatch, gain, is_factor):
  monkeypatch.setattr(gyro_agreement, '_find_factor', lambda blocks: (gain, 2.0))
  agreement = gyro_agreement.check(NEGATED, 50)
  assert (agreement.factor, agreement.gyro is None) == ((2.0, True) if is_factor else (None, False))


@pytest.mark.parametrize('is_unique', [False, True])
def test_axes_with_a_larger_gyroscope_count_only_if_they_are_unique(monkeypatch, is_unique):
  found = [Agreement(OPPOSITE, True, False), Agreement(2 * USUAL, True, is_unique)]
  monkeypatch.setattr(gyro_agreement, '_compare_axes', lambda gains: found.pop(0))
  monkeypatch.setattr(gyro_agreement, '_find_delay', lambda *args: None)
  agreement = gyro_agreement.check(NEGATED, 50)
  np.testing.assert_array_equal(agreement.gyro, 2 * USUAL if is_unique else OPPOSITE)
