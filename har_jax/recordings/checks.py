"""What is odd about a user's recordings, in plain sentences, before anything is trained.   n samples."""

import collections
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from har_jax import checksums
from har_jax.config import Windowing
from har_jax.errors import often, shorten
from har_jax.recordings import faults, infer, language, row_faults
from har_jax.recordings.reading import Reading, length_s
from har_jax.signal import physics, segments, still
from har_jax.signal.cutting import MAX_GAP_S
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Samples

# The slowest archive for pretraining has 20 Hz, and no clock is exact.
_SLOW_HZ, _NEARLY = 20.0, 0.98
_FAST_HZ = 1000.0  # phones have 400 Hz at most
_MISSING = 0.2  # fraction of rows
# Deviation of the length of acceleration over that of angular velocity, in half seconds in which the device
# turns to and fro. Its median is over 1 for people of eight archives, under 0.35 for means of two seconds.
_SMOOTH_M, _TURNS_RAD_S, _MOMENT_S, _FEW_MOMENTS = 0.35, 0.25, 0.5, 20
_CLIPPED = 0.005  # fraction of samples at an axis's extreme value
_FEW_SAMPLES = 5  # that a short recording may have there by chance
# A device at rest repeats its coarse values too, extremes included: only values beyond these end a range.
_FAR = {'accelerometer': (1.2 * STANDARD_GRAVITY_M_S2, 'm/s²'), 'gyroscope': (1.0, 'rad/s')}
_HELD_M_S2, _FEWEST_HELD = 0.5, 5  # nearer to gravity, only if motion ends at the value again and again
_STUCK_S = 2.0
_COARSE, _COARSE_STUCK_S = 0.05, 10.0  # m/s² or rad/s: steps over a sensor's noise hide it, as of WEDA-FALL's
# An axis of a coarse sensor is constant for up to 6 s while others move by 0.4 m/s² or rad/s.
_STUCK_AXIS_S, _OTHERS_MOVE = 5.0, 0.5
_GRAVITY_OFF, _WITHOUT_M_S2 = 0.2, STANDARD_GRAVITY_M_S2 / 2
# In none of 2,984 recordings of six archives are both lengths off by this factor for so long.
_OFF_IN_PART, _OFF_S = 2.0, 10.0
_STRETCH_S = 2.56
_FEW_WINDOWS = 10
_MOST_LETTERS, _MOST_GROUPS = 1000, 20  # of labels that are listed


def check(reading: Reading, windowing: Windowing) -> list[str]:
  """One sentence, with its numbers, for each thing that a user should know; none if all is well.

  windowing: of the model that is to recognize the reading.
  """
  sensors = {'accelerometer': [recording.acc for recording in reading.recordings]}
  if reading.has_gyro:
    sensors['gyroscope'] = [recording.gyro for recording in reading.recordings]
  rate, stuck = functools.partial(_rate, reading, windowing), functools.partial(_stuck, reading)
  of_sensors = (rate, _repeats, _missing, _clipped, stuck, _constant_axis)
  sentences = [text for find in of_sensors for sensor in sensors.items() for text in find(*sensor)]
  scales = (physics.scale_of_few(word, [one.values for one in parts]) for word, parts in sensors.items())
  sentences += filter(None, scales)
  if not any('lacks gravity' in warning for warning in reading.warnings):  # of `frame_check`
    sentences += [*_gravity(reading)] or [*faults.find_in_gravity(reading)]
  sentences += [*_smooth(reading), *faults.find(reading)]
  if not reading.has_gyro:
    sentences.append(
      'There is no gyroscope: zeros stand in for it, and turns are lost; record it if you can.'
    )
  sentences += [*_copies(reading), *_labels(reading, windowing)]
  return [*sentences, *find_late_labels(reading), *_length(reading, windowing)]


def _copies(reading: Reading) -> Iterator[str]:
  """Warns if files have the same samples, as one that was downloaded twice, or a zip and what it held."""
  arrays: dict[str, list[np.ndarray]] = {file: [] for file in reading.files}
  if len(arrays) < 2:  # the usual case: nothing to compare
    return
  for file, recording in zip(reading.files, reading.recordings, strict=False):
    arrays[file].append(recording.acc.values)
  files: dict[str, list[str]] = collections.defaultdict(list)  # by checksum
  for file, values in arrays.items():
    files[checksums.hash_arrays(values)].append(file)
  for names in files.values():
    if len(names) > 1:
      yield (
        f'{shorten(", ".join(names))} hold the same samples: keep one of them, or a model is tested on what '
        'it learned, and minutes count twice.'
      )


