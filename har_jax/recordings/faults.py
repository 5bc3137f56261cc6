"""Faults that the numbers tell: of sensors (copies, noise, gravity, axes that change), and late labels.

m moments of a quarter second, c changes between them, k seconds or stretches; t seconds, f features,
d shifts.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from har_jax.recordings import infer
from har_jax.recordings.reading import Reading
from har_jax.signal import axes_change, frames, still
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording

_SAME = 0.999  # correlation of each axis with that of the other sensor
# HHAR: of 41 phones and watches that lie still on six sides, gravity is wrong by at most 1.37 m/s².
_LARGEST_ERROR_M_S2, _FEW_STRETCHES = 1.25, 2
# Deviation from one sample to the next in the calmest tenth of all seconds, and its ratio to the second's: 1
# is white noise. Of 88 people and positions of eight archives, all have under 0.25 m/s². With noise of 2,
# all have over 1.6, and a ratio over 0.7.
_NOISE_M_S2, _WHITE, _USUAL_NOISE_M_S2 = 1.25, 0.7, 0.1
_AROUND = 6  # moments before and after a change: a few steps
_PART = 4096  # changes or seconds at a time: copies of a day in float64 would take hundreds of MB
# Change of gravity there, in the axes of the first sample: 1.9 to 2.1 g if acceleration is negated, 0.7 to
# 1.8 with other axes. Arms and legs that swing have 1 g, too, but again and again; as recorded, none of 379
# people and positions has over 1.28 g once.
_JUMP_G, _AGAIN, _STEADY_G, _TURNED_RAD = 1.35, 0.65, 0.25, 2.0

# Of 111 people of nine archives, gravity turns up to 10 times as fast with one axis as with another.
# Only slopes of so many standard errors are compared. Degrees are off by 57.
_OTHER_UNIT, _SURE_SLOPE = 20.0, 5.0


def find(reading: Reading) -> Iterator[str]:
  """Finds a gyroscope that is none, and axes that change; a sentence for each."""
  if reading.has_gyro and all(map(_is_copy, reading.recordings)):
    yield (
      'The gyroscope has the values of the accelerometer, so answers are worthless: choose its own columns '
      'with columns.'
    )
  elif reading.has_gyro:
    yield from _jumps(reading)
    yield from _units_of_axes(reading)


def _is_copy(recording: Recording) -> bool:
  acc, gyro = recording.acc, recording.gyro
  if not np.array_equal(acc.time_s, gyro.time_s):
    return False
  for pair in zip(acc.values.T, gyro.values.T, strict=True):
    first, second = (axis - axis.mean(dtype=np.float64) for axis in pair)
    if not abs(first @ second) > _SAME * np.sqrt((first @ first) * (second @ second)):
      return False
  return True


def find_in_gravity(reading: Reading) -> Iterator[str]:
  """Finds noise, and gravity that has another length in some directions. Units must be right."""
  yield from _noise(reading)
  errors = still.find_rest(recording.acc for recording in reading.recordings).errors
  lengths = STANDARD_GRAVITY_M_S2 + errors
  if (np.abs(errors) > _LARGEST_ERROR_M_S2).sum() >= _FEW_STRETCHES:
    yield (
      f'At rest gravity is {lengths.min():.3g} to {lengths.max():.3g} m/s² long: an axis of the '
      'accelerometer has a bias, or another gain. har-jax check tells which, if the device lies for some '
      'seconds on each of its six sides.'
    )


def _noise(reading: Reading) -> Iterator[str]:
  deviations = []
  for recording in reading.recordings:
    seconds = still.stretches(recording.acc, 1.0, least=4)
    for part in np.array_split(seconds, len(seconds) // _PART + 1):
      part = part.astype(np.float64)
      changes = np.diff(part, axis=1) / 2**0.5
      deviations.append([values.std(axis=1).mean(axis=1) for values in (changes, part)])
  steps, spreads = np.concatenate(deviations, axis=1)
  calm = np.argsort(steps)[: max(len(steps) // 10, 1)]
  if not len(calm):
    return
  noise, ratio = np.median(steps[calm]), np.median(steps[calm] / np.maximum(spreads[calm], 1e-9))
  if noise > _NOISE_M_S2 and ratio > _WHITE:
    yield (
      f'The accelerometer has noise of {noise:.2g} m/s² even when it moves least, which hides small '
      f'movements: that of phones is under {_USUAL_NOISE_M_S2:g}.'
    )


def _units_of_axes(reading: Reading) -> Iterator[str]:
  """Warns if gravity turns far faster with one axis of the gyroscope than with another."""
  parts = [_turns(recording) for recording in reading.recordings]
  change, by_axis = (np.concatenate(part) for part in zip(*parts, strict=True))
  inverse = np.linalg.pinv(by_axis.T @ by_axis, hermitian=True)
  slopes = inverse @ (by_axis.T @ change)
  variance = np.square(change - by_axis @ slopes).sum() / max(len(change), 1)
  sure = np.abs(slopes) > _SURE_SLOPE * np.sqrt(variance * np.abs(np.diag(inverse)))
  order = [axis for axis in np.abs(slopes).argsort() if sure[axis]]
  if order and (ratio := abs(slopes[order[-1]] / slopes[order[0]])) > _OTHER_UNIT:
    yield (
      f'Gravity turns {ratio:.0f} times as fast with {"xyz"[order[-1]]} of the gyroscope as with '
      f'{"xyz"[order[0]]}, as if these were in different units, so answers may be wrong: convert all three '
      'axes to one.'
    )


def _turns(recording: Recording) -> tuple[Float[np.ndarray, 'c'], Float[np.ndarray, 'c 3']]:
  """Measured change of gravity, and that by each axis of the gyroscope."""
  index, acc, gyro = infer.in_both(*map(infer.means, (recording.acc, recording.gyro)))
  is_near = index[2:] - index[:-2] == 2
  change = (acc[2:] - acc[:-2])[is_near] / (2 * infer.MOMENT_S)
  by_axis = np.stack([np.cross(acc, gyro * axis)[1:-1][is_near] for axis in np.eye(3)], axis=-1)
  return change.ravel(), by_axis.reshape(-1, 3)


def _jumps(reading: Reading) -> Iterator[str]:
  """Warns if gravity jumps in the device's axes, and the gyroscope says that the device does not turn."""
  jumps = []
  for number, recording in enumerate(reading.recordings):
    time_s, jumps_g = _changes(recording)
    if jumps_g.max(initial=0.0) < _JUMP_G:
      continue
    # At one moment, and nowhere else nearly as far.
    if np.ptp(np.flatnonzero(jumps_g > _AGAIN * jumps_g.max())) < 2 * _AROUND:
      jumps.append((number, float(time_s[jumps_g.argmax()])))
  if not jumps and (change := axes_change.find(reading.recordings)) is not None:
    jumps.append(change)
  for number, jump_s in jumps:
    name = f' of {reading.files[number]}' if len(set(reading.files)) > 1 else ''
    offset_s = reading.offsets_s[number] if reading.offsets_s else 0.0
    yield (
      f'At {offset_s + jump_s:.1f} s{name} gravity jumps to other axes or signs, and the gyroscope says that '
      'the device does not turn: from there on, axes or signs of a sensor are others. Cut the recording '
      'there.'
    )


