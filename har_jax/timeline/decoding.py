"""A hidden Markov model over consecutive windows: an activity outlasts a window.

w windows, y activities.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from har_jax.errors import UserError

# One value for filter and smoother, chosen on HAPT's validation people (results/decoding.csv). With larger
# ones the filter is worse, the smoother little changed. People's bouts are longer, but neighboring windows
# repeat errors.
MEAN_BOUT_S = 5.0
# Windows of evidence in a window's length. 1 would count each sample once, but probabilities that are
# softened for other devices say too little: docs/results/ablations.md.
_WINDOWS_OF_EVIDENCE = 2.0
_MIN_PROBABILITY = 1e-12  # above 0, so that no window can rule an activity out


@dataclasses.dataclass(frozen=True)
class Chain:
  """The activity as a Markov chain in continuous time: uniform prior, one rate from each activity to each.

  mean_bout_s: mean time between changes; 0: each window alone.
  hop_s: time from one window to the next. window_s: length of a window.

  With a uniform prior, a window's probabilities are its likelihoods up to a factor. Windows that overlap by
  half count fully. Of closer ones the power 2 hop_s / window_s keeps the evidence of a second the same.
  Raises UserError unless mean_bout_s is 0 or more.
  Source: Rabiner, Proceedings of the IEEE 77(2), 1989, section III.
  """

  mean_bout_s: float | int
  hop_s: float
  window_s: float

  def __post_init__(self) -> None:
    if not (self.mean_bout_s >= 0 and math.isfinite(self.mean_bout_s)):
      raise UserError(f'mean_bout_s is {self.mean_bout_s}; give 0 or more')

  def update(
    self, before: Float[np.ndarray, 'y'] | None, probabilities: Float[np.ndarray, 'y']
  ) -> Float[np.ndarray, 'y']:
    """The forward filter: posterior of the window's activity, from it and all earlier windows of the chain.

    before: what the window before got, None for a chain's first.
    """
    likelihoods = self._likelihoods(probabilities)
    return _normalized(likelihoods if before is None else likelihoods * self._moved(before))

  def smoothed(self, probabilities: Float[np.ndarray, 'w y']) -> Float[np.ndarray, 'w y']:
    """Forward-backward: posteriors from all windows of the chain."""
    smoothed = np.empty(probabilities.shape)
    before = None
    for index, row in enumerate(probabilities):
      smoothed[index] = before = self.update(before, row)
    later = np.ones(probabilities.shape[1])
    for index in range(len(probabilities) - 2, -1, -1):
      later = _normalized(self._moved(later * self._likelihoods(probabilities[index + 1])))
      smoothed[index] = _normalized(smoothed[index] * later)
    return smoothed

  def _likelihoods(self, probabilities: Float[np.ndarray, 'y']) -> Float[np.ndarray, 'y']:
    power = min(_WINDOWS_OF_EVIDENCE * self.hop_s / self.window_s, 1.0) if self.mean_bout_s else 1.0
    return np.maximum(probabilities, _MIN_PROBABILITY, dtype=np.float64) ** power

  def _moved(self, probabilities: Float[np.ndarray, 'y']) -> Float[np.ndarray, 'y']:
    """One hop along the chain: the matrix exponential of its rates, which is symmetric."""
    if not self.mean_bout_s:
      return np.full(len(probabilities), probabilities.mean())
    count = len(probabilities)
    stays = math.exp(-self.hop_s / self.mean_bout_s * count / max(count - 1, 1))
    return stays * probabilities + (1 - stays) * probabilities.mean()


def _normalized(values: Float[np.ndarray, 'y']) -> Float[np.ndarray, 'y']:
  return values / values.sum()
