"""The weighted mean of the probabilities of an adapted encoder and of the baselines, as a row of a table.

m members, w windows, y classes.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from har_jax.baselines import BASELINES
from har_jax.recognizer.calibration import fit_temperature

ENCODER = 'encoder'
_DEFAULT_WEIGHTS = {ENCODER: 0.5} | {name: 0.5 / len(BASELINES) for name in BASELINES}
# The default weights count as much as so many windows: windows of a few people are far from independent.
_PRIOR_WINDOWS = 100.0
_EM_STEPS = 200  # the prior makes each step a contraction; far fewer suffice
_TINY = 1e-12  # the trees give probabilities of zero


def fit_members(
  logits: Float[np.ndarray, 'w y'],
  probabilities: Mapping[str, Float[np.ndarray, 'w y']],
  labels: Int[np.ndarray, 'w'],
) -> tuple[float, dict[str, float]]:
  """The encoder's temperature and the members' weights, fitted to windows that no member was fitted to.

  logits: the encoder's. probabilities: of each baseline, by name.
  Without its temperature, an overconfident encoder outvotes the others whatever they say.
  Without windows: 1, and the default weights.
  """
  temperature = fit_temperature(logits, labels) if len(labels) else 1.0
  from scipy import special

  members = {ENCODER: special.softmax(logits / temperature, axis=1), **probabilities}
  return temperature, _fit_weights(members, labels)


def _fit_weights(
  probabilities: Mapping[str, Float[np.ndarray, 'w y']], labels: Int[np.ndarray, 'w']
) -> dict[str, float]:
  """Minimizes the log loss of the mean over the simplex, with a Dirichlet prior around the default weights.

  By expectation maximization for the weights of a mixture; the loss is convex.
  Source: Dempster, Laird and Rubin, J. R. Stat. Soc. B 39(1), 1977, section 4.3.
  """
  indices = np.arange(len(labels))
  likelihood = np.stack([np.maximum(member[indices, labels], _TINY) for member in probabilities.values()])
  prior = np.array([_DEFAULT_WEIGHTS[name] for name in probabilities])
  weights = prior
  for _ in range(_EM_STEPS):
    joint = weights[:, None] * likelihood
    shares = (joint / joint.sum(axis=0)).sum(axis=1)
    weights = (shares + _PRIOR_WINDOWS * prior) / (len(labels) + _PRIOR_WINDOWS)
  return dict(zip(probabilities, weights.tolist(), strict=True))


def average(
  probabilities: Mapping[str, Float[np.ndarray, 'w y']], weights: Mapping[str, float]
) -> Float[np.ndarray, 'w y']:
  """The weighted mean of the members' probabilities."""
  return np.sum([weights[name] * member for name, member in probabilities.items()], axis=0)
