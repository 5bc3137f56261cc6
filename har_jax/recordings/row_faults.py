"""Faults of rows: times that run back, values that stand for missing ones, rows of several devices or people.

n rows, s samples.
"""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from har_jax.errors import UserError, often, shorten
from har_jax.recordings import infer
from har_jax.recordings.infer import Findings
from har_jax.recordings.language import COLUMNS, words
from har_jax.recordings.tables import Table, count_of
from har_jax.signal import segments
from har_jax.signal.recording import Samples

# --- times that run back: a counter that wrapped, a clock set back, a new recording, or rows out of order

_DAY = (60.0, 3600.0, 43_200.0, 86_400.0)  # also the hour that clocks are set back in autumn
_MODULI = (*(2.0**bits for bits in (16, 24, 32)), *(1e3 * seconds for seconds in _DAY), *_DAY)
_GOES_ON = 20.0  # usual steps, within which a wrapped clock goes on
_SHORT_RUN = 128  # rows: where runs between falls are shorter, rows are out of order
_MIXED = 8  # changes from one run to another, in order of time, for each run
_ROUGH = 1.5  # times the usual change from one sample to the next, where two recordings are mixed
_SET_BACK_S, _PAUSE_S = 5.0, 2.0  # a longer fall is a new start, put so long after the last sample


def falls(values: Float[np.ndarray, 's']) -> Int[np.ndarray, 'f']:
  """Indices of samples before which the time falls; none where rows are just out of order."""
  starts = np.flatnonzero(np.diff(values) < 0) + 1
  return starts if len(starts) * _SHORT_RUN <= len(values) else starts[:0]


def unwrap(values: Float[np.ndarray, 'n'], findings: Findings) -> Float[np.ndarray, 'n']:
  """Times in any unit, NaN if missing, that go on where a counter began again: at 2^16, 2^32, an hour, …"""
  rows = np.flatnonzero(np.isfinite(values))
  present = values[rows]
  fell = falls(present)
  if not len(fell):
    return values
  steps = np.diff(present)
  near = _GOES_ON * float(np.quantile(steps[steps > 0], 0.95)) if (steps > 0).any() else 0.0
  drops = present[fell] - present[fell - 1]
  for modulus in _MODULI:
    wrapped = (drops + modulus > 0) & (drops + modulus <= near)
    if near < modulus / 10 and wrapped.any():
      turns = np.zeros(len(values))
      turns[rows[fell[wrapped]]] = modulus
      number = often(int(wrapped.sum()))
      findings.note(f'The clock began again {number} after {modulus:.10g}: it was continued.')
      return values + np.cumsum(turns)
  return values


def continue_restarts(
  time_s: Float[np.ndarray, 'n'],
  sampled: Bool[np.ndarray, 'n'],
  values: Float32[np.ndarray, 'n 3'],
  findings: Findings,
) -> Float[np.ndarray, 'n']:
  """Seconds that go on where the clock was set back, or a new recording began, into times that are taken.

  Sorted by time, two recordings would be mixed, sample by sample. Rows that were sent twice or out of order
  are left for sorting. `values` are of the sensor of the `sampled` rows.
  """
  rows = np.flatnonzero(sampled & ~np.isnan(time_s))
  present_s = time_s[rows]
  fell = falls(present_s)
  if not len(fell):
    return time_s
  run = np.zeros(len(present_s), np.int32)
  run[fell] = 1
  run = np.cumsum(run)
  order = np.argsort(present_s, kind='stable')
  changes = np.flatnonzero(np.diff(run[order]) != 0)
  within = np.flatnonzero(np.diff(run) == 0)
  rough, usual = (
    float(np.abs(values[rows[after]] - values[rows[before]]).mean()) if len(before) else 0.0
    for before, after in ((order[changes], order[changes + 1]), (within, within + 1))
  )
  step_s = float(np.median(np.diff(present_s)[np.diff(present_s) > 0]))
  times = 'once' if len(fell) == 1 else f'{len(fell)} times'
  drops_s = present_s[fell - 1] - present_s[fell]
  longest_s = float(drops_s.max())
  if len(changes) <= _MIXED * (len(fell) + 1):
    # Parts that follow one another without a gap were only written in another order.
    gaps_s = present_s[order[changes + 1]] - present_s[order[changes]]
    if longest_s > _SET_BACK_S and (gaps_s > max(_PAUSE_S, 4 * step_s)).any():
      findings.warn(
        f'Time ran back {times}, by up to {longest_s:.1f} s, into times that were free: parts of the file '
        'were exchanged, to be in order of time. If a part is of another day, write dates with the times.'
      )
    return time_s
  # Rows that were sent twice, or in two parts, make one smooth signal when they are sorted.
  if rough < _ROUGH * usual:
    return time_s
  ends_s = np.maximum.reduceat(present_s, np.r_[0, fell])[:-1]
  pauses_s = np.where(drops_s <= _SET_BACK_S, step_s, max(_PAUSE_S, 4 * step_s))
  moved = np.zeros(len(time_s))
  moved[rows[fell]] = ends_s + pauses_s - present_s[fell]  # each start follows the end before it
  findings.warn(
    f'Time ran back {times}, by up to {longest_s:.1f} s, into times that were taken: the clock was set back, '
    'or a new recording began. What follows was put after it, at later times than the file says.'
  )
  return time_s + np.cumsum(moved)