def _changes(recording: Recording) -> tuple[Float[np.ndarray, 'c'], Float[np.ndarray, 'c']]:
  """Times, and changes of gravity there, in g, in the axes of the first sample; 0 if the device turns."""
  both = infer.in_both(*map(infer.means, (recording.acc, recording.gyro)))
  starts = range(0, len(both[0]) - 2 * _AROUND, _PART)
  parts = [_changes_in(*(each[start : start + _PART + 2 * _AROUND] for each in both)) for start in starts]
  time_s, jumps_g = zip(*parts, strict=True) if parts else ([np.zeros(0)], [np.zeros(0)])
  return np.concatenate(time_s), np.concatenate(jumps_g)


def _changes_in(
  index: Int[np.ndarray, 'm'], acc: Float[np.ndarray, 'm 3'], gyro: Float[np.ndarray, 'm 3']
) -> tuple[Float[np.ndarray, 'c'], Float[np.ndarray, 'c']]:
  count = len(index) - 2 * _AROUND
  is_calm, angles = index[-count:] - index[:count] == 2 * _AROUND, np.zeros((count, 3))
  for moment in range(2 * _AROUND + 1):
    angles += gyro[moment : moment + count] * infer.MOMENT_S
    is_calm &= np.linalg.norm(angles, axis=1) < _TURNED_RAD
  time_s = (index[_AROUND:-_AROUND] + 0.5) * infer.MOMENT_S
  turns = frames.rotation_matrices((gyro[1:] + gyro[:-1]) / 2 * infer.MOMENT_S)
  # Else a swing would look like a jump to a gyroscope of the opposite sign.
  both = (_jumps_by(acc / STANDARD_GRAVITY_M_S2, signed) for signed in (turns, turns.swapaxes(1, 2)))
  return time_s, np.where(is_calm, np.minimum(*both), 0.0)


