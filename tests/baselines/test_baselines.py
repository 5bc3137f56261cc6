"""Baselines: the features of a window, by hand, and the probabilities of every classifier."""

import multiprocessing

import numpy as np
import pytest

from har_jax.baselines import BASELINES, features
from har_jax.train import augment

_TIME_S = np.arange(128) / 50


# --- features


def _features(**channels: np.ndarray | float) -> dict[str, float]:
  """The features of one window whose other channels are zero; 'acc_x' is 'acc x'."""
  window = np.zeros((1, 128, 6))
  for name, values in channels.items():
    window[0, :, features.CHANNELS.index(name.replace('_', ' '))] = values
  (row,) = features.window_features(window, 50)
  return dict(zip(features.NAMES, row, strict=True))


def test_features_of_a_sine():
  frequency_hz = 5 * 50 / 128  # five periods a window: all power is in one bin
  found = _features(gyro_y=3 + 2 * np.sin(2 * np.pi * frequency_hz * (_TIME_S + 0.001)))
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
  (row,) = features.window_features(tone, 25)
  found = dict(zip(features.NAMES, row, strict=True))
  assert found['peak frequency, gyro y'] == pytest.approx(25 / 64 * 5)
  assert found['log power 1.5-2 Hz, gyro y'] == pytest.approx(0, abs=1e-4)
  assert found['log power 15-25.1 Hz, gyro y'] == pytest.approx(np.log(1e-6))
  (short,) = features.window_features(tone[:, :16], 50)  # bins of 3 Hz: most bands have none
  assert np.isfinite(short).all()


def test_features_of_a_ramp():
  found = _features(acc_x=np.linspace(0, 127, 128), acc_y=-np.linspace(0, 127, 128))
  assert found['mean absolute difference, acc x'] == pytest.approx(1)
  assert [found[f'{name}, acc x'] for name in ('minimum', 'median', 'maximum')] == [0, 63.5, 127]
  assert found['lower quartile, acc x'] == pytest.approx(127 / 4)
  assert found['upper quartile, acc x'] == pytest.approx(3 * 127 / 4)
  assert found['correlation, acc x and acc y'] == pytest.approx(-1)
  assert found['correlation, acc x and acc norm'] == pytest.approx(1)
  assert found['correlation, acc x and gyro x'] == 0  # a constant channel


def test_the_norm_is_that_of_three_axes():
  found = _features(acc_x=2.0, acc_y=3.0, acc_z=6.0, gyro_z=-1.0)
  assert (found['mean, acc norm'], found['mean, gyro norm']) == (7, 1)


def test_features_are_of_each_window_alone(monkeypatch: pytest.MonkeyPatch):
  windows = np.random.default_rng(0).standard_normal((5, 128, 6)).astype(np.float32)
  whole = features.window_features(windows, 50)
  assert whole.shape == (5, len(features.NAMES))
  assert len(set(features.NAMES)) == len(features.NAMES)
  monkeypatch.setattr(features, '_CHUNK', 2)
  np.testing.assert_allclose(features.window_features(windows, 50), whole, rtol=1e-12)


# --- classifiers


@pytest.mark.parametrize(
  'name', [pytest.param(name, marks=pytest.mark.slow if name == 'rocket' else ()) for name in BASELINES]
)
@pytest.mark.parametrize('classes', [2, 3])
def test_probabilities_are_of_each_class(name: str, classes: int):
  rng = np.random.default_rng(0)
  labels = np.arange(24, dtype=np.int32) % classes
  windows = (rng.standard_normal((24, 128, 6)) * (1 + 3 * labels)[:, None, None]).astype(np.float32)
  probabilities = BASELINES[name](2**32 - 1).fit(windows, labels).predict_proba(windows)
  assert probabilities.shape == (24, classes)
  np.testing.assert_allclose(probabilities.sum(axis=1), 1)
  np.testing.assert_array_equal(probabilities.argmax(axis=1), labels)


def test_the_forest_grows_on_every_window_and_an_augmented_copy_of_it(monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(augment, 'augmented_copy', lambda windows, training, seed: windows + seed)
  labels = np.arange(6, dtype=np.int32) % 2
  fitted = BASELINES['forest'](7).fit(np.zeros((6, 128, 6), np.float32), labels)
  values = {threshold for tree in fitted.estimator.estimators_ for threshold in tree.tree_.threshold}
  assert {tree.tree_.n_node_samples[0] for tree in fitted.estimator.estimators_} == {12}
  assert max(values) > 0  # the copies differ from the windows


@pytest.mark.slow
def test_rocket_of_a_machine_with_more_cores_predicts_the_same(monkeypatch: pytest.MonkeyPatch):
  labels = np.arange(24, dtype=np.int32) % 2
  windows = (np.random.default_rng(0).standard_normal((24, 128, 6)) * (1 + labels)[:, None, None]).astype('f')
  rocket = BASELINES['rocket'](0).fit(windows, labels)
  expected = rocket.predict_proba(windows)
  rocket.estimator[0]._n_jobs = 64  # as its file says where the fit had 64
  monkeypatch.setattr(multiprocessing, 'cpu_count', lambda: 64)  # of the machine; this process has fewer
  np.testing.assert_array_equal(rocket.predict_proba(windows), expected)
