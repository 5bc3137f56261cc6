"""Signed permutations of axes: their names, and what they do to both sensors."""

import itertools

import numpy as np
import pytest
import worn_device

from har_jax.errors import UserError
from har_jax.signal import frames, gyro_agreement


@pytest.mark.parametrize(
  ('text', 'channels', 'signs'),
  [
    ('flip', range(6), [-1, -1, -1, 1, 1, 1]),  # leaves the gyroscope alone
    ('-x,-y,z', range(6), [-1, -1, 1, -1, -1, 1]),  # a device upside down turns both sensors
    ('y,x,z,y,x,z', [1, 0, 2, 4, 3, 5], [1, 1, 1, 1, 1, 1]),  # each sensor has axes of its own
  ],
)
def test_a_frame_names_axes_of_both_sensors(text, channels, signs):
  signals, _ = worn_device.windows(0, count=2)
  assert np.array_equal(frames.parse(text)(signals), signals[..., list(channels)] * np.float32(signs))


@pytest.mark.parametrize('text', ['x,y,z', '-x,-y,-z', 'z,x,y', '-x,y,z,x,y,-z'])
def test_a_frame_is_written_as_it_is_read_or_with_three_axes_if_they_do(text):
  assert str(frames.parse(text)) == text
  assert str(frames.parse('x,y,z,x,y,z')) == 'x,y,z'
  assert str(frames.parse(text.replace(',', ', '))) == text


def test_one_frame_after_another_is_both():
  first, second = frames.parse('z,x,y'), frames.parse('-x,y,-z')
  signals, _ = worn_device.windows(0, count=2)
  assert np.array_equal(second.after(first)(signals), second(first(signals)))


@pytest.mark.parametrize('text', ['', 'flipped', 'x,y', 'x,x,z', 'x,y,w', '--x,y,z', 'x,y,z,x'])
def test_what_is_no_frame_is_named(text):
  with pytest.raises(UserError, match='the frame'):
    frames.parse(text)


# --- whether gravity rotates as the gyroscope says


SIGNALS, _ = worn_device.windows(0)
NEGATED, ROTATED = frames.parse('x,y,z,-x,-y,-z'), frames.parse('x,y,z,z,x,y')  # the gyroscope alone
BACK = frames.parse('y,z,x').acc  # the matrix that undoes ROTATED


def _checked(frame: str) -> gyro_agreement.Agreement:
  return gyro_agreement.check(frames.parse(frame)(SIGNALS), 50)


@pytest.mark.parametrize('frame', ['as_is', 'flip', 'y,x,z', '-x,-y,z'])
def test_a_frame_of_both_sensors_is_not_seen_by_the_gyroscope(frame):
  assert _checked(frame) == gyro_agreement.Agreement(is_known=True)


@pytest.mark.parametrize(
  ('frame', 'gyro'),
  [
    ('x,y,z,-x,-y,-z', '-x,-y,-z'),
    ('x,y,z,z,x,y', 'y,z,x'),
    ('y,x,z,y,x,z', '-x,-y,-z'),  # a mirror image: angular velocity has the other sense
    ('z,x,y,x,y,z', 'z,x,y'),
  ],
)
def test_axes_of_one_sensor_are_named(frame, gyro):
  agreement = _checked(frame)
  assert agreement.is_unique
  assert np.array_equal(agreement.gyro, frames.parse(gyro).acc)


def test_a_device_that_does_not_turn_tells_nothing():
  rng = np.random.default_rng(0)
  still = np.float32([0, 0, 9.8, 0, 0, 0]) + 0.1 * rng.standard_normal((60, 128, 6)).astype(np.float32)
  assert not gyro_agreement.check(still, 50).is_known


def test_squares_of_a_misfit_of_noise_and_of_the_bodys_acceleration_add_up():
  apart = np.array([[[3.0], [0.0], [4.0]]])
  expected = np.log(25 + 0.05**2 + (0.3 * 2) ** 2)  # 30 % of the body's 2 g
  np.testing.assert_allclose(gyro_agreement._log_lengths(apart, np.array([2.0])), [[expected]])


