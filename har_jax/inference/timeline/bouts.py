"""Predictions every 1.28 s → bouts: what was done from when to when.   w windows, y classes."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, STEP_SAMPLES
from har_jax.errors import UserError
from har_jax.inference.timeline.predictions import Predictions

UNKNOWN, NOT_WORN = 'unknown', 'not_worn'
_UNKNOWN, _NOT_WORN = -1, -2  # codes; those of the classes are 0 and up
_WINDOW_S, _STEP_S = WINDOW_SAMPLES / RATE_HZ, STEP_SAMPLES / RATE_HZ
_MAX_STEP_S = 1.5 * _STEP_S  # after a gap the next window starts at least a whole window later


@dataclasses.dataclass(frozen=True)
class Rules:
  """How predictions become bouts.

  smooth_s: probabilities are averaged over the windows that start within so many seconds; 0: no averaging.
  unknown_below: the activity is `unknown` if the average of its probability is lower.
  not_worn_min: a device that is still for so many minutes is not worn; 0: always worn.
  """

  smooth_s: float = 10.0
  unknown_below: float = 0.0
  not_worn_min: float = 30.0

  def __post_init__(self):
    if not 0 <= self.unknown_below <= 1:
      raise UserError(f'unknown_below is {self.unknown_below}; give a probability, 0 to 1')
    for name in ('smooth_s', 'not_worn_min'):
      if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
        raise UserError(f'{name} is {getattr(self, name)}; give 0 or more')

  @property
  def windows(self) -> int:
    """How many windows an average is over: an odd number."""
    return 2 * round(self.smooth_s / _STEP_S / 2) + 1 if self.smooth_s else 1

  def __str__(self) -> str:
    parts = [
      f'probabilities averaged over {self.windows} windows ({(self.windows - 1) * _STEP_S:.1f} s)'
      if self.windows > 1
      else 'probabilities of single windows'
    ]
    if self.unknown_below:
      parts.append(f'unknown below {self.unknown_below:g}')
    if self.not_worn_min:
      parts.append(f'not worn after {self.not_worn_min:g} minutes without movement')
    return '; '.join(parts)


@dataclasses.dataclass(frozen=True)
class Bout:
  """Times are on the clock of its recording.

  `confidence` is the mean over the windows of the averaged probability of the activity; NaN if not worn.
  """

  recording: int
  start_s: float
  stop_s: float
  activity: str
  confidence: float

  @property
  def length_s(self) -> float:
    return self.stop_s - self.start_s


def find_bouts(predictions: Predictions, rules: Rules) -> list[Bout]:
  """Bouts in order, without overlap. Two bouts meet midway between the centers of their windows."""
  bouts = []
  for part in _without_gaps(predictions):
    start_s, probabilities = predictions.start_s[part], predictions.probabilities[part]
    codes = np.full(len(start_s), _NOT_WORN)
    not_worn = _not_worn(predictions.still[part], start_s, rules)
    for first, stop, off in _equal_runs(not_worn.astype(np.int64)):
      if not off:
        codes[first:stop] = _average(probabilities[first:stop], rules.windows).argmax(axis=1)
    confidence = np.full(len(codes), np.nan)
    for first, stop, code in list(_equal_runs(codes)):
      if code >= 0:
        # Averaged over windows of this activity only: an average across a change of activity is low for both.
        confidence[first:stop] = _average(probabilities[first:stop, [code]], rules.windows)[:, 0]
        codes[first:stop][confidence[first:stop] < rules.unknown_below] = _UNKNOWN
    edges = np.r_[start_s[0], (start_s[1:] + start_s[:-1] + _WINDOW_S) / 2, start_s[-1] + _WINDOW_S]
    recording = int(predictions.recording[part][0])
    for first, stop, code in _equal_runs(codes):
      activity = {_UNKNOWN: UNKNOWN, _NOT_WORN: NOT_WORN}.get(code) or predictions.classes[code]
      mean = math.nan if code == _NOT_WORN else float(confidence[first:stop].mean())
      bouts.append(Bout(recording, float(edges[first]), float(edges[stop]), activity, mean))
  return bouts


def minutes_by_activity(bouts: Sequence[Bout]) -> dict[str, float]:
  """Longest first."""
  minutes: dict[str, float] = {}
  for bout in bouts:
    minutes[bout.activity] = minutes.get(bout.activity, 0.0) + bout.length_s / 60
  return dict(sorted(minutes.items(), key=lambda entry: -entry[1]))


def _without_gaps(predictions: Predictions) -> Iterator[slice]:
  """Parts in which each window overlaps the next."""
  is_gap = (np.diff(predictions.recording) != 0) | (np.diff(predictions.start_s) > _MAX_STEP_S)
  bounds = [0, *(np.flatnonzero(is_gap) + 1).tolist(), len(predictions.start_s)]
  for first, stop in itertools.pairwise(bounds):
    yield slice(first, stop)


def _average(probabilities: Float[np.ndarray, 'w y'], size: int) -> Float[np.ndarray, 'w y']:
  """Moving average over `size` windows; over fewer at either end."""
  count, half = len(probabilities), size // 2
  sums = np.concatenate(
    [np.zeros((1, probabilities.shape[1])), probabilities.cumsum(axis=0, dtype=np.float64)]
  )
  first = np.maximum(np.arange(count) - half, 0)
  stop = np.minimum(np.arange(count) + half + 1, count)
  return (sums[stop] - sums[first]) / (stop - first)[:, None]


def _not_worn(
  still: Bool[np.ndarray, 'w'], start_s: Float[np.ndarray, 'w'], rules: Rules
) -> Bool[np.ndarray, 'w']:
  not_worn = np.zeros(len(still), bool)
  if rules.not_worn_min:
    for first, stop, code in _equal_runs(still.astype(np.int64)):
      if code and start_s[stop - 1] + _WINDOW_S - start_s[first] >= 60 * rules.not_worn_min:
        not_worn[first:stop] = True
  return not_worn


def _equal_runs(codes: Int[np.ndarray, 'w']) -> Iterator[tuple[int, int, int]]:
  """First index, stop index and code of each run of equal codes."""
  bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
  for first, stop in itertools.pairwise(bounds):
    yield first, stop, int(codes[first])
