"""MiniRocket: ridge classification on fixed convolution kernels.   w windows, n samples, y classes.

Source: arXiv:2012.08791. The transform is aeon's, whose zero padding lets gravity through kernels that sum to
zero. Without gravity, postures look alike.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from har_jax.errors import UserError, shorten

_KERNELS = 10_000
# Above so many windows, fewer kernels: the ridge's time grows with windows times kernels squared.
_MANY_WINDOWS, _KERNELS_OF_MANY = 1000, 2000
# Ridge scores of -1 and 1 mean "no" and "yes"; a softmax of the scores themselves is close to uniform.
_SCORE_SCALE = 3.0


class Rocket:
  """aeon's MiniRocket, standardized features, and a ridge whose penalty leave-one-out chooses."""

  def __init__(self, random_state: int, rate_hz: int = 0):
    """rate_hz: not used, since its kernels are of samples."""
    try:
      import aeon.transformations.collection.convolution_based  # noqa: F401  here, so that no fit pays for it
    except Exception as error:  # Numba with a NumPy that it does not know raises AttributeError
      raise UserError(f"rocket needs aeon: pip install 'har_jax[baselines]' ({shorten(error)})") from error
    self._random_state = random_state
    self.estimator: Any = None  # its number of kernels depends on the windows

  def fit(self, X: Float[np.ndarray, 'w n 6'], y: Int[np.ndarray, 'w']) -> 'Rocket':
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kernels = _KERNELS if len(X) <= _MANY_WINDOWS else _KERNELS_OF_MANY
    self.estimator = make_pipeline(
      MiniRocket(kernels, n_jobs=_threads(), random_state=self._random_state),
      StandardScaler(),  # it leaves constant features unscaled
      RidgeClassifierCV(np.logspace(-3, 3, 10)),
    )
    self.estimator.fit(_channels_first(X), y)
    return self

  def predict_proba(self, X: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w y']:
    """A softmax of the scores: not calibrated."""
    # aeon keeps the number of the fit, and fails where the fit was on a machine with more cores.
    self.estimator[0]._n_jobs = _threads()
    scores = self.estimator.decision_function(_channels_first(X))
    if scores.ndim == 1:  # two classes have one score
      scores = np.stack([-scores, scores], axis=1)
    from scipy import special

    return special.softmax(_SCORE_SCALE * scores, axis=1)

  @property
  def arrays(self) -> list[np.ndarray]:
    transform, scaler, ridge = (step for _, step in self.estimator.steps)
    return [*transform.parameters, scaler.mean_, scaler.scale_, ridge.coef_, ridge.intercept_]


def _threads() -> int:
  """Number of threads that Numba has. The features are the same bits with any number."""
  import numba

  return numba.get_num_threads()


def _channels_first(windows: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w 6 n']:
  return np.ascontiguousarray(np.swapaxes(windows, 1, 2), np.float32)
