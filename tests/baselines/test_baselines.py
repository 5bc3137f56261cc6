"""Baselines: the probabilities of every classifier; a user's own windows, and packages that are missing."""

import multiprocessing
import sys
import types

import numpy as np
import pytest

from har_jax.baselines import BASELINES, forest, installed, relative_features, rocket
from har_jax.errors import UserError
from har_jax.train import augment


@pytest.mark.parametrize(
  'name', [pytest.param(name, marks=pytest.mark.slow if name == 'rocket' else ()) for name in BASELINES]
)
@pytest.mark.parametrize('classes', [2, 3])
def test_probabilities_are_of_each_class(name, classes):
  rng = np.random.default_rng(0)
  labels = np.arange(24, dtype=np.int32) % classes
  windows = (rng.standard_normal((24, 128, 6)) * (1 + 3 * labels)[:, None, None]).astype(np.float32)
  probabilities = BASELINES[name](2**32 - 1).fit(windows, labels).predict_proba(windows)
  assert probabilities.shape == (24, classes)
  np.testing.assert_allclose(probabilities.sum(axis=1), 1)
  np.testing.assert_array_equal(probabilities.argmax(axis=1), labels)


def test_the_forest_grows_on_every_window_and_an_augmented_copy_of_it(monkeypatch):
  monkeypatch.setattr(augment, 'augmented_copy', lambda windows, training, seed: windows + seed)
  labels = np.arange(6, dtype=np.int32) % 2
  fitted = BASELINES['forest'](7).fit(np.zeros((6, 128, 6), np.float32), labels)
  values = {threshold for tree in fitted.estimator.estimators_ for threshold in tree.tree_.threshold}
  assert {tree.tree_.n_node_samples[0] for tree in fitted.estimator.estimators_} == {12}
  assert max(values) > 0  # the copies differ from the windows


def test_the_forest_takes_statistics_at_the_rate_of_the_windows(monkeypatch):
  rates_hz = []
  monkeypatch.setattr(augment, 'augmented_copy', lambda windows, training, seed: windows)
  monkeypatch.setattr(
    forest, 'window_statistics', lambda windows, rate_hz: rates_hz.append(rate_hz) or windows[:, 0]
  )
  windows = np.zeros((4, 128, 6), np.float32)
  BASELINES['forest'](0, 25).fit(windows, np.arange(4) % 2).predict_proba(windows)
  assert rates_hz == [25, 25]


def test_scores_of_rocket_become_probabilities_where_one_is_a_clear_yes(monkeypatch):
  class Fitted(list[types.SimpleNamespace]):
    def decision_function(self, windows: np.ndarray) -> np.ndarray:
      return np.array([1.0, 0.0, -1.0])

  monkeypatch.setattr(rocket, '_threads', lambda: 1)
  fitted = object.__new__(rocket.Rocket)
  fitted.estimator = Fitted([types.SimpleNamespace()])
  clear = 1 / (1 + np.exp(-6.0))
  expected = [[1 - clear, clear], [0.5, 0.5], [clear, 1 - clear]]
  np.testing.assert_allclose(fitted.predict_proba(np.zeros((3, 128, 6), np.float32)), expected)


@pytest.mark.slow
def test_many_windows_have_fewer_kernels(monkeypatch):
  windows, labels = np.random.default_rng(0).standard_normal((8, 128, 6)).astype('f'), np.arange(8) % 2
  monkeypatch.setattr(rocket, '_KERNELS', 168)
  monkeypatch.setattr(rocket, '_KERNELS_OF_MANY', 84)
  for many, kernels in ((8, 168), (7, 84)):
    monkeypatch.setattr(rocket, '_MANY_WINDOWS', many)
    assert BASELINES['rocket'](0).fit(windows, labels).estimator[0].n_kernels == kernels


