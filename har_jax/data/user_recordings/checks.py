"""What is odd about a user's recordings, in plain sentences, before anything is trained.   n samples."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float

from har_jax.config import WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, STANDARD_GRAVITY_M_S2, STEP_SAMPLES, Recording, Samples, Span
from har_jax.data.resample import MAX_GAP_S
from har_jax.data.user_recordings import units
from har_jax.data.user_recordings.reading import Reading

# The slowest archive that models are pretrained on has 20 Hz, and no clock keeps to it.
_SLOW_HZ, _NEARLY = 20.0, 0.98
_CLIPPED = 0.005  # share of samples at an axis's extreme value
_FEW_SAMPLES = 5  # that a short recording may have there by chance
# A device at rest has coarse values too, and its extremes return: what is not far out is no end of a range.
_FAR_ACC_M_S2, _FAR_GYRO_RAD_S = 1.2 * STANDARD_GRAVITY_M_S2, 1.0
_STUCK_S = 2.0
_GRAVITY_OFF = 0.2
_FEW_WINDOWS = 10


def check(reading: Reading) -> list[str]:
  """One sentence for each thing that a user should know, with its numbers; none where all is well."""
  return [
    sentence
    for look in (_rate, _clipped, _stuck, _gravity, _gyro, _labels, _length)
    for sentence in look(reading)
  ]


def _rate(reading: Reading) -> Iterator[str]:
  for word, samples in _sensors(reading):
    rates = [1 / float(np.median(np.diff(one.time_s))) for one in samples]
    slow = [number for number, rate in enumerate(rates) if rate < _NEARLY * _SLOW_HZ]
    if slow:
      blind = (
        f' Below {1 / MAX_GAP_S:.0f} Hz no window can be cut at all.' if min(rates) < 1 / MAX_GAP_S else ''
      )
      yield (
        f'The {word} runs at {min(rates):.3g} Hz{_where(reading, slow)}: steps and swings blur below {_SLOW_HZ:.0f} Hz; '
        f'record at {RATE_HZ} Hz or more.{blind}'
      )


def _clipped(reading: Reading) -> Iterator[str]:
  for word, samples in _sensors(reading):
    far, unit = (_FAR_ACC_M_S2, 'm/s²') if word == 'accelerometer' else (_FAR_GYRO_RAD_S, 'rad/s')
    count = sum(len(one.values) for one in samples)
    for axis, name in enumerate('xyz'):
      for extreme, words in ((np.min, 'least'), (np.max, 'greatest')):
        end = extreme([extreme(one.values[:, axis]) for one in samples])
        at_end = sum(int((one.values[:, axis] == end).sum()) for one in samples)
        if abs(end) > far and at_end > max(_CLIPPED * count, _FEW_SAMPLES):
          yield (
            f"{at_end / count:.1%} of the {word}'s {name} values are its {words}, {end:.4g} {unit}: clipped at the end of "
            "the sensor's range; set a wider range."
          )


def _stuck(reading: Reading) -> Iterator[str]:
  for word, samples in _sensors(reading):
    spells = [_spells(one) for one in samples]
    where = [number for number, lengths_s in enumerate(spells) if len(lengths_s)]
    if where:
      every = np.concatenate([spells[number] for number in where])
      times = 'once' if len(every) == 1 else f'{len(every)} times'
      yield (
        f'The {word} stands still to the last digit {times} for over {_STUCK_S:.0f} s, at longest {every.max():.1f} s'
        f'{_where(reading, where)}: even at rest a sensor has noise; it may have been stuck or asleep.'
      )


def _spells(samples: Samples) -> Float[np.ndarray, 'k']:
  """Seconds of each stretch, longer than _STUCK_S, in which no axis changes."""
  same = np.r_[False, (np.diff(samples.values, axis=0) == 0).all(axis=1), False]
  lengths_s = [samples.time_s[stop] - samples.time_s[start] for start, stop in _runs(same)]
  return np.array([length for length in lengths_s if length > _STUCK_S], np.float64)


def _runs(same: Bool[np.ndarray, 'n']) -> Iterator[tuple[int, int]]:
  """First and last sample of each run; same[i + 1] says that sample i + 1 equals sample i, and both ends are False."""
  change = np.flatnonzero(np.diff(same.astype(np.int8)))
  for first, last in change.reshape(-1, 2):
    yield int(first), int(last)


def _gravity(reading: Reading) -> Iterator[str]:
  lengths = np.concatenate([units.lengths(recording.acc.values) for recording in reading.recordings])
  median = float(np.median(lengths))
  longest = max(reading.recordings, key=lambda recording: len(recording.acc.values))
  steady = units.pull(longest.acc.values)
  # In a run the median is far above gravity, the mean is not: the lesser of both doubts counts.
  off = min((length / STANDARD_GRAVITY_M_S2 - 1 for length in (median, steady)), key=abs)
  if abs(off) <= _GRAVITY_OFF and steady >= units.LINEAR * median:
    return
  if steady < units.LINEAR * median or median < STANDARD_GRAVITY_M_S2 / 2:
    reason = (
      f'and its mean over a few seconds {steady:.3g}: this looks like linear acceleration, from which the phone has taken '
      'gravity away; export the accelerometer with gravity'
    )
  else:
    reason = f'{abs(off):.0%} {"below" if off < 0 else "above"} it: is the unit right? Name it with acc_unit'
  yield f'Gravity is {STANDARD_GRAVITY_M_S2:.2f} m/s², but the median length of acceleration is {median:.3g}, {reason}.'


def _gyro(reading: Reading) -> Iterator[str]:
  if not reading.has_gyro:
    yield (
      'There is no gyroscope: zeros stand in for it, which after normalization is its mean. Turns are lost; record it if '
      'you can.'
    )


def _labels(reading: Reading) -> Iterator[str]:
  windows: collections.Counter = collections.Counter()
  seconds: dict[str, float] = collections.defaultdict(float)
  for recording in reading.recordings:
    for span in recording.spans:
      windows[span.activity] += _windows(span)
      seconds[span.activity] += span.stop_s - span.start_s
  wanted_s = (WINDOW_SAMPLES + (_FEW_WINDOWS - 1) * STEP_SAMPLES) / RATE_HZ
  for activity, count in sorted(windows.items()):
    if count < _FEW_WINDOWS:
      yield (
        f'The label {activity!r} has {seconds[activity]:.1f} s of labels, {count} windows of {WINDOW_SAMPLES / RATE_HZ} s: too few '
        f'to learn from; label {wanted_s:.1f} s at a stretch or more ({_FEW_WINDOWS} windows).'
      )
  if len(windows) == 1:
    yield f'{next(iter(windows))!r} is the only label: there is nothing to tell it from.'


def _windows(span: Span) -> int:
  samples = int((span.stop_s - span.start_s) * RATE_HZ + 1e-3)
  return max((samples - WINDOW_SAMPLES) // STEP_SAMPLES + 1, 0)


def _length(reading: Reading) -> Iterator[str]:
  length_s = sum(_length_s(recording) for recording in reading.recordings)
  least_s = (WINDOW_SAMPLES + (_FEW_WINDOWS - 1) * STEP_SAMPLES) / RATE_HZ
  if length_s < least_s:
    yield (
      f'All recordings together last {length_s:.1f} s: that is under {_FEW_WINDOWS} windows ({least_s:.1f} s); '
      'record for longer.'
    )
  window_s = WINDOW_SAMPLES / RATE_HZ
  short = [number for number, one in enumerate(reading.recordings) if _length_s(one) < window_s]
  if short:
    yield (
      f'{len(short)} of {len(reading.recordings)} stretches without a gap are shorter than a window of {window_s} s and '
      'give none.'
    )


def _length_s(recording: Recording) -> float:
  return float(recording.acc.time_s[-1]) + float(np.median(np.diff(recording.acc.time_s)))


def _sensors(reading: Reading) -> Iterator[tuple[str, list[Samples]]]:
  yield 'accelerometer', [recording.acc for recording in reading.recordings]
  if reading.has_gyro:
    yield 'gyroscope', [recording.gyro for recording in reading.recordings]


def _where(reading: Reading, numbers: Sequence[int]) -> str:
  """Which recordings, where not all of them."""
  if len(numbers) == len(reading.recordings):
    return ''
  named = [
    f'{number + 1} ({reading.files[number]})' if reading.files else str(number + 1) for number in numbers[:5]
  ]
  more = f' and {len(numbers) - 5} more' if len(numbers) > 5 else ''
  return f' in recording {", ".join(named)}{more}'
