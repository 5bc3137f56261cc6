"""Predictions of windows → bouts: what was done from when to when, on the clock of a file or of the user.

w windows, y classes.
"""

import collections
import dataclasses
import datetime
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax import config_fields
from har_jax.config import Windowing
from har_jax.recordings import Reading, clocks
from har_jax.signal import segments
from har_jax.timeline.predictions import Predictions, without_gaps

UNKNOWN, NOT_WORN = 'unknown', 'not_worn'
_UNKNOWN, _NOT_WORN = -1, -2  # codes; those of the classes are 0 and up
_TRUST = 0.8  # in whether a window was refused: in a bout, most of them decide
_IN_SET = 0.5  # of a bout's windows: an activity that may be the bout's
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
    config_fields.check_value('mean_bout_s', self.mean_bout_s, 'give 0 or more', lambda value: value >= 0)

  def update(
    self, before: Float[np.ndarray, 'y'] | None, probabilities: Float[np.ndarray, 'y']
  ) -> Float[np.ndarray, 'y']:
    """The forward filter: posterior of the window's activity, from it and all earlier windows of the chain.

    before: what the window before got, None for a chain's first.
    """
    return self._filtered(before, self._likelihoods(probabilities))

  def smoothed(self, probabilities: Float[np.ndarray, 'w y']) -> Float[np.ndarray, 'w y']:
    """Forward-backward: posteriors from all windows of the chain."""
    smoothed, likelihoods = np.empty(probabilities.shape), self._likelihoods(probabilities)
    before = None
    for index, row in enumerate(likelihoods):
      smoothed[index] = before = self._filtered(before, row)
    later = np.ones(probabilities.shape[1])
    for index in range(len(probabilities) - 2, -1, -1):
      later = self._moved(later * likelihoods[index + 1])
      later /= later.sum()
      smoothed[index] *= later
    return smoothed / smoothed.sum(axis=1, keepdims=True)

  def _filtered(
    self, before: Float[np.ndarray, 'y'] | None, likelihoods: Float[np.ndarray, 'y']
  ) -> Float[np.ndarray, 'y']:
    posterior = likelihoods if before is None else likelihoods * self._moved(before)
    return posterior / posterior.sum()

  def _likelihoods(self, probabilities: Float[np.ndarray, '*w y']) -> Float[np.ndarray, '*w y']:
    power = min(_WINDOWS_OF_EVIDENCE * self.hop_s / self.window_s, 1.0) if self.mean_bout_s else 1.0
    return np.maximum(probabilities, _MIN_PROBABILITY, dtype=np.float64) ** power

  def _moved(self, probabilities: Float[np.ndarray, 'y']) -> Float[np.ndarray, 'y']:
    """One hop along the chain: the matrix exponential of its rates, which is symmetric."""
    count = len(probabilities)
    mean = probabilities.sum() / count  # thrice as fast as its mean()
    if not self.mean_bout_s:
      return np.full(count, mean)
    stays = math.exp(-self.hop_s / self.mean_bout_s * count / max(count - 1, 1))
    return stays * probabilities + (1 - stays) * mean


@dataclasses.dataclass(frozen=True)
class Rules:
  """Rules by which predictions become bouts.

  mean_bout_s: of the hidden Markov model that decodes windows between gaps; 0: each window alone.
  unknown_below: a part of a bout is `unknown` where windows' highest probabilities are lower. A hidden Markov
    model of two states decides this, so that a single window is outvoted there, too.
  refusal_rate: a part is `unknown`, too, where most windows are unlike all classes (`unknown_activities`). So
    many single windows of known activities are refused; 0: none.
  not_worn_min: a device that is still for so many minutes is not worn; 0: always worn.
  """

  mean_bout_s: float = MEAN_BOUT_S
  unknown_below: float = 0.0
  not_worn_min: float = 30.0
  refusal_rate: float = 0.0

  def __post_init__(self) -> None:
    rule = 'give a probability, 0 to 1'
    config_fields.check_value('unknown_below', self.unknown_below, rule, lambda value: 0 <= value <= 1)
    rule = 'give a fraction, such as 0.05, or 0'
    config_fields.check_value('refusal_rate', self.refusal_rate, rule, lambda value: 0 <= value < 1)
    config_fields.check_value('not_worn_min', self.not_worn_min, 'give 0 or more', lambda value: value >= 0)
    Chain(self.mean_bout_s, 1.0, 1.0)  # raises UserError where it is out of range

  def __str__(self) -> str:
    parts = ['each window alone']
    if self.mean_bout_s:
      parts = [f'hidden Markov model with a mean bout of {self.mean_bout_s:g} s']
    if self.unknown_below:
      parts.append(f'unknown below {self.unknown_below:g}')
    if self.refusal_rate:
      parts.append(f'unknown if unlike all activities, at a refusal rate of {self.refusal_rate:g}')
    if self.not_worn_min:
      parts.append(f'not worn after {self.not_worn_min:g} minutes without movement')
    return '; '.join(parts)


