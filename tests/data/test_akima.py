"""Modified Akima interpolation."""

import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator

from har_jax.data import akima


@pytest.mark.parametrize('points', [2, 3, 4, 100])
@pytest.mark.parametrize('order', ['C', 'F'])
def test_it_equals_scipys(points, order):
  rng = np.random.default_rng(points)
  time_s = np.cumsum(rng.uniform(0.002, 0.05, points))
  values = np.asarray(rng.normal(0, 9.8, (points, 3)), order=order)
  values[: points // 2, 0] = 1.0  # slopes of 0, whose weights are 0
  grid_s = np.concatenate([time_s, rng.uniform(time_s[0], time_s[-1], 300)])
  found = akima.interpolate(time_s, values, grid_s)
  expected = Akima1DInterpolator(time_s, values, method='makima')(grid_s)
  np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
  assert found.flags.c_contiguous  # sums over it do not depend on the order of what was given


def test_it_passes_through_the_points_and_stays_on_a_line():
  time_s = np.array([0.0, 0.01, 0.03, 0.08, 0.09])
  values = np.stack([3 * time_s + 1, time_s**2], axis=1)
  grid_s = np.linspace(0, 0.09, 50)
  np.testing.assert_allclose(akima.interpolate(time_s, values, time_s), values, rtol=1e-12, atol=1e-15)
  np.testing.assert_allclose(akima.interpolate(time_s, values, grid_s)[:, 0], 3 * grid_s + 1, rtol=1e-12)
