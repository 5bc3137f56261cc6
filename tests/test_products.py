"""Fits of small heads: how many threads multiply."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
import threadpoolctl
from sklearn.linear_model import LogisticRegression

from har_jax import products
from har_jax.stream import head_update
from har_jax.train import output_layer
from har_jax.train.objective import Classify


def _threads() -> set[int]:
  libraries = threadpoolctl.threadpool_info()
  return {library['num_threads'] for library in libraries if library['user_api'] == 'blas'}


@pytest.fixture
def on_two():
  with threadpoolctl.threadpool_limits(2, user_api='blas'):
    yield


def _spy(monkeypatch, holder, name: str) -> list[set[int]]:
  found, original = [], getattr(holder, name)

  def spied(*arguments, **options):
    found.append(_threads())
    return original(*arguments, **options)

  monkeypatch.setattr(holder, name, spied)
  return found


def test_threads_are_as_before_after_a_block_on_one_thread(on_two):
  with products.on_one_thread():
    assert _threads() == {1}
  assert _threads() == {2}


def test_a_correction_is_fitted_on_one_thread(on_two, monkeypatch):
  found = _spy(monkeypatch, scipy.optimize, 'minimize')
  head_update.fit(np.ones((2, 3)), np.zeros((2, 2)), np.eye(2), penalty=1.0)
  assert found == [{1}]


def test_a_linear_head_is_fitted_on_one_thread(on_two, monkeypatch, tiny, drawn):
  changed = {'patch_size': 4, 'stem': (8, 16), 'log_std': False, 'invariant_features': False}
  model = dataclasses.replace(tiny, depth=1, head=(), window_statistics=True, **changed)
  objective = Classify(model, 2)
  windows = {
    'signal': np.random.default_rng(0).standard_normal((4, 128, 6), np.float32),
    'label': np.arange(4) % 2,
  }
  of_covariance = _spy(monkeypatch, output_layer, '_within_classes')
  of_fit = _spy(monkeypatch, LogisticRegression, 'fit')
  output_layer.fit(objective, dict(drawn(objective.init)), windows)
  assert (of_covariance, of_fit) == ([{1}], [{1}])
