"""A recording of another device, place or person is unlike the training windows, activity by activity."""

import copy
import functools
from collections.abc import Callable

import made_people
import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS

import har_jax
from har_jax import config_fields, files
from har_jax.recognizer import distribution_shift
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import Reading, to_windows
from har_jax.signal.recording import Recording, Samples
from har_jax.stream.stream import Stream
from har_jax.timeline import predict, predictions, quality
from har_jax.train.evaluation import class_spread
from har_jax.train.objective import Classify


@pytest.fixture(scope='module')
def linear(drawn) -> Recognizer:
  model = made_people.SMALL
  base = files.make_base(drawn(Classify(model, 2).init), {'model': config_fields.to_json(model)})
  return Recognizer(base, method='linear').fit(SIGNALS, LABELS)


@pytest.fixture(scope='module')
def shift_of(linear) -> Callable[..., float | None]:
  """The shift from two classes with these means and a spread of 2."""
  means = [[0.0, 0.0], [4.0, 0.0]]
  adapter = linear.adapter_.with_card(
    classes=('a', 'b'), class_means=means, class_spread=2.0, class_logits=None
  )
  return functools.partial(distribution_shift.measure, adapter)


def test_the_spread_is_within_the_classes_by_hand():
  hidden, labels = np.array([[0.0, 1], [2, 1], [5, 5], [5, 9], [5, 7]]), np.array([0, 0, 3, 3, 3])
  assert class_spread(hidden, labels) == pytest.approx((2 + 8) / (5 - 2), abs=1e-4)
  assert class_spread(hidden[[0, 2]], labels[[0, 2]]) is None  # one window of each
  assert class_spread(hidden[[0, 0, 2]], labels[[0, 0, 2]]) is None  # equal ones


def test_the_shift_is_of_class_means_weighted_by_answers_by_hand(shift_of):
  inputs = np.repeat([[1.0, 0], [4, 3]], [30, 10], axis=0)
  answers = np.repeat([[1.0, 0], [0, 1]], [30, 10], axis=0)
  one = np.zeros(40)
  assert shift_of(inputs, answers, one) == (30 * 1 + 10 * 9) / 40 / 2
  # A class of three windows says nothing. Another mixture of the same windows is hardly a shift.
  rare = np.r_[0:30, 30:33]
  assert shift_of(inputs[rare], answers[rare], one[rare]) == 0.5
  # Each file by itself; one with fewer than 30 windows does not count.
  files_of_windows = np.repeat(['a', 'b'], [30, 10])
  assert shift_of(inputs, answers, files_of_windows) == 0.5
  assert shift_of(inputs[::-1], answers[::-1], files_of_windows[::-1]) == 0.5
  more = np.repeat([0, 39], [30, 60])
  two = shift_of(inputs[more], answers[more], files_of_windows[more])
  assert two == pytest.approx((30 * 1 + 60 * 9) / 90 / 2, abs=1e-3)
  assert shift_of(inputs[:29], answers[:29], one[:29]) is None
  half = np.tile([0.5, 0.5], (40, 1))  # both classes at the mean of all windows, (1.75, 0.75)
  mean = (1.75**2 + 0.75**2 + 2.25**2 + 0.75**2) / 2
  assert shift_of(inputs, half, one) == pytest.approx(mean / 2, abs=1e-3)


def test_of_many_windows_some_are_measured(shift_of):
  rng = np.random.default_rng(0)
  windows = rng.normal(size=(5000, 2)), rng.dirichlet([1, 1], 5000), np.arange(5000) // 2500
  step = 5000 // distribution_shift.MOST
  assert shift_of(*windows) == shift_of(*(array[::step] for array in windows))
  assert shift_of(*windows) != shift_of(*(array[:900] for array in windows))


def test_a_shift_above_one_is_a_warning():
  assert distribution_shift.warnings(None) == distribution_shift.warnings(1.0) == ()
  (sentence,) = distribution_shift.warnings(1.26)
  assert '(distribution shift 1.3)' in sentence
  assert 'Label ten windows of each activity' in sentence


def test_it_is_measured_where_the_encoder_is_that_of_the_base(linear, fitted):
  lora = Recognizer(linear.base_, method='lora', rank=2, max_steps=1, batch=8).fit(SIGNALS, LABELS)
  for made in (lora, copy.copy(lora).refit(SIGNALS, LABELS), fitted, Recognizer.load()):
    assert made.adapter_.card.class_spread is None
  assert lora.adapter_.card.class_means is not None
  side = Recognizer(linear.base_, method='side', max_steps=1, batch=8).fit(SIGNALS, LABELS)
  for made in (side, linear, copy.copy(linear).refit(SIGNALS, LABELS)):
    assert made.adapter_.card.class_spread > 0
  assert distribution_shift.measure_windows(fitted, SIGNALS, np.zeros(len(SIGNALS))) is None


