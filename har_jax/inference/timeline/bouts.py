"""From an answer every 1.28 s to bouts: what was done from when to when.   w windows of a stretch, y classes."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, STEP_SAMPLES
from har_jax.errors import UserError
from har_jax.inference.timeline.answers import Answers

UNKNOWN, NOT_WORN = 'unknown', 'not_worn'
_UNKNOWN, _NOT_WORN = -1, -2  # beside the classes' places
_WINDOW_S, _STEP_S = WINDOW_SAMPLES / RATE_HZ, STEP_SAMPLES / RATE_HZ
_NEIGHBOUR_S = 1.5 * _STEP_S  # beyond a gap the next window begins a window later, at least


@dataclasses.dataclass(frozen=True)
class Rules:
  """How answers become bouts.

  smooth_s: probabilities are averaged over windows that begin within so many seconds, half of it before, half after.
  unknown_below: where the average of the activity that is likeliest is less, the answer is `unknown`.
  not_worn_min: a device that lies still for so many minutes is not worn; 0 for never.
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
    """Averaged over, an odd number."""
    return 2 * round(self.smooth_s / _STEP_S / 2) + 1 if self.smooth_s else 1

  def __str__(self) -> str:
    smoothed = (
      f'the mean of the probabilities of {self.windows} windows, begun over {(self.windows - 1) * _STEP_S:.1f} s, decides'
      if self.windows > 1
      else "each window's probabilities decide"
    )
    unknown = (
      f'; unknown where the likeliest has less than {self.unknown_below:g}' if self.unknown_below else ''
    )
    not_worn = (
      f'; not worn where the device lay still for {self.not_worn_min:g} minutes or more'
      if self.not_worn_min
      else ''
    )
    return smoothed + unknown + not_worn


@dataclasses.dataclass(frozen=True)
class Bout:
  """`confidence` is the mean, over its windows, of the averaged probability of what was likeliest; NaN if not worn.

  Times are on the clock of its recording.
  """

  recording: int
  start_s: float
  stop_s: float
  activity: str
  confidence: float

  @property
  def length_s(self) -> float:
    return self.stop_s - self.start_s


def find(answers: Answers, rules: Rules) -> list[Bout]:
  """In order, without overlap, over all that the windows cover: the border of two is midway between their windows."""
  found = []
  for part in _stretches(answers):
    start_s = answers.start_s[part]
    probabilities = answers.probabilities[part]
    said = np.full(len(start_s), _NOT_WORN)
    for first, stop, off in _runs(_not_worn(answers.still[part], start_s, rules).astype(np.int64)):
      if not off:  # averaged over what was worn alone
        said[first:stop] = _average(probabilities[first:stop], rules.windows).argmax(axis=1)
    confidence = np.full(len(said), np.nan)
    for first, stop, code in list(_runs(said)):
      if code >= 0:
        # Averaged anew, over windows of the same activity: where one follows another both are sure, and only the mean
        # over both is not.
        own = _average(probabilities[first:stop, code : code + 1], rules.windows)[:, 0]
        confidence[first:stop] = own
        said[first:stop][own < rules.unknown_below] = _UNKNOWN
    edges = np.r_[start_s[0], (start_s[1:] + start_s[:-1] + _WINDOW_S) / 2, start_s[-1] + _WINDOW_S]
    for first, stop, code in _runs(said):
      activity = {_UNKNOWN: UNKNOWN, _NOT_WORN: NOT_WORN}.get(code) or answers.classes[code]
      sure = math.nan if code == _NOT_WORN else float(confidence[first:stop].mean())
      number = int(answers.recording[part][0])
      found.append(Bout(number, float(edges[first]), float(edges[stop]), activity, sure))
  return found


def _stretches(answers: Answers) -> Iterator[slice]:
  """Windows each of which overlaps the next."""
  apart = (np.diff(answers.recording) != 0) | (np.diff(answers.start_s) > _NEIGHBOUR_S)
  for first, stop in itertools.pairwise([0, *(np.flatnonzero(apart) + 1).tolist(), len(answers.start_s)]):
    yield slice(first, stop)


def _average(probabilities: Float[np.ndarray, 'w y'], size: int) -> Float[np.ndarray, 'w y']:
  """Over `size` windows around each; over fewer at either end."""
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
  off = np.zeros(len(still), bool)
  if rules.not_worn_min:
    for first, stop, code in _runs(still.astype(np.int64)):
      if code and start_s[stop - 1] + _WINDOW_S - start_s[first] >= 60 * rules.not_worn_min:
        off[first:stop] = True
  return off


def _runs(codes: Int[np.ndarray, 'w']) -> Iterator[tuple[int, int, int]]:
  """First, stop and code of each run of equal ones."""
  bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
  for first, stop in itertools.pairwise(bounds):
    yield first, stop, int(codes[first])


def minutes(bouts: Sequence[Bout]) -> dict[str, float]:
  """By what was said, the longest first."""
  by: dict[str, float] = {}
  for bout in bouts:
    by[bout.activity] = by.get(bout.activity, 0.0) + bout.length_s / 60
  return dict(sorted(by.items(), key=lambda entry: -entry[1]))