def _rate(reading: Reading, windowing: Windowing, word: str, samples: list[Samples]) -> Iterator[str]:
  # A few rows between two gaps have any rate, and no window.
  with_windows = [number for number, one in enumerate(samples) if one.time_s[-1] >= windowing.seconds]
  rates_hz = {number: 1 / samples[number].step_s for number in with_windows or range(len(samples))}
  slow = [number for number, hz in rates_hz.items() if hz < _NEARLY * _SLOW_HZ]
  slowest_hz, fastest_hz = min(rates_hz.values()), max(rates_hz.values())
  if slow:
    none = f' Below {1 / MAX_GAP_S:.0f} Hz there are no windows.' if slowest_hz < 1 / MAX_GAP_S else ''
    yield (
      f'The {word} runs at {slowest_hz:.3g} Hz{_where(reading, slow)}: steps and swings '
      f'blur below {_SLOW_HZ:.0f} Hz; record at {windowing.rate_hz} Hz or more.{none}'
    )
  if fastest_hz > _FAST_HZ:
    yield f'The {word} runs at {fastest_hz:.4g} Hz: is the unit of time right? Name it with time_unit.'


def _repeats(word: str, samples: list[Samples]) -> Iterator[str]:
  """Values that are held until the next one comes, as apps do that write all sensors at one rate."""
  rate_hz, new_hz = row_faults.measure_rates_hz(max(samples, key=lambda one: len(one.values)))
  if 0 < new_hz < min(_NEARLY * _SLOW_HZ, rate_hz / 2):
    yield (
      f'The {word} has {rate_hz:.3g} rows a second, but only {new_hz:.3g} new values: it is '
      f'slower than the file; record it at {_SLOW_HZ:.0f} Hz or more.'
    )


def _missing(word: str, samples: list[Samples]) -> Iterator[str]:
  steps_s = np.concatenate([np.diff(one.time_s) / one.step_s for one in samples])
  # The median of many bursts would be short: only whole steps can be missing rows.
  missing = float((steps_s.round() - 1).clip(0).sum())
  if missing > _MISSING * (len(steps_s) + missing) and (np.abs(steps_s - steps_s.round()) < 0.1).mean() > 0.9:
    yield (
      f'{missing / (len(steps_s) + missing):.0%} of the rows of the {word} are missing between '
      'others: quick movements are lost.'
    )


def _constant_axis(word: str, samples: list[Samples]) -> Iterator[str]:
  low, high = (
    extreme([[extreme(axis) for axis in one.values.T] for one in samples], axis=0)
    for extreme in (np.min, np.max)
  )
  for axis, name in enumerate('xyz'):
    if low[axis] == high[axis] and not (low == high).all():
      yield (
        f'The {word} has {low[axis] + 0.0:.4g} on {name} all the time, so answers are worthless: '
        'choose another column with columns.'
      )
    elif stuck_s := sum(_stuck_axis_s(one, axis) for one in samples):
      yield (
        f'The {word} is constant on {name} for {stuck_s:.1f} s while other axes move, so answers '
        'there are worthless: leave that part out, or record it again.'
      )


def _stuck_axis_s(samples: Samples, axis: int) -> float:
  """Seconds in which one axis does not change, but another one moves."""
  others, seconds = np.delete(samples.values, axis, axis=1), 0.0
  for first, last in segments.runs(np.diff(samples.values[:, axis]) == 0):
    duration_s = float(samples.time_s[last] - samples.time_s[first])
    if duration_s > _STUCK_AXIS_S:
      moves = others[first : last + 1].std(axis=0, dtype=np.float64).max() > _OTHERS_MOVE
      seconds += duration_s * bool(moves)
  return seconds


def _clipped(word: str, samples: list[Samples]) -> Iterator[str]:
  far, unit = _FAR[word]
  count = sum(len(one.values) for one in samples)
  for axis, name in enumerate('xyz'):
    for extreme, words in ((np.min, 'minimum'), (np.max, 'maximum')):
      end = extreme([extreme(one.values[:, axis]) for one in samples])
      at_end = sum(int((one.values[:, axis] == end).sum()) for one in samples)
      if at_end <= max(_CLIPPED * count, _FEW_SAMPLES):
        continue
      if abs(end) > far or (word == 'accelerometer' and _is_held(samples, axis, end)):
        yield (
          f'{at_end / count:.1%} of the {word} values on {name} are at their {words}, {end:.4g} {unit}'
          ": clipped at the end of the sensor's range; set a wider range."
        )


