"""What the head of a base tells a linear head that is fitted to few windows of each class.

w windows, f inputs of the linear head, d of the encoder's features, y classes, k classes of the base.

The base knows some activities by name. Its logits, which are nearly linear in the encoder's features, are
expanded around the training windows. They are added to the linear head's logits with a small weight. So an
answer costs nothing more. A class has the base's classes of the same activity, and those that the base
takes its training windows for. With more windows there is less to gain: docs/results/ablations.md.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from har_jax.train.objective import Classify
from har_jax.variables import Variables

_WEIGHT = 0.3  # with one window of each class, and by the number of windows less
_MOST_WINDOWS = 6  # of each class; with more, the weight is next to nothing


@dataclasses.dataclass(frozen=True, eq=False)
class HeadPrior:
  """The head of a base.   is_same: True where a class and one of the base's are the same activity."""

  objective: Classify
  variables: Variables
  temperature: float
  is_same: Bool[np.ndarray, 'y k']

  def logits(
    self, features: Float[np.ndarray, 'w d'], labels: Int[np.ndarray, 'w']
  ) -> tuple[Float[np.ndarray, 'd y'], Float[np.ndarray, 'y']] | None:
    """Kernel and bias on the encoder's features, for these training windows; None with many of each class."""
    windows = np.bincount(labels, minlength=len(self.is_same)).astype(np.float64)
    if windows.mean() > _MOST_WINDOWS or not self.is_same.any():
      return None
    of_base = _answers_and_slope(self.objective, self.variables, jnp.asarray(features, jnp.float32))
    answers, slope = (np.asarray(part, np.float64) / self.temperature for part in of_base)
    probabilities = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
    sums = np.stack([probabilities[labels == label].sum(axis=0) for label in range(len(windows))])
    # The name counts as one more window.
    names = self.is_same / np.maximum(self.is_same.sum(axis=1, keepdims=True), 1)
    shares = sums + names
    shares /= shares.sum(axis=1, keepdims=True)
    shares *= _WEIGHT / windows.mean()
    centered = answers.mean(axis=0) - answers.mean()
    kernel = (slope - slope.mean(axis=0)).T @ shares.T
    return kernel, shares @ centered - features.mean(axis=0) @ kernel


@functools.partial(jax.jit, static_argnums=0)
def _answers_and_slope(
  objective: Classify, variables: Variables, features: Float[Array, 'w d']
) -> tuple[Float[Array, 'w k'], Float[Array, 'k d']]:
  """Logits, and the derivatives of their mean where all windows move alike."""

  def answer(shift: Float[Array, 'd']) -> Float[Array, 'w k']:
    return objective.classify(variables, features + shift[None])

  zero = jnp.zeros(features.shape[1])
  return answer(zero), jax.jacrev(lambda shift: answer(shift).mean(axis=0))(zero)
