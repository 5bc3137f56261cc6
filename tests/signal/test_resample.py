"""Resampling pairs the sensors by time, keeps what the target rate can hold and lets nothing alias."""

import collections

import numpy as np
import pytest
import scipy.interpolate

from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.datasets import normalization
from har_jax.signal import physics
from har_jax.signal.cutting import resample
from har_jax.signal.recording import Recording, Samples, Span, regular

TIME_S = np.arange(1000) / 50


def _tones(time_s: np.ndarray, frequency_hz: float = 1.0) -> Samples:
  """Three tones a third of a turn apart, each of amplitude 1."""
  phase = 2 * np.pi * frequency_hz * time_s[:, None] + 2 * np.pi / 3 * np.arange(3)
  return Samples(time_s, np.sin(phase))


def _resampled(acc: Samples, gyro: Samples | None = None, dropped=None, windowing=DEFAULT_WINDOWING):
  """Pieces of both sensors, by default of one twice. dropped: what must be counted as left out."""
  recording = Recording('1', 'waist', acc, acc if gyro is None else gyro, (Span(0.0, 1e6, 'walking'),))
  counted: collections.Counter[str] = collections.Counter()
  pieces = resample(recording, counted, windowing)
  assert dropped is None or counted == dropped
  return pieces


def _times(piece, rate_hz: int = 50) -> np.ndarray:
  return piece.start_s + np.arange(len(piece.signal)) / rate_hz


def test_a_later_start_on_one_clock_keeps_bits_from_where_both_run():
  values = np.random.default_rng(0).normal(0, 9, (1000, 3)).astype(np.float32)
  (piece,) = _resampled(regular(values, 50.0), Samples(TIME_S + 5 / 50, values))
  assert piece.start_s == pytest.approx(0.1)
  np.testing.assert_array_equal(piece.signal, np.concatenate([values[5:], values[:-5]], axis=1))


@pytest.mark.parametrize(
  ('rate_hz', 'windows_hz', 'frequency_hz', 'size', 'ends', 'bound'),
  # On an even clock at an integer rate only the filter errs. On other clocks modified Akima does: its RMS
  # error is 0.6 % of a tone at a tenth of the rate, 4 % at a fifth; the largest error is 2.5 times that.
  [
    (25, 50, 5.0, 1, 25, 0.005),
    (128, 50, 20.0, 1, 25, 0.005),
    (200, 50, 5.0, 1, 25, 0.005),
    (19.86, 50, 2.0, 1, 25, 0.03),
    (51.3, 50, 5.0, 1, 25, 0.02),
    (50, 50, 20.0, 1, 25, 1e-6),
    (100, 50, 5.0, 1, 50, 0.005),
    (100, 50, 30.0, 0, 50, 0.005),  # decimated without a filter it would be a 20 Hz tone of amplitude 1
    *((100, 25, frequency_hz, size, 100, 0.01) for frequency_hz, size in ((5, 1), (9, 1), (15, 0), (24, 0))),
  ],
)
def test_a_tone_keeps_its_amplitude_and_phase_or_vanishes(
  rate_hz, windows_hz, frequency_hz, size, ends, bound
):
  tones = _tones(np.arange(int(40 * rate_hz)) / rate_hz, frequency_hz)
  (piece,) = _resampled(tones, windowing=Windowing(64, windows_hz))
  expected = size * _tones(_times(piece, windows_hz), frequency_hz).values
  np.testing.assert_allclose(piece.signal[ends:-ends, :3], expected[ends:-ends], atol=bound)
  assert len(piece.signal) == pytest.approx(40 * windows_hz, abs=5)


def test_sensors_pair_by_time_not_by_row():
  # The gyroscope ticks half a sample later and starts 3 s late: by row they would be 3.01 s apart.
  (piece,) = _resampled(_tones(TIME_S, 2.0), _tones(TIME_S + 3.01, 2.0))
  assert piece.start_s == pytest.approx(3.01)
  both = piece.signal[10:-10]
  np.testing.assert_allclose(both[:, :3], both[:, 3:], atol=0.01)  # half a sample at 2 Hz would be 0.13
  np.testing.assert_allclose(both[:, 3:], _tones(_times(piece), 2.0).values[10:-10], atol=0.01)


def test_between_uneven_samples_the_signal_is_the_modified_akima_curve():
  rng = np.random.default_rng(0)
  time_s, values = (np.arange(300) + rng.uniform(0, 0.3, 300)) / 50, rng.normal(0, 9, (300, 3))
  (piece,) = _resampled(Samples(time_s, values))
  curve = scipy.interpolate.Akima1DInterpolator(time_s, values, method='makima')
  np.testing.assert_allclose(piece.signal[1:-1, :3], curve(_times(piece))[1:-1], atol=1e-4)


