"""Baselines: the probabilities of every classifier; a user's own windows, and packages that are missing."""

import multiprocessing
import sys

import numpy as np
import pytest

from har_jax.baselines import BASELINES, installed
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


@pytest.mark.slow
def test_rocket_of_a_machine_with_more_cores_predicts_the_same(monkeypatch):
  labels = np.arange(24, dtype=np.int32) % 2
  windows = (np.random.default_rng(0).standard_normal((24, 128, 6)) * (1 + labels)[:, None, None]).astype('f')
  rocket = BASELINES['rocket'](0).fit(windows, labels)
  expected = rocket.predict_proba(windows)
  rocket.estimator[0]._n_jobs = 64  # as its file says where the fit had 64
  monkeypatch.setattr(multiprocessing, 'cpu_count', lambda: 64)  # of the machine; this process has fewer
  np.testing.assert_array_equal(rocket.predict_proba(windows), expected)


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

  monkeypatch.setitem(BASELINES, 'rocket', missing)
  monkeypatch.setattr(installed, 'MAX_WINDOWS', 10)
  rng = np.random.default_rng(0)
  labels = np.arange(40) % 2
  fitted, seconds, lines = installed.fit_installed(
    rng.standard_normal((40, 128, 6)) * (1 + labels)[:, None, None], labels, 0, 50
  )
  assert list(fitted) == list(seconds) == ['forest']
  assert seconds['forest'] > 0
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