@pytest.mark.slow
def test_rocket_of_a_machine_with_more_cores_predicts_the_same(monkeypatch):
  labels = np.arange(24, dtype=np.int32) % 2
  windows = (np.random.default_rng(0).standard_normal((24, 128, 6)) * (1 + labels)[:, None, None]).astype('f')
  fitted = BASELINES['rocket'](0).fit(windows, labels)
  expected = fitted.predict_proba(windows)
  fitted.estimator[0]._n_jobs = 64  # as its file says where the fit had 64
  monkeypatch.setattr(multiprocessing, 'cpu_count', lambda: 64)  # of the machine; this process has fewer
  np.testing.assert_array_equal(fitted.predict_proba(windows), expected)


def test_evenly_spaced_windows_keep_the_fractions_and_every_class():
  labels = np.array([0] * 600 + [1] * 1 + [2] * 400)
  spaced = installed.evenly_spaced(labels, 100)
  assert np.bincount(labels[spaced]).tolist() == [60, 1, 40]
  assert {0, 599, 600, 601, 1000} <= set(spaced)
  assert set(np.diff(spaced[:60])) == {10, 11}
  np.testing.assert_array_equal(installed.evenly_spaced(labels, 5000), np.arange(1001))


def test_a_missing_package_is_a_line_and_the_others_are_fitted(monkeypatch):
  def missing(random_state: int, rate_hz: int) -> None:
    raise UserError('rocket needs aeon: pip install it')

  monkeypatch.setattr(installed, 'BASELINES', {'rocket': missing, 'forest': forest.Forest})
  monkeypatch.setattr(installed, 'MAX_WINDOWS', 10)
  rng = np.random.default_rng(0)
  labels = np.arange(40) // 20
  fitted, seconds, lines = installed.fit_installed(
    rng.standard_normal((40, 128, 6)) * (1 + labels)[:, None, None], labels, 0, 25
  )
  assert list(fitted) == list(seconds) == ['forest']
  assert 0 < seconds['forest'] < 60
  assert fitted['forest']._rate_hz == 25
  assert fitted['forest'].estimator.classes_.tolist() == [0, 1]
  assert lines == ['rocket needs aeon: pip install it']
  roots = [tree.tree_.n_node_samples[0] for tree in fitted['forest'].estimator.estimators_]
  assert set(roots) == {20}  # ten windows, and a copy of each
  assert installed.fit_installed(np.zeros((4, 128, 6)), np.arange(4) % 2, 0, 50, but='forest') == (
    *({}, {}),
    lines,
  )


def test_a_package_that_cannot_be_imported_for_whatever_reason_counts_as_missing(monkeypatch, tmp_path):
  for name in [name for name in sys.modules if name.partition('.')[0] == 'aeon']:
    monkeypatch.delitem(sys.modules, name)
  (tmp_path / 'aeon.py').write_text("raise AttributeError('no attribute trapz')")  # as Numba may raise it
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(UserError, match=r'needs aeon: pip install .* \(no attribute trapz\)'):
    BASELINES['rocket'](0)


def test_logarithms_of_a_device_at_rest_are_those_of_noise():
  still = np.tile(np.float32([0, 0, 9.8, 0, 0, 0]), (1, 128, 1))
  (row,) = relative_features.describe(still, 50).statistics
  logs = row[[name.startswith('log standard') for name in relative_features.NAMES[: len(row)]]]
  np.testing.assert_allclose(logs, np.full(6, np.log(0.01)), atol=1e-3)


def test_a_device_that_only_turns_does_not_move():
  angle = np.linspace(0, 3, 128)
  turning = np.stack([9.8 * np.cos(angle), 9.8 * np.sin(angle), *np.zeros((4, 128))], axis=1)
  shaken = turning * (1 + 0.1 * np.sin(20 * angle))[:, None]
  assert relative_features.describe(np.stack([turning, shaken]), 50).moves.tolist() == [False, True]


def test_parts_across_gravity_are_those_of_pythagoras():
  """By hand: gravity along z, and a device that turns at 4 about it and 3 about x."""
  window = np.tile(np.float32([0, 0, 9.8, 3, 0, 4]), (1, 128, 1))
  lengths = relative_features._relative_to_gravity(window)[0, 0]
  np.testing.assert_allclose(lengths, [9.8, 9.8, 0, 5, 4, 3], atol=1e-5)