# --- values that stand for missing ones: repeated until the next one comes, or one number on all axes


_BUSY = 0.95  # quantile of seconds, by their number of new values: at rest, a coarse sensor has few
# Of the rows that have new values then: half if each is there twice. A sensor as recorded has over 0.75.
_HELD = 0.65
_LONGEST_S = 0.15  # windows end at gaps of 0.2 s

_FEW_ROWS, _FEW_OF_ALL = 5, 0.002  # that may hold one number on all axes by chance
# A gyroscope at rest may be 0 on all axes, but does not jump there and back again and again. Over 1,900 clips
# of six archives, at most 0.5 % of rows begin such a jump; of zeros between measured rows, at least 4 %.
_JUMPS, _SHORT_ROWS, _COARSE_STEPS = 0.01, 20, 5


def measure_rates_hz(samples: Samples) -> tuple[float, float]:
  """Rates of the rows, and of those with new values, while the device moves."""
  starts, stops = segments.equal_runs(np.floor(samples.time_s[1:])).T
  new = np.add.reduceat(_is_new(samples.values), starts, dtype=np.int64)
  return float(np.quantile(stops - starts, _BUSY)), float(np.quantile(new, _BUSY))


def find_held_rows(samples: Samples) -> Bool[np.ndarray, 'n']:
  """Finds rows that repeat one of the last 0.15 s, as an app or a merge of tables writes them; else none."""
  rate_hz, new_hz = measure_rates_hz(samples)
  if not 1 / _LONGEST_S < new_hz < _HELD * rate_hz:
    return np.zeros(len(samples.time_s), bool)
  is_new = np.r_[True, _is_new(samples.values)]
  since_s = samples.time_s - samples.time_s[is_new][np.cumsum(is_new) - 1]
  return ~is_new & (since_s < _LONGEST_S)


def _is_new(values: Float[np.ndarray, 'n 3']) -> Bool[np.ndarray, 'm']:
  return (values[1:] != values[:-1]).any(axis=1)


def drop_acc_filler(values: dict[str, Float32[np.ndarray, 'n 3']], findings: Findings) -> None:
  """Sets all sensors to NaN where acceleration is again and again one number that is no gravity."""
  acc = values['acc']
  number, is_filler = _most_frequent(acc)
  if is_filler.sum() <= max(_FEW_ROWS, _FEW_OF_ALL * len(acc)):
    return
  lengths = infer.lengths(acc[~is_filler & np.isfinite(acc).all(axis=1)])
  if len(lengths) and not 0.5 < abs(number) * 3**0.5 / max(float(np.median(lengths)), 1e-12) < 1.5:
    for sensor in values.values():
      sensor[is_filler & (sensor == number).all(axis=1)] = np.nan
    findings.warn(
      f'{count_of(is_filler)} with {number:g} on all axes of the accelerometer, which no motion gives: '
      'left out, as if missing.'
    )


def drop_gyro_filler(gyro: Float32[np.ndarray, 'n 3'], findings: Findings) -> None:
  """Sets angular velocity to NaN where it jumps again and again to one number and back."""
  number, is_filler = _most_frequent(gyro)
  usual = max(_FEW_ROWS, _JUMPS * len(gyro))
  if is_filler.sum() <= usual:
    return
  distances = np.abs(gyro - np.float32(number))
  away = distances.max(axis=1)
  if not (away > 0).any():  # a missing value is not
    return
  step = float(distances[distances > 0].min())
  far = away > max(float(np.median(away[away > 0])), _COARSE_STEPS * step)
  first, stop = segments.runs(is_filler).T
  inner = (first > 0) & (stop < len(gyro)) & (stop - first <= _SHORT_ROWS)
  jumps = int((far[first[inner] - 1] & far[stop[inner]]).sum())
  if jumps > usual:
    gyro[is_filler] = np.nan
    findings.warn(
      f'{count_of(is_filler)} with {number:g} on all axes of the gyroscope, to which it jumps and back '
      f'{often(jumps)}: left out, as if missing.'
    )