def _jumps_by(acc_g: Float[np.ndarray, 'm 3'], turns: Float[np.ndarray, '_m 3 3']) -> Float[np.ndarray, 'c']:
  """Changes of gravity from the moments before one to those after it; 0 if its length changes.

  turns: from each moment to the next one.
  """
  before, after = (_mean_turned(acc_g, turns, first) for first in (0, _AROUND + 1))
  lengths_g = np.linalg.norm(np.stack([before, after]), axis=2)
  is_steady = (np.abs(lengths_g - 1) < _STEADY_G).all(axis=0)
  return np.where(is_steady, np.linalg.norm(after - before, axis=1), 0.0)


def _mean_turned(
  acc_g: Float[np.ndarray, 'm 3'], turns: Float[np.ndarray, '_m 3 3'], first: int
) -> Float[np.ndarray, 'c 3']:
  """Means of `_AROUND` moments, from the `first` of each 2 `_AROUND` + 1 on, in the axes of their first."""
  count = len(acc_g) - 2 * _AROUND
  total = np.zeros((count, 3))
  for moment in range(first + _AROUND - 1, -1, -1):
    if moment >= first:
      total += acc_g[moment : moment + count]
    if moment:  # to the axes of the moment before
      total = np.einsum('cij,cj->ci', turns[moment - 1 : moment - 1 + count], total)
  return total / _AROUND


# --- labels that are late: a search for a shift in time by which they fit the signal far better.
# At each shift, a Gaussian of one covariance is fitted to each activity's seconds. Labels that fit make it
# much narrower than that of all seconds.


_MOST_S = 60
_LEAST_S, _NEAR_S = 8, 5  # people are some seconds late: then the best shift is near 0
# In nats a second. Of 180 people's labels, none gains as much as published, or off by up to 6 s at random.
# Two thirds do if they are 15 to 50 s late.
_GAIN, _PEAK = 0.6, 0.3
_PEAK_S = 10
# Labeled seconds, and the fraction that must move to labeled ones, as others contradict no label. It is over
# 0.54 for late labels of the people of HAPT and MotionSense.
_FEWEST_S, _DENSE = 120, 0.5
_KEPT = 0.8  # of the labeled seconds, at each shift
_REPEATS, _SHORT = 2, 0.7  # each activity once: a shift by a whole label may be another order of activities
_NOISE = 0.02


def find_late_s(recordings: Sequence[Recording]) -> int | None:
  """Finds by how many seconds the labels are late; None: they fit as they are, or nobody knows."""
  names = sorted({span.activity for recording in recordings for span in recording.spans})
  if len(names) < 2:
    return None
  parts = [_describe(recording, names) for recording in recordings]
  return _late_s(*map(np.concatenate, zip(*parts, strict=True)))