@dataclasses.dataclass(frozen=True)
class Bout:
  """Times are on the clock of its recording.

  `confidence` is the mean over the windows of the activity's probability, each window alone; NaN if not worn.
  `set`: the activity, and others that are in the sets of half of the windows; empty without sets.
  """

  recording: int
  start_s: float
  stop_s: float
  activity: str
  confidence: float
  set: tuple[str, ...] = ()

  @property
  def length_s(self) -> float:
    return self.stop_s - self.start_s


def find_bouts(predictions: Predictions, rules: Rules) -> list[Bout]:
  """Bouts in order, without overlap. Two bouts meet midway between the centers of their windows."""
  bouts, windowing = [], predictions.windowing
  for part in without_gaps(predictions.recording, predictions.start_s, windowing):
    start_s, probabilities = predictions.start_s[part], predictions.probabilities[part]
    refused = np.zeros(len(start_s), bool) if predictions.refused is None else predictions.refused[part]
    codes, confidence = np.full(len(start_s), _NOT_WORN), np.full(len(start_s), np.nan)
    window_s = windowing.seconds
    not_worn = find_not_worn(predictions.still[part], start_s, rules.not_worn_min, window_s)
    is_mixed = np.r_[not_worn[1:], False] | np.r_[False, not_worn[:-1]]  # next to windows that are not worn
    for run in (slice(*pair) for pair in segments.runs(~not_worn).tolist()):
      codes[run], confidence[run] = _decode(
        probabilities[run], refused[run], rules, windowing, is_mixed=is_mixed[run]
      )
    edges = np.r_[start_s[0], (start_s[1:] + start_s[:-1] + window_s) / 2, start_s[-1] + window_s]
    recording = int(predictions.recording[part][0])
    for first, stop in segments.equal_runs(codes).tolist():
      code = int(codes[first])
      activity = {_UNKNOWN: UNKNOWN, _NOT_WORN: NOT_WORN}.get(code) or predictions.classes[code]
      mean = float(confidence[first:stop].mean())
      possible: tuple[str, ...] = ()
      if predictions.sets is not None and code != _NOT_WORN:
        is_in_set = predictions.sets[part][first:stop].mean(axis=0) >= _IN_SET
        is_in_set |= np.arange(len(is_in_set)) == code
        possible = tuple(itertools.compress(predictions.classes, is_in_set))
      bouts.append(Bout(recording, float(edges[first]), float(edges[stop]), activity, mean, possible))
  return bouts


def minutes_by_activity(bouts: Sequence[Bout]) -> dict[str, float]:
  """Minutes of each activity, longest first."""
  minutes: dict[str, float] = collections.defaultdict(float)
  for bout in bouts:
    minutes[bout.activity] += bout.length_s / 60
  return dict(sorted(minutes.items(), key=lambda entry: -entry[1]))


def _decode(
  probabilities: Float[np.ndarray, 'w y'],
  refused: Bool[np.ndarray, 'w'],
  rules: Rules,
  windowing: Windowing,
  *,
  is_mixed: Bool[np.ndarray, 'w'],
) -> tuple[Int[np.ndarray, 'w'], Float[np.ndarray, 'w']]:
  """Codes of windows without a gap, and the probability of each one's activity.

  is_mixed: the device is not worn in a part of the window, so its neighbors decide.
  """
  chain = Chain(rules.mean_bout_s, windowing.step_s, windowing.seconds)
  evidence = np.array(probabilities)
  if not is_mixed.all():
    evidence[is_mixed] = 1 / evidence.shape[1]
  codes = chain.smoothed(evidence).argmax(axis=1)
  confidence = probabilities[np.arange(len(codes)), codes]
  # Within a bout: as one more activity, unknown would also take the windows around each change.
  for first, stop in segments.equal_runs(codes).tolist() if rules.unknown_below else ():
    highest = probabilities[first:stop].max(axis=1)  # a window that is sure of another activity is known, too
    pair = np.stack([highest, np.full(stop - first, rules.unknown_below)], axis=1)
    codes[first:stop][chain.smoothed(pair).argmax(axis=1) == 1] = _UNKNOWN
  if refused.any():
    pair = np.stack([np.where(refused, 1 - _TRUST, _TRUST), np.where(refused, _TRUST, 1 - _TRUST)], axis=1)
    codes[chain.smoothed(pair).argmax(axis=1) == 1] = _UNKNOWN
  return codes, confidence