@pytest.mark.parametrize(
  ('rate_hz', 'rises', 'bound'),
  [(19.86, 0, 1e-5), (25, 0, 1e-5), (100, 0, 1e-5), (187.5, 0, 1e-5), (100, 1, 0.01)],
)
def test_gravity_is_kept_to_the_ends_also_when_the_posture_changes(rate_hz, rises, bound):
  def gravity(time_s: np.ndarray) -> np.ndarray:
    tilt = rises * np.pi / 2 / (1 + np.exp(15.0 - time_s))  # from lying to standing within some seconds
    return 9.8 * np.stack([np.sin(tilt), np.full_like(tilt, -0.3), np.cos(tilt)], axis=1)

  time_s = np.arange(int(30 * rate_hz)) / rate_hz
  (piece,) = _resampled(Samples(time_s, gravity(time_s)))
  np.testing.assert_allclose(piece.signal[:, :3], gravity(_times(piece)), atol=bound)


def test_rows_with_nan_are_dropped_counted_and_bridged():
  acc = _tones(TIME_S)
  acc.values[[100, 300, 301], [0, 1, 2]] = np.nan
  (piece,) = _resampled(acc, _tones(TIME_S), {'rows with NaN': 3})
  # A straight line over 60 ms misses a tone of 1 Hz by (2π · 0.06)² / 8 at most.
  np.testing.assert_allclose(piece.signal[5:-5, :3], _tones(_times(piece)).values[5:-5], atol=0.018)


@pytest.mark.parametrize(
  ('sensor', 'impossible'), [(0, 1e30), (1, 1e30), (0, [491.0, -491.0]), (1, [88.0, -88.0])]
)
def test_impossible_cells_cost_their_row_and_leave_the_sensor_as_it_was(sensor, impossible):
  both = np.random.default_rng(0).normal(0, 2, (2, 8000, 3)).astype(np.float32)
  (clean,) = _resampled(*(regular(values, 50) for values in both))
  both[sensor, 4000, 1:] = impossible
  dropped = {f'values {physics.RULE}, taken as NaN': 2, 'rows with NaN': 1}
  (piece,) = _resampled(*(regular(values, 50) for values in both), dropped)
  assert np.count_nonzero((piece.signal != clean.signal).any(axis=1)) == 1
  before, after = (normalization.fit(each.signal[None]).deviation for each in (clean, piece))
  np.testing.assert_allclose(after, before, rtol=1e-3)


@pytest.mark.parametrize('gap_s', [0.22, 0.26, 2.56])
@pytest.mark.parametrize('sensor', [0, 1])
def test_a_gap_over_200_ms_in_either_sensor_breaks_the_signal(sensor, gap_s):
  before = TIME_S[TIME_S < 8.01]
  times = [TIME_S, TIME_S]
  times[sensor] = np.r_[before, before[-1] + gap_s + TIME_S[:500]]
  pieces = _resampled(*map(_tones, times), {'gaps in a sensor longer than 0.2 s, cut out': 1})
  assert [_times(piece)[-1] for piece in pieces[:-1]] == pytest.approx([8.0])
  assert pieces[1].start_s == pytest.approx(8.0 + gap_s)
  for piece in pieces:
    np.testing.assert_allclose(piece.signal, np.tile(_tones(_times(piece)).values, 2), atol=1e-5)


def test_samples_before_a_gap_do_not_shape_the_curve_after_it():
  rng = np.random.default_rng(0)
  time_s, values = TIME_S + rng.uniform(0, 0.006, 1000), rng.normal(0, 9, (1000, 3))
  time_s[500:] += 0.3
  before, after = _resampled(Samples(time_s, values))
  (alone,) = _resampled(Samples(time_s[500:], values[500:]))
  assert after.start_s == time_s[500]
  np.testing.assert_array_equal(after.signal, alone.signal)
  (alone,) = _resampled(Samples(time_s[:500], values[:500]))
  np.testing.assert_array_equal(before.signal, alone.signal)


def test_a_sample_that_comes_late_is_where_it_was_measured():
  time_s = TIME_S.copy()
  time_s[500] += 0.0008  # too little for the mean of all to tell
  (piece,) = _resampled(Samples(time_s, 5 * time_s[:, None] + np.zeros(3)))
  np.testing.assert_allclose(piece.signal[500], 50.0, atol=1e-4)


@pytest.mark.parametrize('steps', [3, 9])
def test_a_gap_under_200_ms_of_3_steps_or_more_is_bridged_by_a_line(steps):
  rows = np.delete(np.arange(1000), np.s_[401 : 400 + steps])  # 9 steps: 0.18 s
  # Steep before the gap and flat after it: a curve would overshoot.
  x = np.where(TIME_S <= 8.0, 20 * (TIME_S - 8.0), 6.0)
  values = np.stack([x, 0 * x, -x], axis=1)
  (piece,) = _resampled(Samples(TIME_S[rows], values[rows]), _tones(TIME_S), {})
  line = np.linspace(0, 6, steps + 1)
  bridge = piece.signal[400 : 401 + steps, [0, 2]]
  np.testing.assert_allclose(bridge, np.stack([line, -line], axis=1), atol=1e-5)


