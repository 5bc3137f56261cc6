"""Steps, what was done each day, and bouts of sitting and of moderate movement.   b bouts.

Nothing here is a medical measure.
"""

import collections
import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from har_jax.errors import counted, shorten
from har_jax.recordings import Reading, language
from har_jax.signal import steps
from har_jax.signal.recording import Samples
from har_jax.timeline.bouts import NOT_WORN, Bout, Clock, cut_at_midnight

_SLACK_S = 1e-3  # less than half the time between two samples
_WALKING = ('walking', 'treadmill_walking', 'nordic_walking')
# Seconds of a stride: 75 to 150 steps a minute, and 126 to 218.
_STRIDE_S = dict.fromkeys(_WALKING, (0.8, 1.6)) | dict.fromkeys(('running', 'jogging'), (0.55, 0.95))
# Three METs or more. Source: Herrmann et al., J Sport Health Sci 13:6, 2024, Adult Compendium.
_MODERATE = frozenset((
  *('running', 'jogging', 'upstairs', 'downstairs', 'stairs', 'cycling', 'jumping', 'rowing'),
  *('nordic_walking', 'treadmill_incline_walking', 'exercising_on_stepper', 'exercising_on_cross_trainer'),
  *('playing_soccer', 'playing_basketball'),
))  # fmt: skip
# So is walking with 100 steps a minute. Source: Tudor-Locke et al., Br J Sports Med 52:776, 2018.
_MODERATE_CADENCE = 100.0
_SITTING = frozenset(('sitting', 'watching_tv', 'computer_work', 'typing', 'writing', 'driving'))
# Breaks of a minute, and so much of the bout at least. Source: GGIR's g.getbout, bout.metric 6.
_BREAK_S, _MODERATE_PART, _SITTING_PART = 60.0, 0.8, 0.9
_MODERATE_MIN = 10.0  # Source: as in GGIR
_SITTING_MIN = 30.0  # Source: Diaz et al., Ann Intern Med 167:465, 2017


@dataclasses.dataclass(frozen=True)
class Movement:
  """What bouts tell beyond their activity. `steps` and `cadence` [b]: NaN for a bout that is no gait."""

  steps: list[float]
  cadence: list[float]  # median of steps a minute
  summary: dict[str, Any]
  days: list[dict[str, object]]  # a row per day, or per file and day if the date is unknown


def measure(bouts: Sequence[Bout], reading: Reading, clock: Clock) -> Movement:
  """Measures the movement in bouts of a reading, which are in order of time."""
  names = [language.common_name(bout.activity) for bout in bouts]
  counted, cadence = [], []
  for bout, name in zip(bouts, names, strict=True):
    count, rate = math.nan, math.nan
    if name in _STRIDE_S:
      acc = reading.recordings[bout.recording].acc
      # The same samples, however the times of a file or a table are rounded.
      part = slice(*np.searchsorted(acc.time_s, (bout.start_s - _SLACK_S, bout.stop_s - _SLACK_S)))
      count, rate = steps.count_steps(Samples(acc.time_s[part], acc.values[part]), _STRIDE_S[name])
    counted.append(count)
    cadence.append(rate)
  parts = list(zip(bouts, names, cadence, strict=True))
  walks = [(bout.length_s, rate) for bout, name, rate in parts if name in _WALKING and not math.isnan(rate)]
  lengths_s, rates = zip(*walks, strict=True) if walks else ((), ())
  moderate = [
    bout
    for bout, name, rate in parts
    if name in _MODERATE or (name in _WALKING and rate >= _MODERATE_CADENCE)
  ]
  sitting = [bout for bout, name, _ in parts if name in _SITTING]
  summary = {
    'steps': round(np.nansum(counted)),
    'walking_cadence': round(float(np.average(rates, weights=lengths_s)), 1) if walks else None,
    'moderate': _summarize(moderate, clock, _MODERATE_PART, _MODERATE_MIN),
    'sitting': _summarize(sitting, clock, _SITTING_PART, _SITTING_MIN),
  }
  return Movement(counted, cadence, summary, _days(bouts, counted, clock))


def sentences(summary: dict[str, Any]) -> list[str]:
  """The summary in words; none for what did not happen."""
  moderate, sitting, cadence = summary['moderate'], summary['sitting'], summary['walking_cadence']
  lines = []
  if summary['steps']:
    pace = f', {cadence:.0f} a minute while walking' if cadence else ''
    lines.append(f'{counted(summary["steps"], "step")} of walking and running{pace}.')
  seated = sitting['activities']  # typing is sitting, too, and a row of its own in the table
  listed = f' ({", ".join(map(shorten, seated))})' * (len(seated) > 1)
  for words, kind in (('moderate movement or more', moderate), (f'sitting{listed}', sitting)):
    if kind['minutes']:
      bouts = f'{kind["bouts"] or "no"} bout{"s" * (kind["bouts"] > 1)}'
      minutes, longest = (round(kind[name], 1) for name in ('minutes', 'longest_minutes'))
      with_breaks = ', breaks included' * (longest > minutes)
      lines.append(
        f'{minutes:.1f} minutes of {words}, {longest:.1f} in the longest bout{with_breaks}; '
        f'{bouts} of {kind["bout_minutes"]:.0f} minutes or more.'
      )
  return lines


def _summarize(bouts: Sequence[Bout], clock: Clock, part: float, least_min: float) -> dict[str, Any]:
  """Minutes of bouts, and longer bouts of them: shorter breaks do not end one."""
  lengths_s: list[float] = []
  joined_s: list[float] = []
  for _, bouts_of_file in itertools.groupby(bouts, lambda bout: clock.files[bout.recording]):
    first_s = last_s = -math.inf
    member_s = 0.0
    for bout in bouts_of_file:
      start_s, stop_s = (clock.in_file_s(bout.recording, time_s) for time_s in (bout.start_s, bout.stop_s))
      is_same = start_s - last_s <= _BREAK_S and member_s + bout.length_s >= part * (stop_s - first_s)
      if not is_same:
        first_s, member_s = start_s, 0.0
        joined_s.append(0.0)
      last_s, member_s = stop_s, member_s + bout.length_s
      joined_s[-1] = stop_s - first_s
      lengths_s.append(bout.length_s)
  return {
    'minutes': round(sum(lengths_s) / 60, 2),
    'longest_minutes': round(max(joined_s, default=0.0) / 60, 2),
    'bout_minutes': least_min,
    'bouts': sum(joined >= 60 * least_min for joined in joined_s),
    'activities': sorted({bout.activity for bout in bouts}),
  }


def _days(bouts: Sequence[Bout], counted: Sequence[float], clock: Clock) -> list[dict[str, object]]:
  seconds: dict[str, dict[str, float]] = collections.defaultdict(lambda: collections.defaultdict(float))
  counts: dict[str, float] = collections.defaultdict(float)
  for bout, steps_of_bout in zip(bouts, counted, strict=True):
    for strip in cut_at_midnight(bout, clock):
      seconds[strip.row][bout.activity] += strip.length_s
      counts[strip.row] += np.nan_to_num(steps_of_bout) * strip.length_s / bout.length_s
  return [
    {
      'day': row,
      'worn_hours': round((sum(spent_s.values()) - spent_s.get(NOT_WORN, 0.0)) / 3600, 2),
      'steps': round(counts[row]),
      'minutes': {name: round(spent_s[name] / 60, 2) for name in sorted(spent_s)},
    }
    for row, spent_s in seconds.items()
  ]