def find_not_worn(
  still: Bool[np.ndarray, 'w'], start_s: Float[np.ndarray, 'w'], least_min: float | int, window_s: float
) -> Bool[np.ndarray, 'w']:
  """Windows, of a part without gaps, in which the device is still for `least_min` minutes or more; 0: none.

  Source: van Hees et al., PLoS ONE 8(4):e61691, 2013, whose limit is of an hour's deviation, not a window's.
  """
  not_worn = np.zeros(len(still), bool)
  if least_min:
    for first, stop in segments.runs(still):
      not_worn[first:stop] = start_s[stop - 1] + window_s - start_s[first] >= 60 * least_min
  return not_worn


_DAY_S = 86_400.0
_CHANGE_S = 1e-3  # to which the moment at which clocks change is found


@dataclasses.dataclass(frozen=True)
class Clock:
  """File and time offset of each recording of a reading, by the recording's index."""

  files: tuple[str, ...]
  offsets_s: tuple[float, ...]
  start: datetime.datetime | None  # None for several files: only the first one's start is known
  zone: str = ''  # in which times are shown; '' if the file does not say it

  @classmethod
  def from_reading(cls, reading: Reading) -> 'Clock':
    is_known = bool(reading.start) and len(set(reading.files)) == 1
    start = datetime.datetime.fromisoformat(reading.start) if is_known else None
    zone = ''
    if start is not None and start.tzinfo is not None:
      zone = reading.time_zone or 'UTC'
      start = start.astimezone(clocks.zone(reading.time_zone)) if reading.time_zone else start
    return cls(tuple(reading.files), tuple(reading.offsets_s), start, zone)

  def in_file_s(self, recording: int, time_s: float) -> float:
    return self.offsets_s[recording] + time_s

  def moment(self, file_s: float) -> datetime.datetime:
    """The moment on the wall clock, which summer time may have changed since the start."""
    assert self.start is not None
    seconds = datetime.timedelta(seconds=file_s)
    if self.start.tzinfo is None:
      return self.start + seconds
    # Python adds to local times as if clocks never changed.
    return (self.start.astimezone(datetime.UTC) + seconds).astimezone(self.start.tzinfo)


@dataclasses.dataclass(frozen=True)
class Strip:
  """Part of a bout in one row; seconds from the row's midnight, or from the file's first sample."""

  row: str
  start_s: float
  length_s: float
  activity: str


def cut_at_midnight(bout: Bout, clock: Clock) -> Iterator[Strip]:
  """Cuts a bout at midnight and where clocks change, or every 24 hours if the date is unknown."""
  first_s, last_s = (clock.in_file_s(bout.recording, time_s) for time_s in (bout.start_s, bout.stop_s))
  for begin_s, end_s in (
    [(first_s, last_s)] if clock.start is None else _on_wall_clock(clock, first_s, last_s)
  ):
    while begin_s < end_s:
      day = int(begin_s // _DAY_S)
      stop_s = min(end_s, (day + 1) * _DAY_S)
      if clock.start is not None:
        row = (clock.start + datetime.timedelta(days=day)).date().isoformat()
      else:
        row = clock.files[bout.recording] + (f', day {day + 1}' if day else '')
      yield Strip(row, begin_s - day * _DAY_S, stop_s - begin_s, bout.activity)
      begin_s = stop_s


def _on_wall_clock(clock: Clock, begin_s: float, end_s: float) -> Iterator[tuple[float, float]]:
  """Parts in which clocks do not change, in seconds from the midnight before the file's first sample."""
  assert clock.start is not None
  midnight = clock.start.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)

  def ahead_s(file_s: float) -> float:
    return (clock.moment(file_s).replace(tzinfo=None) - midnight).total_seconds() - file_s

  while begin_s < end_s:
    same_s, ahead = begin_s, ahead_s(begin_s)
    stop_s = min(begin_s + _DAY_S, end_s)  # clocks change less often
    if abs(ahead_s(stop_s) - ahead) > 1:
      while stop_s - same_s > _CHANGE_S:
        middle_s = (same_s + stop_s) / 2
        same_s, stop_s = (middle_s, stop_s) if abs(ahead_s(middle_s) - ahead) < 1 else (same_s, middle_s)
    yield begin_s + ahead, stop_s + ahead
    begin_s = stop_s
