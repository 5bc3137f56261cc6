"""Resampling pairs the sensors by time, keeps what the target rate can hold and lets nothing alias."""

import collections

import numpy as np
import pytest

from har_jax.data.recording import Recording, Samples, Span, regular
from har_jax.data.resample import MAX_GAP_S, resample

GAPS = f'gaps in a sensor longer than {MAX_GAP_S} s, cut out'


def _recording(acc: Samples, gyro: Samples) -> Recording:
  return Recording('1', 'waist', acc, gyro, (Span(0.0, 1e6, 'walking'),))


def _tones(time_s: np.ndarray, frequency_hz: float) -> Samples:
  """Three tones a third of a turn apart, each of amplitude 1."""
  phase = 2 * np.pi * frequency_hz * time_s[:, None] + 2 * np.pi / 3 * np.arange(3)
  return Samples(time_s, np.sin(phase))


def _resampled(acc: Samples, gyro: Samples, dropped=None):
  return resample(_recording(acc, gyro), collections.Counter() if dropped is None else dropped)


def _times(piece) -> np.ndarray:
  return piece.start_s + np.arange(len(piece.signal)) / 50


def test_samples_at_50_hz_on_one_clock_come_through_bit_for_bit():
  rng = np.random.default_rng(0)
  acc, gyro = rng.normal(0, 9, (2, 1000, 3)).astype(np.float32)
  (piece,) = _resampled(regular(acc, 50.0), regular(gyro, 50.0))
  assert piece.start_s == 0
  np.testing.assert_array_equal(piece.signal, np.concatenate([acc, gyro], axis=1))


def test_one_clock_but_another_start_comes_through_bit_for_bit_from_where_both_run():
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
  # On an even clock at an integer rate only the filter errs. On another clock modified Akima does: by 0.6 %
  # of a tone at a tenth of the rate, 4 % at a fifth, root mean square; 2.5 times that at the worst moment.
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


@pytest.mark.parametrize('rate_hz', [19.86, 25, 100, 187.5])
def test_gravity_is_kept_to_the_very_ends(rate_hz):
  gravity = np.tile([0.0, -3.0, 9.3], (int(30 * rate_hz), 1))
  samples = Samples(np.arange(len(gravity)) / rate_hz, gravity)
  (piece,) = _resampled(samples, samples)
  np.testing.assert_allclose(
    piece.signal[:, :3], np.tile([0.0, -3.0, 9.3], (len(piece.signal), 1)), atol=1e-5
  )


def test_gravity_is_kept_to_the_ends_where_the_posture_changed_between_them():
  time_s = np.arange(3000) / 100
  tilt = np.pi / 2 / (1 + np.exp(15.0 - time_s))  # lies, gets up within some seconds, stands
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


def test_a_long_gap_in_either_sensor_breaks_the_run_and_nothing_is_made_up_across_it():
  time_s = np.arange(1000) / 50
  hole = (time_s > 8) & (time_s < 8 + MAX_GAP_S + 0.05)
  dropped = collections.Counter()
  pieces = _resampled(_tones(time_s, 1.0), _tones(time_s[~hole], 1.0), dropped)
  assert dropped == {GAPS: 1}
  assert len(pieces) == 2
  assert _times(pieces[0])[-1] <= 8.0
  assert pieces[1].start_s >= 8 + MAX_GAP_S
  for piece in pieces:
    np.testing.assert_allclose(piece.signal, np.tile(_tones(_times(piece), 1.0).values, 2), atol=1e-5)


def test_a_short_gap_is_bridged_by_a_straight_line():
  time_s = np.arange(1000) / 50
  keep = np.ones(1000, bool)
  keep[401:409] = False  # 0.18 s from the last row before to the first after
  values = np.where(time_s[:, None] < 8.1, [0.0, 1.0, 2.0], [6.0, 1.0, -4.0])
  dropped = collections.Counter()
  (piece,) = _resampled(Samples(time_s[keep], values[keep]), _tones(time_s, 1.0), dropped)
  assert not dropped
  np.testing.assert_allclose(piece.signal[400:410, 0], np.linspace(0, 6, 10), atol=1e-5)


def test_bursts_of_rows_and_repeated_times_do_no_harm():
  rng = np.random.default_rng(0)
  time_s = np.arange(2000) / 100
  time_s[500:520] = time_s[500] + np.arange(20) * 1e-5  # delivered at once
  time_s[800] = time_s[799]
  samples = Samples(time_s, 9.8 + rng.normal(0, 0.1, (2000, 3)))
  dropped = collections.Counter()
  (piece,) = _resampled(samples, samples, dropped)
  assert dropped == {'rows of a time already seen': 2}  # one in each sensor
  assert np.abs(piece.signal - 9.8).max() < 1


def test_sensors_that_never_run_together_are_counted():
  time_s = np.arange(1000) / 50
  dropped = collections.Counter()
  assert _resampled(_tones(time_s, 1.0), _tones(time_s + 1e5, 1.0), dropped) == []
  assert dropped == {'recordings whose sensors do not overlap in time': 1}
  dropped = collections.Counter()
  assert _resampled(_tones(time_s, 1.0), _tones(time_s[:0], 1.0), dropped) == []
  assert dropped == {'recordings without samples of both sensors': 1}


def test_pieces_too_short_for_a_window_are_counted_and_128_samples_are_enough():
  dropped = collections.Counter()
  tones = _tones(np.arange(127) / 50, 1.0)
  assert _resampled(tones, tones, dropped) == []
  assert dropped == {'unbroken pieces shorter than a window': 1}
  tones = _tones(1e6 + np.arange(128) / 50, 1.0)  # a clock that is far along
  (piece,) = _resampled(tones, tones)
  assert len(piece.signal) == 128


def test_time_that_falls_is_the_readers_mistake():
  time_s = np.arange(1000) / 50
  time_s[10] = 0
  with pytest.raises(ValueError, match='sort'):
    _resampled(_tones(time_s, 1.0), _tones(np.arange(1000) / 50, 1.0))