def test_eight_windows_in_which_gravity_moves_are_enough():
  halves = SIGNALS[..., :3].reshape(len(SIGNALS), 2, 64, 3).mean(axis=2)
  negated = NEGATED(SIGNALS[np.argsort(-np.linalg.norm(halves[:, 1] - halves[:, 0], axis=1))])
  assert gyro_agreement.check(negated[:7], 50) == gyro_agreement.Agreement()
  assert np.array_equal(gyro_agreement.check(negated[:8], 50).gyro, -np.eye(3))


def test_turns_about_the_vertical_tell_the_axes_where_gravity_hardly_moves():
  """Walking around corners: a quarter turn in each window; and a few windows in which the device tilts."""
  rng = np.random.default_rng(0)
  turning = np.float32([0, 0, 9.8, 0, 0, np.pi / 2 / 2.56]) + 0.01 * rng.standard_normal((40, 128, 6))
  tilting = worn_device.windows(0, count=2)[0]
  signals = np.concatenate([tilting, turning]).astype(np.float32)
  assert not gyro_agreement.check(tilting, 50).is_known
  assert gyro_agreement.check(signals, 50).gyro is None
  agreement = gyro_agreement.check(ROTATED(signals), 50)
  assert np.array_equal(agreement.gyro, BACK)


@pytest.mark.parametrize(('change_g', 'is_seen'), [(0.045, False), (0.06, True)])
def test_gravity_must_move_by_a_twentieth_between_the_halves_of_windows(change_g, is_seen):
  angle = change_g * np.linspace(-1, 1, 128)
  acc = 9.80665 * np.stack([0 * angle, np.sin(angle), np.cos(angle)], axis=1)
  gyro = np.stack([np.gradient(angle, 1 / 50), 0 * angle, 0 * angle], axis=1)
  agreement = gyro_agreement.check(np.tile(np.concatenate([acc, -gyro], axis=1), (40, 1, 1)), 50)
  assert (agreement.gyro is not None) == is_seen


def test_windows_of_impacts_do_not_hide_the_calm_ones():
  bounce = np.random.default_rng(0).normal(0, 8, (len(SIGNALS), 2, 1, 3)).repeat(64, axis=2)
  impacts = SIGNALS.copy()
  impacts[..., :3] += (bounce * np.sin(np.arange(64) / 5)[:, None] ** 2).reshape(-1, 128, 3)
  mixed = NEGATED(np.concatenate([impacts, SIGNALS]))
  assert np.array_equal(gyro_agreement.check(mixed, 50).gyro, -np.eye(3))


def test_a_recording_is_compared_with_the_axes_of_training():
  assert gyro_agreement.check(NEGATED(SIGNALS), 50, -np.eye(3)).gyro is None
  assert gyro_agreement.check(SIGNALS, 50, -np.eye(3)).gyro is not None


