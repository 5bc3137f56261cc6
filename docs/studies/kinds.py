"""Kinds of recordings that the bundled base has never seen, with the flags of the studies of them.

The usual targets are kinds, too. The bundled base knows three of them, which have a base of their own.

w windows.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import study
from jaxtyping import Float, Int
from sklearn.metrics import f1_score

from har_jax import files
from har_jax.baselines import relative_features
from har_jax.datasets import windows
from har_jax.signal.recording import LOCOMOTION

FLAGS, _define = study.new_flags()
_define('windows', 'windows')
_define('bases', 'runs/bases', 'folder of a base for each usual target, made without it and named after it')
_MOST_TESTED = 2000  # windows of a kind, drawn at random
_FEWEST = 3  # windows of an activity, of the people to train on


@dataclasses.dataclass(frozen=True)
class Kind:
  """One position of a dataset, perhaps at a lower rate.   is_usual: activities of locomotion alone."""

  name: str
  dataset: str
  position: int = 0
  rate_hz: float = 50.0
  is_usual: bool = False


WAIST, POCKET, CHEST = Kind('waist', 'hapt'), Kind('pocket', 'pdiot'), Kind('chest', 'pdiot', 1)
FALLS, EXERCISES = Kind('wrist, falls', 'weda_fall'), Kind('wrist, exercises', 'liara')
SHOULDER = Kind('wrist, shoulder exercises', 'spar')
USUAL = tuple(Kind(name, name.lower(), is_usual=True) for name in ('HAPT', 'MotionSense', 'DSADS', 'WISDM'))


@functools.cache
def base_of(kind: Kind) -> files.Base:
  """The bundled base, or another one of the same recipe if the bundled one knows the dataset."""
  base = files.bundled_base()
  if kind.dataset not in {source.archive for source in base.card.sources}:
    return base
  return files.load_base(f'{FLAGS["bases"].value}/{kind.dataset}')


@functools.cache
def open_windows(kind: Kind) -> Any:
  """The dataset's windows at the position, at 50 Hz."""
  loaded = windows.load(f'{FLAGS["windows"].value}/{kind.dataset}')
  return windows.at_position(loaded, kind.position)


@functools.cache
def load(kind: Kind) -> tuple[Float[np.ndarray, 'w n 6'], np.ndarray, np.ndarray]:
  """Windows, activities and people."""
  windows, kept = open_windows(kind), _kept(kind)
  signals, names = repeat_samples(windows.signals[kept], kind.rate_hz), np.array(windows.meta.activities)
  return signals, names[windows.activity[kept]], np.array(windows.subject[kept])


def recordings_of(kind: Kind) -> Int[np.ndarray, 'w']:
  """The number of the recording of each window that `load` gives."""
  return np.array(open_windows(kind).recording)[_kept(kind)]


def _kept(kind: Kind) -> Int[np.ndarray, 'w']:
  windows = open_windows(kind)
  names = windows.meta.activities
  is_kept = np.array([name in LOCOMOTION or not kind.is_usual for name in names])
  return np.flatnonzero(is_kept[windows.activity])


def repeat_samples(signals: Float[np.ndarray, 'w n 6'], rate_hz: float) -> Float[np.ndarray, 'w n 6']:
  """Signals of 50 Hz as a logger of a lower rate writes them: each sample is repeated until the next one."""
  times_s = np.arange(signals.shape[1]) / 50
  latest = np.floor(np.floor(times_s * rate_hz + 1e-9) / rate_hz * 50 + 1e-9).astype(int)
  return signals[:, latest]


def draw(
  activities: np.ndarray, people: np.ndarray, labels: int, seed: int
) -> tuple[Int[np.ndarray, 'w'], Int[np.ndarray, 'w']]:
  """Indices of the windows to fit to, and of those to test on, of other people."""
  rng = np.random.default_rng(seed)
  order = rng.permutation(np.unique(people))
  is_fitted = np.isin(people, order[: len(order) // 2])
  parts, names = [], []
  for name in np.unique(activities):
    own = np.flatnonzero(is_fitted & (activities == name))
    if len(own) >= max(labels, _FEWEST) and (~is_fitted & (activities == name)).any():
      parts.append(rng.choice(own, labels, replace=False))
      names.append(name)
  tested = np.flatnonzero(~is_fitted & np.isin(activities, names))
  if len(tested) > _MOST_TESTED:
    tested = rng.choice(tested, _MOST_TESTED, replace=False)
  return np.concatenate(parts), np.sort(tested)


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float:
  return float(f1_score(true, predicted, average='macro', labels=np.unique(true), zero_division=0))


def by_person(
  answer: Callable[[np.ndarray], Float[np.ndarray, 'w y']], people: np.ndarray
) -> Float[np.ndarray, 'w y']:
  """Probabilities, where `answer` takes the indices of all windows of one person."""
  parts = [np.flatnonzero(people == person) for person in np.unique(people)]
  answers = [answer(part) for part in parts]
  joined = np.empty((len(people), answers[0].shape[1]))
  for part, probabilities in zip(parts, answers, strict=True):
    joined[part] = probabilities
  return joined


def compare_with_walking(
  model: Any, probabilities: Float[np.ndarray, 'w y'], signals: Float[np.ndarray, 'w n 6'], people: np.ndarray
) -> Float[np.ndarray, 'w y']:
  """Probabilities by the bundled base's own head, whose windows of a person are one recording."""

  def combined(own: np.ndarray) -> Float[np.ndarray, 'w y']:
    described = relative_features.describe(signals[own], 50)
    return model.recording_head_.combine(
      probabilities[own], described, model.classes_.tolist(), model.temperature
    )

  return by_person(combined, people)