def _is_held(samples: Sequence[Samples], axis: int, end: np.floating) -> bool:
  """Returns whether motion ends at this value again and again, and stays there for three samples."""
  if abs(end) < 0.9 * STANDARD_GRAVITY_M_S2:
    return False
  count = 0
  for one in samples:
    values = one.values[:, axis]
    first, last = segments.runs((values[1:] == end) & (values[:-1] == end)).T
    inner = (first > 0) & (last - first >= 2)
    count += int((np.abs(values[first[inner] - 1] - end) > _HELD_M_S2).sum())
  return count >= _FEWEST_HELD


def _stuck(reading: Reading, word: str, samples: list[Samples]) -> Iterator[str]:
  constant_s: list[float] = []  # durations in which no axis changes
  where = set()
  for number, one in enumerate(samples):
    changes = np.diff(one.values, axis=0)
    np.abs(changes, out=changes)
    first, last = segments.runs((changes == 0).all(axis=1)).T
    is_coarse = changes.min(where=changes > 0, initial=np.inf) > _COARSE
    for duration_s in (one.time_s[last] - one.time_s[first]).tolist():
      if duration_s > (_COARSE_STUCK_S if is_coarse else _STUCK_S):
        constant_s.append(duration_s)
        where.add(number)
  if where:
    yield (
      f'The {word} is constant {often(len(constant_s))} for over {_STUCK_S:.0f} s, at longest '
      f'{max(constant_s):.1f} s{_where(reading, sorted(where))}: even at rest a sensor has noise; it '
      'may have been stuck or asleep.'
    )


def _gravity(reading: Reading) -> Iterator[str]:
  lengths = np.concatenate([infer.lengths(recording.acc.values) for recording in reading.recordings])
  median = float(np.median(lengths))
  longest = max(reading.recordings, key=lambda recording: len(recording.acc.values))
  steady = infer.steady_length(longest.acc.values)
  # In a run the median is far above gravity, the mean is not: the one nearer to gravity counts.
  off = min((length / STANDARD_GRAVITY_M_S2 - 1 for length in (median, steady)), key=abs)
  is_linear = steady < infer.LINEAR * median
  if abs(off) <= _GRAVITY_OFF and not is_linear:
    yield from _gravity_in_part(reading)
    return
  if is_linear or median < _WITHOUT_M_S2:
    reason = (
      f'and its mean over a few seconds {steady:.3g}: this looks like linear acceleration, without gravity; '
      'export the accelerometer with gravity'
    )
  else:
    reason = f'{abs(off):.0%} {"below" if off < 0 else "above"} it: is the unit right? Name it with acc_unit'
  yield f'Gravity is 9.81 m/s², but the median length of acceleration is {median:.3g}, {reason}.'


def _gravity_in_part(reading: Reading) -> Iterator[str]:
  """Warns if the unit changes within a recording, or acceleration lacks gravity from some moment on."""
  low, high = STANDARD_GRAVITY_M_S2 / _OFF_IN_PART, STANDARD_GRAVITY_M_S2 * _OFF_IN_PART
  lengths_off: dict[int, np.ndarray] = {}  # median lengths of stretches in which gravity has another length
  for number, recording in enumerate(reading.recordings):
    parts = still.stretches(recording.acc, _STRETCH_S, least=1)
    medians = np.median(np.linalg.norm(parts, axis=2), axis=1)
    steady = np.linalg.norm(parts.mean(axis=1, dtype=np.float64), axis=1)
    off = medians[(np.maximum(medians, steady) < low) | (np.minimum(medians, steady) > high)]
    if _STRETCH_S * len(off) >= _OFF_S:
      lengths_off[number] = off
  if lengths_off:
    lengths = np.concatenate(list(lengths_off.values()))
    yield (
      f'For {_STRETCH_S * len(lengths):.1f} s{_where(reading, list(lengths_off))} acceleration is '
      f'{np.median(lengths):.3g} m/s² long, and in the rest 9.81, as gravity is: the unit '
      'changes within the recording, or gravity is missing there, so these answers are worthless. Leave '
      'that part out.'
    )


