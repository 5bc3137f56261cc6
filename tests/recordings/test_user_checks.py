"""What a user is warned of before training."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import worn_device

from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.recordings import Reading, check, faults, infer, language
from har_jax.signal import recording
from har_jax.signal.recording import Recording, Samples, Span


def _reading(
  samples=3000, rate_hz=50.0, spans=((0.0, 30.0, 'walk'), (30.0, 60.0, 'sit')), **changes
) -> Reading:
  """A good one, but for `changes`: acc(values), gyro(values), has_gyro."""
  rng = np.random.default_rng(1)
  time_s = np.arange(samples) / rate_hz
  acc = rng.normal([0, 0, 9.81], [1.0, 1.0, 2.0], (samples, 3)).astype(np.float32)
  gyro = rng.normal(0, 1, (samples, 3)).astype(np.float32)
  acc, gyro = changes.get('acc', lambda v: v)(acc), changes.get('gyro', lambda v: v)(gyro)
  recording = Recording(
    'me', 'wrist', Samples(time_s, acc), Samples(time_s, gyro), tuple(Span(*s) for s in spans)
  )
  return Reading([recording], [], [], '', changes.get('has_gyro', True))


def _said(*recordings: Recording, **fields: Any) -> list[str]:
  return check(Reading([*recordings], [], [], '', True, **fields), DEFAULT_WINDOWING)


def _held(first, stop, axes=slice(None)):
  """A sensor, or some of its axes, constant from one sample to another."""

  def change(values):
    values[first:stop, axes] = values[first, axes]
    return values

  return change


def _with_spike(values):
  values[500] = 80
  return values


def _in_part(change):
  return lambda values: np.concatenate([values[:2000], change(values[2000:])])


def _clipped_at_1_g(values):
  """Clips acceleration at 1 g, beyond which a walk stays for some samples."""
  up = 9.81 + 3 * np.sin(np.arange(len(values)) * 2 * np.pi * 2 / 50)
  return np.c_[values[:, :2], up.clip(-9.80665, 9.80665)].astype(np.float32)


def _quantized_at_rest(values):
  return (np.round((values * [0.02, 0.02, 0.01] + [0, 0, 9.7]) / 0.02) * 0.02).astype(np.float32)


def _coarse_at_rest(values):
  values[500:900] = 0
  return (0.1 * values).round(1)


def _spans(first='walk', second='sit', stop_s=60.0):
  return {'spans': ((0.0, 30.0, first), (30.0, stop_s, second))}


GRAVITY = np.float32([0, 0, 9.81])
DUPLICATES = (
  ('walk', 'walking'),
  ('sit', 'Sitting'),
  ('gehen', 'walking'),
  ('lying', 'allongé'),
  ('walking', 'walkng'),
)


@pytest.mark.parametrize(
  ('changes', 'sentences'),
  [
    ({}, []),
    ({'rate_hz': 12.5}, ['The accelerometer runs at 12.5 Hz', 'The gyroscope runs at 12.5 Hz']),
    ({'rate_hz': 4.0}, ['Below 5 Hz', 'Below 5 Hz']),
    ({'acc': lambda v: v.clip(None, 12.5)}, ['accelerometer values on z are at their maximum, 12.5 m/s²']),
    ({'gyro': lambda v: v.clip(-2, 9)},
     [f'gyroscope values on {axis} are at their minimum, -2 rad/s' for axis in 'xyz']),
    ({'acc': _quantized_at_rest}, ['looks like gravity alone']),  # but is not clipped
    ({'acc': _clipped_at_1_g}, ['accelerometer values on z are at their maximum, 9.807 m/s²']),
    ({'acc': _held(500, 701)}, ['accelerometer is constant once for over 2 s, at longest 4.0']),
    ({'acc': _held(500, 600)}, []),
    ({'gyro': lambda v: _held(900, 1101)(_held(500, 651)(v))},
     ['gyroscope is constant 2 times for over 2 s, at longest 4.0 s']),
    ({'gyro': _coarse_at_rest}, []),  # a coarse sensor has no noise there
    ({'acc': _held(1500, 2001, 0)}, ['accelerometer is constant on x for 10.0 s while other axes move']),
    ({'gyro': _held(0, 1500, 0)}, ['gyroscope is constant on x for 30.0 s']),
    # At rest, with noise of its own: no copy of the other.
    ({'acc': lambda v: GRAVITY + (v - GRAVITY) / 100, 'gyro': lambda v: GRAVITY / 10 + v / 100}, []),
    # Others hardly move.
    ({'gyro': lambda v: np.c_[_held(0, 1500)(v[:, :1]), (0.1 * v[:, 1:]).round(1)]}, []),
    ({'gyro': _with_spike}, ['half of the variance of the gyroscope is in 1 of 3,000 samples']),
    ({'acc': lambda v: v - GRAVITY}, ['linear acceleration']),
    ({'acc': lambda v: (v - GRAVITY) * np.float32(4)}, ['linear acceleration']),
    ({'acc': lambda v: v * np.float32(0.3)}, ['linear acceleration']),
    ({'acc': lambda v: v * np.float32(1.5)}, ['14.8, 50% above it']),
    ({'acc': _in_part(lambda v: v / np.float32(9.81))}, ['17.9 s acceleration is 1.02 m/s²']),
    ({'acc': _in_part(lambda v: v - GRAVITY)}, ['For 17.9 s acceleration is 1.99 m/s²']),
    ({'has_gyro': False, 'gyro': lambda v: v * 0}, ['no gyroscope']),
    (_spans(stop_s=44.06), ["windows of 2.56 s to learn from: 'sit' (9)."]),
    (_spans(stop_s=44.08), []),
    ({'spans': ((0.0, 30.0, 'walk'),)}, ["'walk' is the only label"]),
    (_spans('walk', 'None'), ["'None' is an activity like any other"]),
    (_spans('walk', '-'), ["'-' is an activity like any other"]),
    *(
      (_spans(*pair), ['{!r}, {!r} seem to be one activity, but are 2 classes'.format(*sorted(pair))])
      for pair in DUPLICATES
    ),
    ({'samples': 600, 'spans': ()}, ['12.0 s: that is under 10 windows (14.1 s)']),
  ],
)  # fmt: skip
def test_each_defect_gives_one_sentence_with_its_numbers(changes, sentences):
  said = check(_reading(**changes), DEFAULT_WINDOWING)
  assert len(said) == len(sentences)
  for sentence, words in zip(said, sentences, strict=True):
    assert words in sentence
    assert sentence[0].isupper() or sentence[0].isdigit() or sentence[0] == "'"
    assert sentence.endswith('.')


def test_windows_of_a_label_are_counted_at_the_rate_of_the_model():
  said = check(_reading(**_spans(stop_s=44.06)), Windowing(samples=64, rate_hz=25))
  assert any("'sit' (9)" in sentence for sentence in said)


def test_names_of_different_activities_are_left_alone():
  names = (*recording.ACTIVITIES, 'jogging', 'walking 1', 'walking 2', 'laufen', 'arm a', 'arm b')
  assert language.find_duplicates(names) == []
  assert language.find_duplicates(['walkng', 'sit', 'Gehen', 'walking']) == [['Gehen', 'walking', 'walkng']]
  assert language.find_duplicates(['walking', 'walkign', 'awlking']) == [['awlking', 'walkign', 'walking']]


def test_a_check_names_its_recording():
  good, stuck = _reading(), _reading(acc=_held(500, 701))
  (sentence,) = _said(*good.recordings, *stuck.recordings, files=['mon', 'tue'], offsets_s=[0.0, 0.0])
  assert 's in tue: even' in sentence
  twice = {'files': ['mon', 'mon', 'tue'], 'offsets_s': [0.0, 90.0, 0.0]}
  (sentence,) = _said(*good.recordings, *stuck.recordings, *good.recordings, **twice)
  assert 's in mon (from 90.0 s on): even' in sentence


def test_the_rate_of_a_few_rows_between_gaps_is_not_said():
  (good,), (few,) = _reading().recordings, _reading(samples=5, rate_hz=8.0, spans=()).recordings
  (slow,) = _reading(rate_hz=12.5).recordings
  files = {'files': ['mon', 'mon'], 'offsets_s': [0.0, 90.0]}
  assert not [sentence for sentence in _said(good, few, **files) if ' Hz' in sentence]
  said = [sentence for sentence in _said(good, slow, **files) if ' Hz' in sentence]
  assert [
    sentence.startswith(f'The {word} runs at 12.5 Hz in mon (from 90.0 s on): ')
    for sentence, word in zip(said, ('accelerometer', 'gyroscope'), strict=True)
  ] == [True, True]


def test_each_recording_is_judged_by_its_own_rate_and_its_own_number_of_samples():
  (good,), (slow,) = _reading().recordings, _reading(samples=1500, rate_hz=25.0).recordings
  assert not [sentence for sentence in _said(good, slow) if 'missing' in sentence]
  (clipped,) = _reading(acc=lambda values: values.clip(None, 12.5)).recordings
  sentences = [
    [sentence for sentence in _said(*recordings) if 'at their maximum, 12.5' in sentence]
    for recordings in ((clipped,), (clipped, clipped))
  ]
  assert sentences[0] == sentences[1] != []


def test_parts_shorter_than_a_window_of_the_model_are_counted():
  long, short = (_reading(samples=samples).recordings for samples in (3000, 140))  # of 60 and 2.8 s
  for windowing, count in ((DEFAULT_WINDOWING, 0), (Windowing(60, 20), 1)):
    said = check(Reading([*long, *short], [], [], '', True, ['mon'] * 2, [0.0, 90.0]), windowing)
    assert [sentence.startswith('1 of 2 parts without a gap are shorter') for sentence in said] == [
      True
    ] * count
  (window,) = _reading(samples=266, rate_hz=104.0, spans=()).recordings  # its last sample is at 2.548 s
  assert not any('parts without a gap' in sentence for sentence in _said(window))


# --- faults that change answers in silence


def _find(change=lambda acc, gyro: (acc, gyro)) -> list[str]:
  """Sentences on a device that sways and walks, with another signal, but those on labels and length."""
  signal = worn_device.signal('walking', 120, 3)
  rng = np.random.default_rng(4)
  rest = 20 * worn_device.RATE_HZ
  signal[:rest, 3:] = 0
  signal[:rest, :3] = 9.81 * signal[rest, :3] / np.linalg.norm(signal[rest, :3])
  return _check(*change(signal[:, :3] + rng.normal(0, 0.05, (len(signal), 3)), signal[:, 3:]))


def _recording(acc: np.ndarray, gyro: np.ndarray) -> Recording:
  time_s = np.arange(len(acc)) / worn_device.RATE_HZ
  return Recording('me', '', *(Samples(time_s, part.astype(np.float32)) for part in (acc, gyro)), ())


def _check(acc: np.ndarray, gyro: np.ndarray) -> list[str]:
  return _said(_recording(acc, gyro), files=['day'], offsets_s=[10.0])


def _at_86_s(change):
  first = 86 * worn_device.RATE_HZ
  return lambda acc, gyro: tuple(
    np.concatenate([part[:first], changed])
    for part, changed in zip((acc, gyro), change(acc[first:], gyro[first:]), strict=True)
  )


def _mean_of_3_s(acc, gyro):
  kernel = np.ones(150) / 150
  return np.stack([np.convolve(axis, kernel, 'same') for axis in acc.T], axis=1)[100:-100], gyro[100:-100]


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (lambda acc, gyro: (acc, acc * 0.3), 'gyroscope has the values of the accelerometer'),
    (
      lambda acc, gyro: (acc + np.random.default_rng(5).normal(0, 2, acc.shape), gyro),
      'accelerometer has noise of 1.',
    ),
    (lambda acc, gyro: (acc - [1.8, 0, 0], gyro), 'At rest gravity is 8.0'),
    (lambda acc, gyro: (acc * [1.17, 1, 1], gyro), 'At rest gravity is 11.'),
    (lambda acc, gyro: (acc, gyro * [57.3, 1, 1]), 'Gravity turns'),
    (lambda acc, gyro: (acc, gyro * [1, 1 / 57.3, 1]), 'as fast with y of the gyroscope'),
    (_mean_of_3_s, 'gravity alone, or smoothed'),
    (_at_86_s(lambda acc, gyro: (-acc, gyro)), 'At 95.9 s gravity jumps'),
    (_at_86_s(lambda acc, gyro: (acc * [-1, -1, 1], gyro * [-1, -1, 1])), 'At 96.1 s gravity jumps'),
  ],
)
def test_a_fault_of_a_sensor_is_named(change, words):
  assert not [sentence for sentence in _find() if words[:12] in sentence]
  assert len([sentence for sentence in _find(change) if words in sentence]) == 1


def test_a_jump_of_gravity_is_seen_in_a_run(monkeypatch):
  rng, signal = np.random.default_rng(0), worn_device.signal('walking', 60, 3)
  bounces = np.sin(2 * np.pi * 1.5 * np.arange(len(signal)) / 50)[:, None]  # up to 2 g, down to nothing
  acc = signal[:, :3] * (1 + bounces) + rng.normal(0, 0.1, (len(signal), 3))
  for sign, count in ((1, 0), (-1, 1)):
    sentences = _check(np.concatenate([acc[:1500], sign * acc[1500:]]), signal[:, 3:])
    assert sum('gravity jumps to other axes or signs' in sentence for sentence in sentences) == count
  whole = faults._changes(_recording(acc, signal[:, 3:]))
  monkeypatch.setattr(faults, '_PART', 7)
  np.testing.assert_allclose(faults._changes(_recording(acc, signal[:, 3:])), whole)


@pytest.mark.parametrize('late_s', [1.5, -1.0])
def test_a_late_gyroscope_is_warned_of_with_its_delay(late_s):
  signal = worn_device.signal('sitting', 480, 0)  # and four times as fast
  time_s = np.arange(len(signal)) / worn_device.RATE_HZ / 4
  acc, gyro = (Samples(time_s, part.astype(np.float32)) for part in (signal[:, :3], 4 * signal[:, 3:]))
  assert infer.lag_s(acc, gyro) == 0
  assert infer.lag_s(acc, Samples(time_s, -gyro.values)) == 0
  assert infer.lag_s(acc, Samples(time_s + late_s, gyro.values)) == late_s


def test_no_delay_is_named_in_a_walk_where_other_strides_fit_as_well():
  time_s = np.arange(2000) / 50
  angle, speed = 0.5 * np.sin(np.pi * time_s), 0.5 * np.pi * np.cos(np.pi * (time_s - 0.5))
  noise = np.random.default_rng(0).normal(0, 0.1, (2000, 3))
  acc = 9.81 * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1) + noise
  gyro = np.stack([0 * speed, speed, 0 * speed], axis=1)
  assert infer.lag_s(Samples(time_s, acc), Samples(time_s, gyro)) == 0


def test_a_wrist_that_turns_is_not_taken_for_swapped_sensors():
  angle = np.linspace(-2.1, 2.1, 108)
  acc = np.stack([np.sin(angle), np.cos(angle), 0 * angle], axis=1)  # g
  gyro = np.full((108, 3), [10.0, 0.0, 0.0])
  assert infer.steady_length(acc) < 0.45
  findings = infer.Findings()
  assert infer.acc_unit(acc, '', '', findings) == 'g'
  assert not findings.warnings
  assert not infer.seem_swapped(acc, gyro)


def test_copies_in_one_of_two_recordings_are_no_wrong_columns():
  (first,) = _reading().recordings
  copied = dataclasses.replace(first, gyro=first.acc)
  for parts, count in (([copied], 1), ([copied, first], 0)):
    assert sum('values of the accelerometer' in sentence for sentence in _said(*parts)) == count
  other = dataclasses.replace(first, acc=Samples(first.acc.time_s, -first.acc.values))
  twice = {'files': ['mon', 'mon', 'tue', 'tue'], 'offsets_s': [0.0, 90.0, 0.0, 90.0]}
  assert 'hold the same samples' not in ' '.join(_said(first, first, other, first, **twice))
