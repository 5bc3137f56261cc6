"""Resampling pairs the sensors by time, keeps what the target rate can hold and lets nothing alias."""

import collections

import numpy as np
import pytest
import scipy.interpolate

from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.signal.recording import Recording, Samples, Span, regular
from har_jax.signal.resample import resample


def _recording(acc: Samples, gyro: Samples) -> Recording:
  return Recording('1', 'waist', acc, gyro, (Span(0.0, 1e6, 'walking'),))


def _tones(time_s: np.ndarray, frequency_hz: float) -> Samples:
  """Three tones a third of a turn apart, each of amplitude 1."""
  phase = 2 * np.pi * frequency_hz * time_s[:, None] + 2 * np.pi / 3 * np.arange(3)
  return Samples(time_s, np.sin(phase))


def _resampled(acc: Samples, gyro: Samples, dropped=None):
  return resample(
    _recording(acc, gyro), collections.Counter() if dropped is None else dropped, DEFAULT_WINDOWING
  )


def _times(piece) -> np.ndarray:
  return piece.start_s + np.arange(len(piece.signal)) / 50


def test_a_later_start_on_one_clock_keeps_bits_from_where_both_run():
  values = np.random.default_rng(0).normal(0, 9, (1000, 3)).astype(np.float32)
  later = regular(values, 50.0)
  (piece,) = _resampled(regular(values, 50.0), Samples(later.time_s + 5 / 50, later.values))
  assert piece.start_s == pytest.approx(0.1)
  np.testing.assert_array_equal(piece.signal, np.concatenate([values[5:], values[:-5]], axis=1))


def test_a_30_hz_tone_recorded_at_100_hz_vanishes_and_5_hz_survives():
  time_s = np.arange(3000) / 100
  (piece,) = _resampled(_tones(time_s, 30.0), _tones(time_s, 5.0))
  inner = slice(50, -50)
  # Decimated without a filter it would be a 20 Hz tone of amplitude 1.
  assert np.abs(piece.signal[inner, :3]).max() < 0.005
  np.testing.assert_allclose(piece.signal[inner, 3:], _tones(_times(piece), 5.0).values[inner], atol=0.005)


@pytest.mark.parametrize(
  ('rate_hz', 'frequency_hz', 'bound'),
  # On an even clock at an integer rate only the filter errs. On other clocks modified Akima does: its RMS
  # error is 0.6 % of a tone at a tenth of the rate, 4 % at a fifth; the largest error is 2.5 times that.
  [
    (25, 5.0, 0.005),
    (128, 20.0, 0.005),
    (200, 5.0, 0.005),
    (19.86, 2.0, 0.03),
    (51.3, 5.0, 0.02),
    (50, 20.0, 1e-6),
  ],
)
def test_a_tone_keeps_its_amplitude_and_phase(rate_hz, frequency_hz, bound):
  samples = _tones(np.arange(int(20 * rate_hz)) / rate_hz, frequency_hz)
  (piece,) = _resampled(samples, samples)
  inner = slice(25, -25)
  np.testing.assert_allclose(
    piece.signal[inner, :3], _tones(_times(piece), frequency_hz).values[inner], atol=bound
  )
  assert len(piece.signal) == pytest.approx(20 * 50, abs=5)


def test_sensors_pair_by_time_not_by_row():
  # The gyroscope ticks half a sample later and starts 3 s late: by row they would be 3.01 s apart.
  time_s = np.arange(1000) / 50
  (piece,) = _resampled(_tones(time_s, 2.0), _tones(time_s + 3.01, 2.0))
  assert piece.start_s == pytest.approx(3.01)
  both = piece.signal[10:-10]
  np.testing.assert_allclose(both[:, :3], both[:, 3:], atol=0.01)  # half a sample at 2 Hz would be 0.13
  np.testing.assert_allclose(both[:, 3:], _tones(_times(piece), 2.0).values[10:-10], atol=0.01)


def test_between_uneven_samples_the_signal_is_the_modified_akima_curve():
  rng = np.random.default_rng(0)
  time_s, values = (np.arange(300) + rng.uniform(0, 0.3, 300)) / 50, rng.normal(0, 9, (300, 3))
  (piece,) = _resampled(Samples(time_s, values), Samples(time_s, values))
  curve = scipy.interpolate.Akima1DInterpolator(time_s, values, method='makima')
  np.testing.assert_allclose(piece.signal[1:-1, :3], curve(_times(piece))[1:-1], atol=1e-4)


@pytest.mark.parametrize('rate_hz', [19.86, 25, 100, 187.5])
def test_gravity_is_kept_to_the_ends(rate_hz):
  gravity = np.tile([0.0, -3.0, 9.3], (int(30 * rate_hz), 1))
  samples = Samples(np.arange(len(gravity)) / rate_hz, gravity)
  (piece,) = _resampled(samples, samples)
  np.testing.assert_allclose(
    piece.signal[:, :3], np.tile([0.0, -3.0, 9.3], (len(piece.signal), 1)), atol=1e-5
  )


