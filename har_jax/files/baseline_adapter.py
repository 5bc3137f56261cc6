"""A baseline as an adapter: the file holds its training windows, and loading fits it to them again.

No tree and no code is read from a file. A fit depends on the windows, the seed and the packages alone: with
the versions in the card, the answers are those of the first fit. The file holds its person's measurements.
w windows, n samples, y classes.
"""

import importlib.metadata
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

import har_jax
from har_jax import config, records, variables
from har_jax.baselines import BASELINES, Baseline
from har_jax.baselines.installed import MAX_WINDOWS, evenly_spaced
from har_jax.errors import UserError, shorten
from har_jax.files.safetensors_io import MAKE_AGAIN
from har_jax.signal.recording import LARGEST
from har_jax.variables import Variables

_WINDOWS, _LABELS = 'baseline/windows', 'baseline/labels'
# Windows times classes: a forest of windows that are all unlike each other takes 13 kB for each.
_MOST = 100_000
# Trees may agree that a class is impossible, which the logarithm lacks. Less than the vote of one tree.
_LEAST_PROBABILITY = 1e-4


def leaves_of(windows: Float[np.ndarray, 'w n 6'], labels: Int[np.ndarray, 'w']) -> Variables:
  """What the file holds: the windows that `fit_installed` takes of these, in m/s² and rad/s."""
  indices = evenly_spaced(labels, MAX_WINDOWS)
  return {_WINDOWS: windows[indices], _LABELS: labels[indices].astype(np.int32)}


def versions(method: str) -> dict[str, str]:
  """Versions of the packages that a fit depends on, for a card."""
  packages = ('scikit-learn', 'jax', *(('aeon',) if method == 'rocket' else ()))
  return {package: importlib.metadata.version(package) for package in packages} | {
    'har_jax': har_jax.__version__
  }


def version_doubts(card: records.Adapter) -> list[str]:
  """A sentence if the baseline was first fitted with other versions than those installed."""
  here = versions(card.method) if card.method in BASELINES else {}
  others = {name: card.fitted_with.get(name, 'unknown') for name in here}
  changes = ', '.join(f'{name} {old}, now {here[name]}' for name, old in others.items() if old != here[name])
  if not changes:
    return []
  return [
    f'The baseline {card.method} was first fitted with other versions ({shorten(changes)}): its answers may '
    'differ a little. Install those, or adapt again.'
  ]


def _check(card: records.Adapter, leaves: Variables) -> None:
  """Raises UserError where the leaves are no training windows of the card's classes, or are too many."""
  count, classes = np.size(leaves.get(_LABELS, ())), len(card.classes)
  samples = card.model.windowing.samples
  expected = {
    _WINDOWS: jax.ShapeDtypeStruct((count, samples, config.CHANNELS), np.float32),
    _LABELS: jax.ShapeDtypeStruct((count,), np.int32),
  }
  if lines := variables.difference(expected, leaves):
    raise UserError(f'these are not the windows and labels of {card.method}; {MAKE_AGAIN}:\n{lines}')
  if count > MAX_WINDOWS + classes or count * classes > _MOST:
    raise UserError(
      f'{count} windows of {classes} classes are too many for {card.method}: it takes {MAX_WINDOWS} windows, '
      f'and windows times classes up to {_MOST}; adapt with the method linear, or to fewer classes'
    )
  if not (np.abs(leaves[_WINDOWS]) <= LARGEST).all():
    raise UserError(f'the windows of {card.method} have a NaN, or values beyond {LARGEST:g}; {MAKE_AGAIN}')
  if np.unique(leaves[_LABELS]).tolist() != list(range(classes)):
    raise UserError(f'the labels of {card.method} are not of its {classes} classes; {MAKE_AGAIN}')
  if card.class_means is not None:
    raise UserError(f'the card of {card.method} has class_means, which are of a network; {MAKE_AGAIN}')


def fit(card: records.Adapter, leaves: Variables) -> Baseline:
  """The baseline of an adapter. Raises UserError if that is not valid, or a package is missing."""
  _check(card, leaves)
  baseline = BASELINES[card.method](card.training.random_state or 0, card.model.windowing.rate_hz)
  try:
    baseline.fit(np.asarray(leaves[_WINDOWS]), np.asarray(leaves[_LABELS]))
  except ValueError as error:  # values, lengths or a seed that it does not take
    raise UserError(f'{card.method} cannot be fitted to these windows: {shorten(error)}') from error
  return baseline


def logits(baseline: Any, windows: Float[np.ndarray, 'w n 6']) -> Float[np.ndarray, 'w y']:
  """Logarithms of its probabilities."""
  return np.log(np.maximum(baseline.predict_proba(windows), _LEAST_PROBABILITY))