def test_the_training_windows_are_like_themselves_and_others_are_not(linear):
  one = np.zeros(len(SIGNALS))
  _, inputs = linear.answer_with_inputs(SIGNALS)
  labels = np.searchsorted(linear.classes_, LABELS)
  assert linear.adapter_.card.class_spread == class_spread(inputs, labels)
  assert distribution_shift.measure_windows(linear, SIGNALS, one) < 0.05
  upside_down = SIGNALS[..., [2, 1, 0, 5, 4, 3]] * [1, 1, -1, 1, 1, -1]
  assert distribution_shift.measure_windows(linear, upside_down, one) > 1
  both, halves = np.r_[SIGNALS, upside_down], np.repeat(['a', 'b'], len(SIGNALS))  # each adapted by itself
  answers, inputs = linear.answer_with_inputs(both)
  answers = np.concatenate([linear.adapt_probabilities(part, one) for part in np.split(answers, 2)])
  expected = distribution_shift.measure(linear.adapter_, inputs, answers, halves)
  assert distribution_shift.measure_windows(linear, both, halves) == expected


def _reading(axis: int) -> Reading:
  """Two minutes at rest and of noise."""
  rng, time_s = np.random.default_rng(0), np.arange(6000) / 50
  noise = rng.standard_normal((6000, 6)) * np.where(time_s < 60, 0.3, 3.0)[:, None]
  noise[:, axis] += 9.8
  acc, gyro = (Samples(time_s, part.astype(np.float32)) for part in (noise[:, :3], noise[:, 3:]))
  return Reading([Recording('', 'Ann', acc, gyro, ())], [], [], '', True, ['a.csv'], [0.0])


@pytest.mark.parametrize('refusal_rate', [0.0, 0.1])
def test_a_prediction_measures_some_of_its_windows(linear, monkeypatch, refusal_rate):
  monkeypatch.setattr(distribution_shift, 'MOST', 31)
  monkeypatch.setattr(predictions, '_CHUNK', 20)
  calibrated = copy.copy(linear)
  calibrated.adapter_ = linear.adapter_.with_card(unknown_scores=np.arange(1.0, 40).tolist())
  measured = []
  measure = distribution_shift.measure
  monkeypatch.setattr(distribution_shift, 'measure', lambda _, *windows: measured.append(windows) or 7.0)
  found = predict(calibrated, _reading(2), refusal_rate=refusal_rate, progress=False)
  ((inputs, answers, names),) = measured
  step = 1 if refusal_rate else 3
  assert len(found.start_s) == 92
  assert len(inputs) == len(answers) == len(names) == len(range(0, 92, step))
  np.testing.assert_array_equal(answers, found.probabilities[::step])
  assert found.shift == 7.0
  assert len(found.warnings) == 1
  assert measure(linear.adapter_, inputs, answers, names) < distribution_shift.LARGE
  monkeypatch.setattr(distribution_shift, 'MOST', 92)
  predict(calibrated, _reading(2), progress=False)
  np.testing.assert_allclose(inputs, measured[1][0][::step], rtol=1e-5)
  monkeypatch.setattr(distribution_shift, 'MOST', 31)
  assert len(quality._cut(_reading(2), linear.windowing, 30.0)[1]) == len(range(0, 92, 3))


@pytest.mark.filterwarnings('ignore::har_jax.recognizer.frame_check.FrameWarning')
@pytest.mark.parametrize('hop_s', [1.28, 0.64])
def test_a_stream_has_the_shift_of_its_windows_so_far(linear, fitted, hop_s):
  recording = _reading(1).recordings[0]
  samples = np.concatenate([recording.acc.values, recording.gyro.values], axis=1)
  cut = to_windows(_reading(1), linear.windowing, unlabeled=True)
  signals = np.stack([window.signal for window in cut])
  stream = Stream(linear, hop_s=hop_s, frame='as_is')
  stream.push(samples[: 128 + 28 * 64])
  assert stream.distribution_shift is None  # of 29 windows
  stream.push(samples[128 + 28 * 64 :])
  expected = distribution_shift.measure_windows(linear, signals, np.zeros(len(signals)))
  assert stream.distribution_shift == pytest.approx(expected, abs=2e-3)
  assert expected > 1
  assert Stream(linear).distribution_shift is None
  other = Stream(fitted, frame='as_is')
  other.push(samples)
  assert other.distribution_shift is None


def test_all_commands_for_a_recording_say_so(linear, tmp_path):
  for axis, is_like in ((2, True), (1, False)):
    recording = tmp_path / f'{axis}.csv'
    parts = _reading(axis).recordings[0]
    rows = np.column_stack([parts.acc.time_s, parts.acc.values, parts.gyro.values])
    np.savetxt(recording, rows, fmt='%.6f', delimiter=',', header='time,ax,ay,az,gx,gy,gz', comments='')
    units = {'acc_unit': 'm/s2', 'gyro_unit': 'rad/s', 'frame': 'as_is'}
    answered, checked = (
      har_jax.recognize(recording, linear, **units),
      har_jax.check(recording, linear, **units),
    )
    for made in (answered, checked):
      assert (made.summary['distribution_shift'] <= 1) == is_like
      assert any('distribution shift' in warning for warning in made.warnings) != is_like