def _smooth(reading: Reading) -> Iterator[str]:
  """Gravity in place of acceleration, or what an app has smoothed."""
  ratios, bounces_m_s2 = [], []
  for recording in reading.recordings:
    lengths_m_s2 = np.linalg.norm(recording.acc.values, axis=1)[:, None]
    bounces, turns = (
      np.nan_to_num(still.moments(time_s, values, _MOMENT_S)[1])
      for time_s, values in (
        (recording.acc.time_s, lengths_m_s2),
        (recording.gyro.time_s, recording.gyro.values),
      )
    )
    if np.median(lengths_m_s2) < _WITHOUT_M_S2:
      continue  # without gravity
    moving = np.flatnonzero(turns[: len(bounces)] > _TURNS_RAD_S)
    bounces_m_s2.append(bounces[moving])
    ratios.append(bounces[moving] / turns[moving])
  if sum(map(len, ratios)) >= _FEW_MOMENTS and np.median(np.concatenate(ratios)) < _SMOOTH_M:
    yield (
      'The length of acceleration hardly changes while the device turns, by '
      f'{np.median(np.concatenate(bounces_m_s2)):.2g} m/s²: this looks like gravity alone, or smoothed; '
      'export the accelerometer as measured.'
    )


def _labels(reading: Reading, windowing: Windowing) -> Iterator[str]:
  windows: collections.Counter = collections.Counter()
  for span in (span for recording in reading.recordings for span in recording.spans):
    samples = int((span.stop_s - span.start_s) * windowing.rate_hz + 1e-3)
    windows[span.activity] += max((samples - windowing.samples) // windowing.step_samples + 1, 0)
  few = [
    f'{shorten(activity)!r} ({count})' for activity, count in sorted(windows.items()) if count < _FEW_WINDOWS
  ]
  if few:
    yield (
      f'Labels with too few windows of {windowing.seconds:g} s to learn from: '
      f'{shorten(", ".join(few), _MOST_LETTERS)}. Label '
      f'{_few_windows_s(windowing):.1f} s or more of each without a break ({_FEW_WINDOWS} windows).'
    )
  for activity in sorted(windows):
    if language.means_none(activity):
      yield (
        f'The label {shorten(activity)!r} is an activity like any other: leave its cells empty, or its rows '
        'out, where it means that there is no label.'
      )
  groups = language.find_duplicates(windows)
  for group in groups[:_MOST_GROUPS]:
    listed = shorten(', '.join(map(repr, map(shorten, group))), _MOST_LETTERS)
    yield f'The labels {listed} seem to be one activity, but are {len(group)} classes: give them one name.'
  if (more := len(groups) - _MOST_GROUPS) > 0:
    yield f'Of {more} more groups of labels, each seems to be one activity.'
  if len(windows) == 1:
    yield f'{shorten(next(iter(windows)))!r} is the only label: there is no other to distinguish it from.'


def find_late_labels(reading: Reading) -> Iterator[str]:
  """A sentence on each file whose labels fit its signal far better at other times."""
  files = reading.files or [''] * len(reading.recordings)
  for name in dict.fromkeys(files):
    numbers = [number for number, other in enumerate(files) if other == name]
    late_s = faults.find_late_s([reading.recordings[number] for number in numbers])
    if late_s is not None:
      yield (
        f'The labels fit the signal far better {abs(late_s)} s {"earlier" if late_s > 0 else "later"}'
        f'{_where(reading, numbers)}: compare one with the signal, and correct their times.'
      )


def _length(reading: Reading, windowing: Windowing) -> Iterator[str]:
  lengths_s = [length_s(recording.acc) for recording in reading.recordings]
  if sum(lengths_s) < (few_s := _few_windows_s(windowing)):
    yield (
      f'{"All recordings together last" if len(lengths_s) > 1 else "The recording lasts"} '
      f'{sum(lengths_s):.1f} s: that is under {_FEW_WINDOWS} windows ({few_s:.1f} s); record for longer.'
    )
  window_s = (windowing.samples - 1.001) / windowing.rate_hz  # from its first to its last sample, as in `cut`
  if short := sum(recording.acc.time_s[-1] < window_s for recording in reading.recordings):
    named = f'a window ({windowing.seconds:g} s)'
    yield f'{short} of {len(lengths_s)} parts without a gap are shorter than {named}.'


def _few_windows_s(windowing: Windowing) -> float:
  return (windowing.samples + (_FEW_WINDOWS - 1) * windowing.step_samples) / windowing.rate_hz


def _where(reading: Reading, numbers: Sequence[int]) -> str:
  """Names the files, and where in a file that has other parts, unless it is all recordings."""
  if len(numbers) == len(reading.recordings):
    return ''
  starts_s: dict[str, list[str]] = collections.defaultdict(list)
  for number in numbers:
    starts_s[reading.files[number]].append(f'{reading.offsets_s[number]:.1f}')
  names = [
    file if len(starts) == reading.files.count(file) else f'{file} (from {", ".join(starts[:5])} s on)'
    for file, starts in starts_s.items()
  ]
  more = f' and {len(names) - 5} more' if len(names) > 5 else ''
  return f' in {", ".join(names[:5])}{more}'