def _late_s(features: Float[np.ndarray, 't f'], labels: Int[np.ndarray, 't']) -> int | None:
  labels = np.where(np.isnan(features).any(axis=1), -1, labels)
  labeled = np.flatnonzero(labels >= 0)
  if len(labeled) < _FEWEST_S:
    return None
  starts = np.flatnonzero(np.diff(labels[labeled], prepend=-1))
  most_s = _MOST_S
  if len(starts) < _REPEATS * len(np.unique(labels[labeled])):
    most_s = min(most_s, int(_SHORT * np.median(np.diff(np.r_[starts, len(labeled)]))))
  shifts = np.arange(-_MOST_S, _MOST_S + 1)
  fits = np.full(len(shifts), np.nan)
  for index in np.flatnonzero(abs(shifts) <= most_s):
    fits[index] = _fit(features, labels, labeled, int(shifts[index]))
  usual = _MOST_S
  if np.isnan(fits[usual]):
    return None
  best = int(np.nanargmax(fits))
  around = [fits[shift] for shift in (best - _PEAK_S, best + _PEAK_S) if 0 <= shift < len(fits)]
  around = [fit for fit in around if not np.isnan(fit)]
  near = fits[usual - _PEAK_S : usual + _PEAK_S + 1]
  moved = labeled - shifts[best]
  moved = moved[(moved >= 0) & (moved < len(labels))]
  if (
    fits[best] - fits[usual] < _GAIN
    or not around
    or fits[best] - max(around) < _PEAK
    or abs(shifts[best]) < _LEAST_S
    or abs(int(np.nanargmax(near)) - _PEAK_S) <= _NEAR_S
    or (labels[moved] >= 0).mean() < _DENSE
  ):
    return None
  return int(shifts[best])


def _fit(
  features: Float[np.ndarray, 't f'], labels: Int[np.ndarray, 't'], labeled: Int[np.ndarray, 'm'], late_s: int
) -> float:
  """Narrowing of the features within activities, in nats a second; NaN where too few labels are left."""
  moved = labeled - late_s
  inside = (moved >= 0) & (moved < len(features))
  moved, codes = moved[inside], labels[labeled[inside]]
  complete = ~np.isnan(features[moved]).any(axis=1)
  moved, codes = moved[complete], codes[complete]
  classes = np.unique(codes)
  if len(codes) < _KEPT * len(labeled) or len(classes) < max(2, len(np.unique(labels[labeled]))):
    return np.nan
  values = features[moved]
  deviations = values - values.mean(axis=0)
  within = values.copy()
  for code in classes:
    within[codes == code] -= values[codes == code].mean(axis=0)
  noise = _NOISE * np.eye(values.shape[1])
  wide, narrow = (
    float(np.linalg.slogdet(rows.T @ rows / len(rows) + noise)[1]) for rows in (deviations, within)
  )
  return (wide - narrow) / 2


def _describe(
  recording: Recording, names: Sequence[str]
) -> tuple[Float[np.ndarray, 't f'], Int[np.ndarray, 't']]:
  """Features of each second, and the number of its activity, -1 if it is not all of one; and a pause.

  The features are the mean acceleration, and how much each sensor moves; NaN without samples.
  """
  count = int(min(recording.acc.time_s[-1], recording.gyro.time_s[-1]))
  (mean, acc_std), (_, gyro_std) = (
    still.moments(part.time_s, part.values, 1.0) for part in (recording.acc, recording.gyro)
  )
  stds = np.log(acc_std[:count] + 0.1), np.log(gyro_std[:count] + 0.05)
  features = np.c_[mean[:count] / STANDARD_GRAVITY_M_S2, *stds]
  labels, numbers = np.full(count + _MOST_S, -1), {name: number for number, name in enumerate(names)}
  for span in recording.spans:
    labels[int(np.ceil(span.start_s)) : min(int(span.stop_s), count)] = numbers[span.activity]
  # Nothing is shifted from one recording into another.
  return np.pad(features, ((0, _MOST_S), (0, 0)), constant_values=np.nan), labels