@pytest.mark.parametrize('rate_hz', [25, 100])
def test_agreement_does_not_depend_on_the_rate_of_windows(rate_hz):
  signals = SIGNALS.reshape(-1, 256, 6)  # so long that they last 2.56 s at twice their rate
  signals = signals[:, ::2] if rate_hz == 25 else signals.repeat(2, axis=1)
  assert gyro_agreement.check(signals, rate_hz).gyro is None
  assert gyro_agreement.check(signals, rate_hz).is_known
  assert gyro_agreement.check(ROTATED(signals), rate_hz).is_unique
  assert gyro_agreement.check(signals, 2 * rate_hz).factor == pytest.approx(2, rel=0.1)
  assert gyro_agreement.check(signals, rate_hz // 2).factor == pytest.approx(0.5, rel=0.1)
  assert gyro_agreement.check(signals, rate_hz).factor is None


def test_windows_of_an_odd_number_of_blocks_lose_the_last():
  signals = SIGNALS.reshape(-1, 256, 6)[:, :252]  # 63 blocks of four samples
  assert gyro_agreement.check(signals, 50) == gyro_agreement.Agreement(is_known=True)


def test_a_few_windows_tell_no_factor():
  signals = SIGNALS.reshape(-1, 256, 6)
  assert gyro_agreement.check(signals, 100).factor == pytest.approx(2, rel=0.1)
  assert gyro_agreement.check(ROTATED(signals), 100, BACK).factor == pytest.approx(2, rel=0.1)
  turning = signals[gyro_agreement._largest(gyro_agreement._blocks(signals, 100).change)]
  assert gyro_agreement.check(turning[:7], 100).factor is None


@pytest.mark.parametrize('blocks', [-4, 4])
def test_a_gyroscope_of_another_time_is_told_by_its_delay(blocks: int):
  signals = SIGNALS.reshape(3, -1, 6)  # of each activity in one piece
  late = signals.copy()
  late[..., 3:] = np.roll(signals[..., 3:], 4 * blocks, axis=1)
  late = late.reshape(-1, 128, 6)
  assert gyro_agreement.check(late, 50).late_s == pytest.approx(0.08 * blocks)
  assert gyro_agreement.check(ROTATED(late), 50, BACK).late_s == pytest.approx(0.08 * blocks)


def test_a_delay_at_another_rate_is_in_seconds():
  time_s = np.arange(1024) / 20  # blocks of a tenth of a second
  pieces = [
    np.stack([np.interp(time_s, np.arange(len(piece)) / 50, axis) for axis in piece.T], axis=1)
    for piece in SIGNALS.reshape(3, -1, 6)
  ]
  late = np.stack([np.c_[piece[:, :3], np.roll(piece[:, 3:], 6, axis=0)] for piece in pieces])
  windows = late[:, : 52 * 19].reshape(-1, 52, 6)
  assert gyro_agreement.check(windows, 20).late_s == pytest.approx(0.3)


def test_a_part_with_other_axes_is_told_from_a_recording_with_other_axes():
  signals = np.random.default_rng(0).permutation(SIGNALS)
  negated = NEGATED(signals)
  for part, (first, second) in itertools.product((20, 60, 100), [(signals, negated), (negated, signals)]):
    agreement = gyro_agreement.check(np.concatenate([first[:part], second[part:]]), 50)
    assert agreement.changes
    assert agreement.gyro is None


def _leg(late: int) -> np.ndarray:
  """A leg: the acceleration of its own swing, at 0.4 m from the hip, is as large as gravity's."""
  time_s = np.arange(3000) / 50
  phase = 2 * np.pi * 0.9 * time_s + np.sin(time_s / 5)
  angle = 0.5 * np.sin(phase) + 0.05 * np.sin(2.1 * phase)
  steps = np.random.default_rng(0).normal(0, 1.5, (3000, 3)) + 3 * np.sin(2 * phase + 1)[:, None] * [0, 1, 0]
  turn = np.stack([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
  rate, change = (np.gradient(part, 0.02) for part in (angle, np.gradient(angle, 0.02)))
  signal = np.zeros((3000, 6), np.float32)
  signal[:, :2] = np.einsum('tij,tj->ti', turn, steps[:, :2] + [0, 9.81])
  signal[:, :2] += 0.4 * np.stack([change, rate**2], axis=1)
  signal[:, 2], signal[:, 5] = steps[:, 2], np.roll(rate, 4 * late)
  return signal[: 23 * 128].reshape(-1, 128, 6)


@pytest.mark.parametrize('blocks', [0, -4, 4])
def test_a_delay_is_seen_in_swings_that_hide_gravity(blocks: int):
  agreement = gyro_agreement.check(_leg(blocks), 50)
  assert agreement.late_s == (pytest.approx(0.08 * blocks) if blocks else None)


def test_other_axes_are_seen_in_swings_that_hide_gravity():
  signals = _leg(0)
  assert gyro_agreement.check(signals, 50) == gyro_agreement.Agreement()
  agreement = gyro_agreement.check(NEGATED(signals), 50)
  assert agreement.gyro is not None
  assert not agreement.is_unique  # about which axis it swings, and which way