def test_gravity_is_kept_to_the_ends_when_the_posture_changes():
  time_s = np.arange(3000) / 100
  tilt = np.pi / 2 / (1 + np.exp(15.0 - time_s))  # from lying to standing within some seconds
  gravity = 9.8 * np.stack([np.sin(tilt), 0 * tilt, np.cos(tilt)], axis=1)
  (piece,) = _resampled(Samples(time_s, gravity), Samples(time_s, gravity))
  np.testing.assert_allclose(piece.signal[:, :3], gravity[::2], atol=0.01)


def test_rows_with_nan_are_dropped_counted_and_bridged():
  time_s = np.arange(1000) / 50
  acc = _tones(time_s, 1.0)
  acc.values[[100, 300, 301], [0, 1, 2]] = np.nan
  dropped = collections.Counter()
  (piece,) = _resampled(acc, _tones(time_s, 1.0), dropped)
  assert dropped == {'rows with NaN': 3}
  # A straight line over 60 ms misses a tone of 1 Hz by (2π · 0.06)² / 8 at most.
  np.testing.assert_allclose(piece.signal[5:-5, :3], _tones(_times(piece), 1.0).values[5:-5], atol=0.018)


@pytest.mark.parametrize('gap_s', [0.22, 0.26, 2.56])
@pytest.mark.parametrize('sensor', ['acc', 'gyro'])
def test_a_gap_over_200_ms_in_either_sensor_breaks_the_signal(sensor, gap_s):
  time_s = np.arange(1000) / 50
  before = time_s < 8.01
  broken = np.r_[time_s[before], time_s[before][-1] + gap_s + time_s[:500]]
  times = {'acc': time_s, 'gyro': time_s, sensor: broken}
  dropped = collections.Counter()
  pieces = _resampled(_tones(times['acc'], 1.0), _tones(times['gyro'], 1.0), dropped)
  assert dropped == {'gaps in a sensor longer than 0.2 s, cut out': 1}
  assert [_times(piece)[-1] for piece in pieces[:-1]] == pytest.approx([8.0])
  assert pieces[1].start_s == pytest.approx(8.0 + gap_s)
  for piece in pieces:
    np.testing.assert_allclose(piece.signal, np.tile(_tones(_times(piece), 1.0).values, 2), atol=1e-5)


@pytest.mark.parametrize('steps', [3, 9])
def test_a_gap_under_200_ms_of_3_steps_or_more_is_bridged_by_a_line(steps):
  time_s = np.arange(1000) / 50
  keep = np.ones(1000, bool)
  keep[401 : 400 + steps] = False  # 9 steps: 0.18 s
  # Steep before the gap and flat after it: a curve would overshoot.
  x = np.where(time_s <= 8.0, 20 * (time_s - 8.0), 6.0)
  values = np.stack([x, 0 * x, -x], axis=1)
  dropped = collections.Counter()
  (piece,) = _resampled(Samples(time_s[keep], values[keep]), _tones(time_s, 1.0), dropped)
  assert not dropped
  line = np.linspace(0, 6, steps + 1)
  np.testing.assert_allclose(
    piece.signal[400 : 401 + steps, [0, 2]], np.stack([line, -line], axis=1), atol=1e-5
  )


def test_a_gap_under_2_steps_is_bridged_by_a_curve():
  time_s = np.arange(1000) / 50
  lost = np.arange(20, 980, 20)
  early_s = time_s.copy()
  early_s[lost + 1] -= 0.002  # leaves a gap of 1.9 steps
  keep = np.ones(1000, bool)
  keep[lost] = False
  (piece,) = _resampled(_tones(early_s[keep], 3.0), _tones(time_s, 3.0))
  error = np.abs(piece.signal[lost, :3] - piece.signal[lost, 3:])
  assert error.max() < 0.04  # of a straight line: 0.07


@pytest.mark.parametrize(
  ('rate_hz', 'grid_hz'), [(25.2, 25), (25.3, 26), (24.6, 25), (50.4, 50), (50.6, 51), (99.6, 100)]
)
def test_the_grid_is_at_most_1_percent_slower_than_the_sensor(rate_hz, grid_hz, monkeypatch):
  import scipy.signal

  filtered = []

  def resample_poly(values, up, down, **options):
    filtered.append(down)
    return original(values, up, down, **options)

  original = scipy.signal.resample_poly
  monkeypatch.setattr(scipy.signal, 'resample_poly', resample_poly)
  samples = _tones(np.arange(500) / rate_hz, 1.0)
  _resampled(samples, samples)
  assert filtered == ([] if grid_hz == 50 else [grid_hz] * 2)


