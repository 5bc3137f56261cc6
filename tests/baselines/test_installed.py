"""Baselines for a user's own windows: bounded in number, and without those whose package is missing."""

import sys

import numpy as np
import pytest

from har_jax import baselines
from har_jax.baselines import installed
from har_jax.errors import UserError


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

  monkeypatch.setitem(baselines.BASELINES, 'rocket', missing)
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


def test_a_package_that_cannot_be_imported_for_whatever_reason_counts_as_missing(monkeypatch, tmp_path):
  for name in [name for name in sys.modules if name.partition('.')[0] == 'aeon']:
    monkeypatch.delitem(sys.modules, name)
  (tmp_path / 'aeon.py').write_text("raise AttributeError('no attribute trapz')")  # as Numba may raise it
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(UserError, match=r'needs aeon: pip install .* \(no attribute trapz\)'):
    baselines.BASELINES['rocket'](0)
