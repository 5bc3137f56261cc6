"""Baselines: the probabilities of every classifier."""

import multiprocessing

import numpy as np
import pytest

from har_jax.baselines import BASELINES
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
