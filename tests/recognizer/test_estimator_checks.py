"""scikit-learn's own checks of a classifier."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_estimator

from har_jax.baselines import forest
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal import summary

_MESSAGE = 'the error is a ValueError, in words of the field'
_NOT_APPLICABLE = {
  'check_array_api_input': 'an option of SciPy that is not set',
  'check_complex_data': _MESSAGE,
  'check_dtype_object': 'numbers in an array of objects are refused',
  'check_estimators_empty_data_messages': 'windows have three axes; these are of rows alone',
  'check_fit2d_predict1d': _MESSAGE,
  'check_n_features_in_after_fitting': 'a window has no features: `windowing` says its form',
}


class _OfRows(Recognizer, BaseEstimator):
  """A recognizer of windows that repeat a row of features: scikit-learn has no checks for windows."""

  def __sklearn_tags__(self) -> Any:
    tags = super().__sklearn_tags__()
    tags.input_tags.two_d_array = True
    return tags

  def fit(self, X: Any, y: Any, *arguments: Any, **named: Any) -> Recognizer:
    rows = np.asarray(X)
    self.n_features_in_ = rows.shape[1] if rows.ndim == 2 else 0
    return super().fit(self._windows(X), y, *arguments, **named)

  def predict_proba(self, X: Any) -> np.ndarray:
    return super().predict_proba(self._windows(X))

  def _windows(self, X: Any) -> np.ndarray:
    rows = np.asarray(X)
    if rows.ndim != 2 or not rows.size or rows.shape[1] != getattr(self, 'n_features_in_', rows.shape[1]):
      return X
    return rows[:, np.arange(128 * 6) % rows.shape[1]].reshape(-1, 128, 6)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore::har_jax.recognizer.frame_check.FrameWarning')
@pytest.mark.parametrize('method', ['linear', 'forest'])
def test_it_passes_scikit_learns_checks_but_those_that_do_not_apply(base, method, monkeypatch):
  monkeypatch.setattr(forest, '_TREES', 5)
  monkeypatch.setattr(summary, 'draw_evenly', lambda signals: signals[:8])  # they rotate nothing
  results = check_estimator(
    _OfRows(base, method=method, max_steps=2, validation_fraction=0), on_fail=None, on_skip=None
  )
  others = {result['check_name']: result['exception'] for result in results if result['status'] != 'passed'}
  names = {result['check_name'] for result in results}  # scikit-learn adds checks with its versions
  assert others.keys() == _NOT_APPLICABLE.keys() & names, others
  assert len(names) > 45
