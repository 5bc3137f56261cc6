"""An ensemble: the weighted mean of the probabilities of an adapted encoder and of the baselines.

<folder>/ensemble.skops  ensemble.json   the fitted baselines, weights and temperature; next to their adapter

m members, w windows, n samples, y classes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from har_jax import records, storage
from har_jax.baselines import BASELINES, Baseline
from har_jax.baselines.installed import fit_installed
from har_jax.config import Windowing
from har_jax.errors import UserError, shorten
from har_jax.files import estimator_checks, estimators
from har_jax.recognizer.calibration import fit_temperature
from har_jax.storage import Place

ENCODER = 'encoder'
_NAME = 'ensemble'
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


def check_installed() -> None:
  """Raises UserError where a package is missing that a baseline or its file needs."""
  estimators.check_installed()
  for make in BASELINES.values():
    make(0)


def is_installed() -> bool:
  """Returns whether the packages are there that the baselines and their files need."""
  try:
    check_installed()
  except UserError:
    return False
  return True


def check_encoder_alone(is_ensemble: bool, what: str) -> None:
  """Raises UserError for an ensemble where `what` holds the encoder alone."""
  if is_ensemble:
    raise UserError(
      f'{what} holds the adapted encoder alone, and this recognizer is an ensemble; '
      'recognizer.set_params(ensemble=False) leaves the baselines out'
    )


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
  """What an ensemble adds to an adapted encoder. The baselines take windows in physical units.

  temperature: of the mean. seconds: of each baseline's fit.
  """

  baselines: dict[str, Baseline]
  weights: dict[str, float]
  seconds: dict[str, float]
  temperature: float = 1.0

  def predict_proba(
    self, encoder: Float[np.ndarray, 'w y'], windows: Float[np.ndarray, 'w n 6']
  ) -> Float[np.ndarray, 'w y']:
    """encoder: the adapted encoder's probabilities of the same windows."""
    mean = average({ENCODER: encoder, **self.probabilities(windows)}, self.weights)
    from scipy import special

    return special.softmax(np.log(np.maximum(mean, _TINY)) / self.temperature, axis=1)

  def probabilities(self, windows: Float[np.ndarray, 'w n 6']) -> dict[str, Float[np.ndarray, 'w y']]:
    """Probabilities of each baseline, by its name."""
    return {name: baseline.predict_proba(windows) for name, baseline in self.baselines.items()}


def fit(
  windows: Float[np.ndarray, 'w n 6'], labels: Int[np.ndarray, 'w'], random_state: int, rate_hz: int
) -> Ensemble:
  """An ensemble with the default weights. Raises UserError as `check_installed`."""
  check_installed()
  fitted, seconds, _ = fit_installed(windows, labels, random_state, rate_hz)
  return Ensemble(fitted, dict(_DEFAULT_WEIGHTS), seconds)


def save(folder: str | Place, ensemble: Ensemble, *, adapter: str) -> None:
  """Writes it, completely or not at all. adapter: the checksum of the adapter that it belongs to."""
  card = records.Ensemble(
    adapter=adapter, weights=ensemble.weights, seconds=ensemble.seconds, temperature=ensemble.temperature
  )
  fitted = {name: baseline.estimator for name, baseline in ensemble.baselines.items()}
  estimators.write(storage.place(str(folder)), _NAME, fitted, card)


def load(folder: str | Place, *, adapter: str, windowing: Windowing, classes: int) -> Ensemble:
  """Reads what `save` wrote. classes: number of them.

  Raises UserError where there is none, it is damaged or forged, or it belongs to another adapter.
  """
  fitted, card = estimators.read(storage.place(str(folder)), _NAME)
  if card.adapter != adapter:
    raise UserError(
      f'the ensemble in {folder} belongs to the adapter with checksum {card.adapter}; the one there has '
      f'{adapter}; fetch or write both again'
    )
  if fitted.keys() - BASELINES.keys() or {ENCODER, *fitted} != card.weights.keys():
    raise UserError(
      f'the ensemble in {folder} has {shorten(", ".join(fitted))} and weights of '
      f'{shorten(", ".join(card.weights))}; this version knows {", ".join(BASELINES)}; fit it again'
    )
  baselines: dict[str, Any] = {name: BASELINES[name](0, windowing.rate_hz) for name in fitted}
  for name, estimator in fitted.items():
    baselines[name].estimator = estimator
    try:
      estimator_checks.check_baseline(baselines[name], samples=windowing.samples, classes=classes)
    except Exception as error:  # whatever a forged estimator raises
      raise UserError(
        f'the ensemble in {folder} holds a {name} that cannot predict: {shorten(error)}; fit it again'
      ) from error
  return Ensemble(baselines, card.weights, card.seconds, card.temperature)