def _most_frequent(values: Float32[np.ndarray, 'n 3']) -> tuple[float, Bool[np.ndarray, 'n']]:
  """The number that most often stands on all axes, and where."""
  is_equal = (values[:, 0] == values[:, 1]) & (values[:, 1] == values[:, 2])
  numbers, counts = np.unique(values[is_equal, 0], return_counts=True)
  if not len(numbers):
    return 0.0, is_equal
  number = numbers[counts.argmax()]
  return float(number), is_equal & (values[:, 0] == number)


# --- rows of several sensors, devices or people in one table, which only a column tells apart


_PEOPLE = {'subject', 'user', 'participant', 'person'}
_MOST = 20  # different words among the first rows: more are a count or a text
_SWITCHES = 0.05  # of the rows follow, in time, one of another device: a position changes more seldom
# Change from a row to the next one, of another source, as a multiple of the change within a source. For two
# devices it is at least 1.26, in 776 pairs of recordings. For most single signals at 50 Hz it is below 1.15.
_ONE_SIGNAL = 1.15


@dataclasses.dataclass(frozen=True)
class Source:
  """A column of words, and its cells as codes, chunk by chunk; -1 if empty."""

  column: int
  codes: dict[str, int] = dataclasses.field(default_factory=dict)
  parts: list[np.ndarray] = dataclasses.field(default_factory=list)


def find_sources(table: Table, used: Collection[int | None]) -> list[Source]:
  """Finds columns that are not `used`, with a known name and few different words."""
  return [
    Source(index)
    for index, name in enumerate(table.names)
    if index not in used
    and (parts := set(words(name)))
    and parts <= COLUMNS['source']
    and len(set(table.column(index))) <= _MOST
  ]


def check_sources(
  table: Table,
  sources: Sequence[Source],
  time_s: Float[np.ndarray, 'n'],
  values: Float[np.ndarray, 'n 3'],
  findings: Findings,
) -> None:
  """Raises UserError where rows of several sources would be one signal; warns of people one after another.

  `values`: of the table's first sensor. `time_s` is NaN where a row is none of it.
  """
  rows = np.flatnonzero(~np.isnan(time_s))
  rows = rows[np.argsort(time_s[rows], kind='stable')]
  for source in sources:
    codes = np.concatenate(source.parts)
    named = rows[codes[rows] >= 0]
    codes = codes[named]
    names = [name for name, code in source.codes.items() if (codes == code).any()]
    is_mixed = np.count_nonzero(np.diff(codes)) > _SWITCHES * len(codes)
    # A block of each sensor is no better: angular velocity would be read as acceleration.
    has_gyro = any(len(word) > 1 for name in names for word in COLUMNS['gyro'] & set(words(name)))
    if len(names) > 1 and (has_gyro or (is_mixed and not _is_one_signal(values[named], codes))):
      raise UserError(
        f'{table.title(source.column)} says that rows are of {shorten(", ".join(names))}, and they would be '
        'one signal: give a file for each; of the sensors of one device, Accelerometer.csv and Gyroscope.csv '
        'in one folder. If they are one signal, delete the column'
      )
    if len(names) > 1 and _PEOPLE & set(words(table.names[source.column])):
      findings.warn(
        f'{table.title(source.column)} says that rows are of {shorten(", ".join(names))}, and they were read '
        'as one recording. Answers adapt to a recording as to one person: give a file for each.'
      )


def _is_one_signal(values: Float[np.ndarray, 'n 3'], codes: Int[np.ndarray, 'n']) -> bool:
  """Returns whether rows of different sources are as near to each other as rows of one source."""
  order = np.argsort(codes, kind='stable')
  change = np.full(len(codes), np.nan)  # from the row before of the same source
  change[order[1:]] = np.linalg.norm(np.diff(values[order], axis=0), axis=1)
  change[order[1:][np.diff(codes[order]) != 0]] = np.nan
  switches = np.flatnonzero(np.diff(codes)[:-1]) + 1
  within = np.fmin(change[switches - 1], change[switches + 1])
  switches, within = switches[~np.isnan(within)], within[~np.isnan(within)]
  across = np.linalg.norm(values[switches] - values[switches - 1], axis=1)
  return bool(across.sum() < _ONE_SIGNAL * within.sum())
