"""Statistics of windows: by hand, and the same from NumPy as from JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax.model import sorting
from har_jax.signal import statistics

_TIME_S = np.arange(128) / 50


def _statistics(**channels: np.ndarray | float) -> dict[str, float]:
  """The statistics of one window whose other channels are zero; 'acc_x' is 'acc x'."""
  window = np.zeros((1, 128, 6))
  for name, values in channels.items():
    window[0, :, statistics.CHANNELS.index(name.replace('_', ' '))] = values
  (row,) = statistics.window_statistics(window, 50)
  return dict(zip(statistics.NAMES, row, strict=True))


def test_statistics_of_a_sine():
  frequency_hz = 5 * 50 / 128  # five periods a window: all power is in one bin
  found = _statistics(gyro_y=3 + 2 * np.sin(2 * np.pi * frequency_hz * (_TIME_S + 0.001)))
  assert found['peak frequency, gyro y'] == pytest.approx(frequency_hz)
  assert found['mean, gyro y'] == pytest.approx(3)
  assert found['standard deviation, gyro y'] == pytest.approx(2 / 2**0.5)
  assert found['zero crossings, gyro y'] == 9  # two a period; the window ends before the last one
  # The one-sided spectrum holds a quarter of the squared amplitude.
  assert found['log power 1.5-2 Hz, gyro y'] == pytest.approx(0, abs=1e-4)
  assert found['log power 3-4 Hz, gyro y'] == pytest.approx(np.log(1e-6))
  assert found['peak frequency, acc x'] == 0


def test_bands_are_of_hertz_at_any_rate_and_empty_above_half_of_it():
  tone = np.zeros((1, 64, 6))
  tone[0, :, 4] = 3 + 2 * np.sin(2 * np.pi * 25 / 64 * 5 * np.arange(64) / 25)  # 1.95 Hz
  (row,) = statistics.window_statistics(tone, 25)
  found = dict(zip(statistics.NAMES, row, strict=True))
  assert found['peak frequency, gyro y'] == pytest.approx(25 / 64 * 5)
  assert found['log power 1.5-2 Hz, gyro y'] == pytest.approx(0, abs=1e-4)
  assert found['log power 15-25.1 Hz, gyro y'] == pytest.approx(np.log(1e-6))
  (short,) = statistics.window_statistics(tone[:, :16], 50)  # bins of 3 Hz: most bands have none
  assert np.isfinite(short).all()


def test_a_frequency_at_the_edge_of_two_bands_is_in_the_higher_one():
  frequencies_hz, bands = statistics.spectral_bins(100, 50)  # bins of 0.5 Hz
  assert bands[frequencies_hz >= 0.5].sum(axis=1).tolist() == [1] * 50
  assert bands[frequencies_hz == 2.0].argmax() == 3  # 2 to 2.5 Hz


def test_statistics_of_a_ramp():
  found = _statistics(acc_x=np.linspace(0, 127, 128), acc_y=-np.linspace(0, 127, 128))
  assert found['mean absolute difference, acc x'] == pytest.approx(1)
  assert [found[f'{name}, acc x'] for name in ('minimum', 'median', 'maximum')] == [0, 63.5, 127]
  assert found['lower quartile, acc x'] == pytest.approx(127 / 4)
  assert found['upper quartile, acc x'] == pytest.approx(3 * 127 / 4)
  assert found['correlation, acc x and acc y'] == pytest.approx(-1)
  assert found['correlation, acc x and acc norm'] == pytest.approx(1)
  assert found['correlation, acc x and gyro x'] == 0  # a constant channel


def test_the_norm_is_that_of_three_axes():
  found = _statistics(acc_x=2.0, acc_y=3.0, acc_z=6.0, gyro_z=-1.0)
  assert (found['mean, acc norm'], found['mean, gyro norm']) == (7, 1)


def test_statistics_are_of_each_window_alone(monkeypatch):
  windows = np.random.default_rng(0).standard_normal((5, 128, 6)).astype(np.float32)
  whole = statistics.window_statistics(windows, 50)
  assert whole.shape == (5, len(statistics.NAMES))
  assert len(set(statistics.NAMES)) == len(statistics.NAMES)
  monkeypatch.setattr(statistics, '_CHUNK', 2)
  np.testing.assert_allclose(statistics.window_statistics(windows, 50), whole, rtol=1e-12)


@pytest.mark.parametrize('samples', [128, 50])
def test_jax_gives_the_statistics_of_numpy(samples):
  windows = np.random.default_rng(0).normal(3, 2, (6, samples, 6)).astype(np.float32)
  windows[0, :, 3:] = 0  # no gyroscope
  windows[1] = windows[1, :1]  # nothing moves

  @jax.jit
  def in_jax(signals: jax.Array) -> jax.Array:
    return statistics.statistics(statistics.with_norms(signals, jnp), 50, jnp, sorting.ascending)

  expected = statistics.window_statistics(windows, 50)
  varying = expected[2:].std(axis=0) > 0
  assert varying.all() or samples == 50  # whose bins of 1 Hz miss some bands
  np.testing.assert_allclose(in_jax(windows), expected, atol=2e-4)