def test_bursts_of_rows_and_repeated_times_are_harmless():
  rng = np.random.default_rng(0)
  time_s = np.arange(2000) / 100
  time_s[500:520] = time_s[500] + np.arange(20) * 1e-5  # delivered at once
  time_s[800] = time_s[799]
  samples = Samples(time_s, 9.8 + rng.normal(0, 0.1, (2000, 3)))
  dropped = collections.Counter()
  (piece,) = _resampled(samples, samples, dropped)
  assert dropped == {'rows of a time already seen': 2}  # one in each sensor
  assert np.abs(piece.signal - 9.8).max() < 1


def test_a_clock_in_bursts_makes_no_grid_of_microseconds():
  row = np.arange(1000)
  bursts = Samples(0.2 * (row // 10) + 1e-6 * (row % 10), np.repeat(9.8, 3000).reshape(1000, 3))
  even = Samples(row / 50, bursts.values)
  dropped = collections.Counter()
  (piece,) = _resampled(bursts, even, dropped)
  assert dropped == {'pieces with a clock in bursts, put on an even one (kept)': 1}
  assert len(piece.signal) == pytest.approx(991, abs=1)
  np.testing.assert_allclose(piece.signal, 9.8, rtol=1e-5)


def test_a_last_tick_that_rounding_moves_past_the_last_sample_is_finite():
  time_s = np.arange(400) / 20
  time_s[-1] -= 1e-12
  keep = np.arange(400) != 7  # a lost sample, so that samples are interpolated
  samples = Samples(time_s[keep], np.full((399, 3), 9.8))
  (piece,) = _resampled(samples, samples)
  np.testing.assert_allclose(piece.signal, 9.8, rtol=1e-6)


def test_sensors_that_never_run_together_are_counted():
  time_s = np.arange(1000) / 50
  dropped = collections.Counter()
  assert _resampled(_tones(time_s, 1.0), _tones(time_s + 1e5, 1.0), dropped) == []
  assert dropped == {'recordings whose sensors do not overlap in time': 1}
  dropped = collections.Counter()
  assert _resampled(_tones(time_s, 1.0), _tones(time_s[:0], 1.0), dropped) == []
  assert dropped == {'recordings without samples of both sensors': 1}


def test_pieces_of_127_samples_are_counted_and_128_suffice():
  dropped = collections.Counter()
  tones = _tones(np.arange(127) / 50, 1.0)
  assert _resampled(tones, tones, dropped) == []
  assert dropped == {'unbroken pieces shorter than a window': 1}
  tones = _tones(1e6 + np.arange(128) / 50, 1.0)  # a time with few digits left
  (piece,) = _resampled(tones, tones)
  assert len(piece.signal) == 128


def test_a_time_that_falls_is_an_error_of_the_reader():
  time_s = np.arange(1000) / 50
  time_s[10] = 0
  with pytest.raises(ValueError, match='sort'):
    _resampled(_tones(time_s, 1.0), _tones(np.arange(1000) / 50, 1.0))


@pytest.mark.parametrize('rate_hz', [20, 25, 50, 100])
def test_samples_at_the_rate_of_windows_come_through_bit_for_bit(rate_hz):
  rng = np.random.default_rng(0)
  acc, gyro = rng.normal(0, 9, (2, 1000, 3)).astype(np.float32)
  recording = _recording(regular(acc, rate_hz), regular(gyro, rate_hz))
  (piece,) = resample(recording, collections.Counter(), Windowing(64, rate_hz))
  assert piece.start_s == 0
  np.testing.assert_array_equal(piece.signal, np.concatenate([acc, gyro], axis=1))


def test_windows_of_25_hz_keep_slow_tones_and_no_alias_of_fast_ones():
  time_s = np.arange(0, 40, 1 / 100)
  for frequency_hz, size in ((5.0, 1.0), (9.0, 1.0), (15.0, 0.0), (24.0, 0.0)):
    tones = _tones(time_s, frequency_hz)
    (piece,) = resample(_recording(tones, tones), collections.Counter(), Windowing(64, 25))
    middle = slice(100, -100)
    expected = size * _tones(piece.start_s + np.arange(len(piece.signal)) / 25, frequency_hz).values
    np.testing.assert_allclose(piece.signal[middle, :3], expected[middle], atol=0.01)


def test_a_piece_shorter_than_a_window_is_left_out_by_its_length_in_samples():
  acc = regular(np.zeros((200, 3)), 50.0)
  for samples, pieces in ((200, 1), (201, 0)):
    assert len(resample(_recording(acc, acc), collections.Counter(), Windowing(samples, 50))) == pieces