def test_a_gap_under_2_steps_is_bridged_by_a_curve():
  lost = np.arange(20, 980, 20)
  early_s = TIME_S.copy()
  early_s[lost + 1] -= 0.002  # leaves a gap of 1.9 steps
  (piece,) = _resampled(_tones(np.delete(early_s, lost), 3.0), _tones(TIME_S, 3.0))
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
  # Lost rows, by which the mean rate is a tenth lower, change no grid.
  _resampled(_tones(np.delete(np.arange(500), np.s_[5:495:10]) / rate_hz))
  assert filtered == ([] if grid_hz == 50 else [grid_hz] * 2)


def test_bursts_of_rows_and_repeated_times_are_harmless():
  time_s = np.arange(2000) / 100
  time_s[500:520] = time_s[500] + np.arange(20) * 1e-5  # delivered at once
  time_s[800] = time_s[799]
  samples = Samples(time_s, 9.8 + np.random.default_rng(0).normal(0, 0.1, (2000, 3)))
  (piece,) = _resampled(samples, dropped={'rows of a time already seen': 2})  # one in each sensor
  assert np.abs(piece.signal - 9.8).max() < 1


def test_a_clock_in_bursts_makes_no_grid_of_microseconds(monkeypatch):
  monkeypatch.delattr('scipy.signal.resample_poly')  # the even clock has nearly 50 Hz: nothing is filtered
  row = np.arange(1000)
  last_s = 0.2 * 99 + 9e-5
  values = np.linspace(0, last_s, 1000)[:, None] + np.zeros(3)  # of each sample, its time on the even clock
  bursts = Samples(0.2 * (row // 10) + 1e-5 * (row % 10), values)
  reason = 'pieces with a clock in bursts, put on an even one (kept)'
  (piece,) = _resampled(bursts, Samples(TIME_S, TIME_S[:, None] + np.zeros(3)), {reason: 1})
  assert len(piece.signal) == pytest.approx(991, abs=1)
  np.testing.assert_allclose(piece.signal, _times(piece)[:, None] + np.zeros(6), atol=1e-5)


def test_a_last_tick_that_rounding_moves_past_the_last_sample_is_finite():
  time_s = np.arange(400) / 20
  time_s[-1] -= 1e-12
  time_s = np.delete(time_s, 7)  # a lost sample, so that samples are interpolated
  (piece,) = _resampled(Samples(time_s, np.full((399, 3), 9.8)))
  np.testing.assert_allclose(piece.signal, 9.8, rtol=1e-6)


@pytest.mark.parametrize(
  ('acc_s', 'gyro_s', 'samples', 'reason'),
  [
    (TIME_S, TIME_S + 1e5, 128, 'recordings whose sensors do not overlap in time'),
    (TIME_S + 1e5, TIME_S, 128, 'recordings whose sensors do not overlap in time'),
    (TIME_S, TIME_S[:0], 128, 'recordings without samples of both sensors'),
    (TIME_S[:127], TIME_S[:127], 128, 'unbroken pieces shorter than a window'),
    (1e6 + TIME_S[:128], 1e6 + TIME_S[:128], 128, ''),  # a time with few digits left
    (TIME_S[:200], TIME_S[:200], 201, 'unbroken pieces shorter than a window'),
    (TIME_S[:200], TIME_S[:200], 200, ''),
  ],
)
def test_what_gives_no_piece_is_counted_by_its_reason(acc_s, gyro_s, samples, reason):
  dropped = {reason: 1} if reason else {}
  pieces = _resampled(_tones(acc_s), _tones(gyro_s), dropped, Windowing(samples, 50))
  assert [len(piece.signal) for piece in pieces] == [samples] * (not reason)


def test_a_time_that_falls_is_an_error_of_the_reader():
  time_s = TIME_S.copy()
  time_s[10] = 0
  with pytest.raises(ValueError, match='sort'):
    _resampled(_tones(time_s), _tones(TIME_S))


@pytest.mark.parametrize('rate_hz', [20, 25, 50, 100])
def test_samples_at_the_rate_of_windows_come_through_bit_for_bit(rate_hz):
  acc, gyro = np.random.default_rng(0).normal(0, 9, (2, 1000, 3)).astype(np.float32)
  (piece,) = _resampled(regular(acc, rate_hz), regular(gyro, rate_hz), {}, Windowing(64, rate_hz))
  assert piece.start_s == 0
  np.testing.assert_array_equal(piece.signal, np.concatenate([acc, gyro], axis=1))
