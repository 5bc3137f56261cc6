"""A change of axes within a recording is found at its moment, and people's movements are none."""

import numpy as np
import pytest
import worn_device

from har_jax.signal import axes_change
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Samples, regular

_TURN = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])


def _recording(acc, gyro, rate_hz=worn_device.RATE_HZ) -> Recording:
  return Recording('me', '', regular(acc, rate_hz), regular(gyro, rate_hz), ())


def _find(*sensors):
  return axes_change.find([_recording(*sensors)])


def _changed(parts, first: int, matrix, last: int | None = None):
  """Both sensors with other axes from one sample to another."""
  changed = [part.copy() for part in parts]
  for part in changed:
    part[first:last] = part[first:last] @ matrix.T
  return changed


@pytest.fixture(scope='module')
def day():
  """Acceleration and angular velocity of eleven minutes of walking, and three of sitting."""
  signal = np.concatenate([worn_device.signal('walking', 660, 1), worn_device.signal('sitting', 180, 2)])
  return signal[:, :3], signal[:, 3:]


@pytest.fixture(scope='module')
def negated(day):
  """The day with negated acceleration from some moment on."""
  acc, gyro = day
  return np.concatenate([acc[:5000], -acc[5000:]]), gyro


@pytest.mark.slow
@pytest.mark.parametrize('matrix', [_TURN, np.diag([-1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, -1.0])])
@pytest.mark.parametrize('second', [100.0, 599.0, 601.0, 700.0])
def test_axes_of_both_sensors_that_change_are_found_at_their_moment(day, matrix, second):
  changed = _changed(day, round(second * worn_device.RATE_HZ), matrix)
  assert _find(*changed) == (0, pytest.approx(second, abs=0.5))


def test_acceleration_that_is_negated_from_some_moment_on_is_found(negated):
  assert _find(*negated) == (0, pytest.approx(100.0, abs=0.03))


def test_axes_that_change_in_a_run_are_found_by_its_movement(monkeypatch):
  rng, time_s = np.random.default_rng(0), np.arange(3000) / 25
  angle = 0.9 * np.sin(2 * np.pi * 1.4 * time_s)  # of an arm
  bounces = 9.8 * (1 + np.sin(2 * np.pi * 2.8 * time_s))
  acc = bounces[:, None] * np.stack([np.cos(angle), -np.sin(angle), np.zeros(3000)], axis=1)
  gyro = np.gradient(angle, time_s)[:, None] * [0, 0, 1]
  acc, gyro = acc + rng.normal(0, 2, acc.shape), gyro + rng.normal(0, 0.5, gyro.shape)
  assert _find(acc, gyro, 25) is None
  changed = _changed((acc, gyro), 1500, _TURN)
  assert _find(*changed, 25) == (0, pytest.approx(60.0, abs=0.5))
  monkeypatch.setattr(axes_change, '_OTHER_MOTION', np.inf)
  assert _find(*changed, 25) is None  # sample by sample, it is not seen


def test_no_change_is_found_in_a_recording_as_it_is_or_with_several(day):
  assert _find(*day) is None
  assert _find(*_changed(day, 10_000, _TURN, 20_000)) is None
  assert _find(*(part[:50] for part in day)) is None


def test_a_change_in_each_of_two_recordings_is_none(day, negated):
  plain, changed = _recording(*day), _recording(*negated)
  assert axes_change.find([plain, changed]) == (1, pytest.approx(100.0, abs=0.03))
  assert axes_change.find([changed, changed]) is None


def test_of_clear_changes_the_largest_is_the_one(day, monkeypatch):
  changes = [axes_change.Change(3.0, 1.5, True), axes_change.Change(9.0, 1.0, True)]
  monkeypatch.setattr(axes_change, '_changes_of_motion', lambda recording: iter(changes))
  pieces = [(2, 600.0, _recording(*(part[:500] for part in day)))]
  monkeypatch.setattr(axes_change, '_pieces', lambda recordings: pieces)
  assert _find(*day) == (2, 603.0)


def test_pieces_share_the_seconds_in_which_the_movement_on_both_sides_is_compared():
  whole = _recording(*np.zeros((2, 2800, 3)), rate_hz=2)  # 1,400 s
  pieces = [(number, start_s, len(part.acc.time_s)) for number, start_s, part in axes_change._pieces([whole])]
  assert pieces == [(0, 0.0, 1221), (0, 600.0, 1221), (0, 1200.0, 400)]


def test_samples_after_a_gap_tell_no_change(negated):
  def changes(lost: int) -> list[float]:
    acc, gyro = (part[4500:5500] for part in negated)
    time_s = np.arange(1000) / 50
    kept = np.delete(np.arange(1000), 500 + np.arange(lost))
    acc, gyro = Samples(time_s[kept], acc[kept]), Samples(time_s, gyro)
    found = axes_change._changes_of_samples(Recording('me', '', acc, gyro, ()))
    return [change.time_s for change in found if change.is_clear]

  assert changes(0) == [pytest.approx(10.0, abs=0.03)]
  assert not changes(3)


def test_movement_ends_with_the_sensor_that_ends_first(monkeypatch):
  lengths = []

  def covariances(motion, first, size):
    lengths.append(len(motion))
    return np.tile(np.eye(6), (*first.shape, 1, 1))

  monkeypatch.setattr(axes_change, '_covariances', covariances)
  acc, gyro = (regular(np.ones((samples, 3), np.float32), 50) for samples in (1000, 1500))
  for pair in ((acc, gyro), (gyro, acc)):
    assert not [*axes_change._changes_of_motion(Recording('me', '', *pair, ()))]
  assert lengths == [500, 500]  # 20 s of 0.04 s


@pytest.mark.parametrize(('others', 'is_seen'), [(0.45, False), (0.35, True)])  # of 1.6: 0.4 is a quarter
def test_movement_in_other_axes_must_fit_four_times_as_well(monkeypatch, others, is_seen):
  values = iter([1.6] + [others] * 100)
  monkeypatch.setattr(axes_change, '_divergence', lambda one, other: np.full(len(one), next(values)))
  monkeypatch.setattr(axes_change, '_with_gravity', lambda *args, **options: iter([args]))
  sensor = regular(np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32), 50)
  assert len([*axes_change._changes_of_motion(Recording('me', '', sensor, sensor, ()))]) == is_seen


@pytest.mark.parametrize('sign', [-1, 1])
def test_gravity_is_followed_through_a_turn_that_becomes_faster(sign):
  lag_s = np.arange(400) / 50 - 4
  angle, zero = 5 * lag_s**2, np.zeros(400)  # up to 11 rad
  acc = STANDARD_GRAVITY_M_S2 * np.stack([np.cos(angle), -np.sin(angle), zero], axis=1)
  gyro = np.stack([zero, zero, 10 * lag_s], axis=1)
  gravity_g = axes_change._gravity_g(_recording(acc, gyro), 4.0, sign)
  np.testing.assert_allclose(gravity_g, [1, 0, 0], atol=0.01)


def test_noise_is_that_of_the_second_before_and_after_without_the_moment_itself():
  values = np.zeros((400, 3), np.float32)
  values[200] = 9.8  # at 4.0 s; it moves the boundaries between samples 198 and 202
  boundaries = axes_change._boundaries(Samples(np.arange(400) / 50, values), 9.8, 0.01)
  assert (boundaries.before.max(), boundaries.before.min()) == (1.5, -0.5)
  is_noisy = boundaries.noise > 0.011
  np.testing.assert_allclose(boundaries.time_s[is_noisy][[0, -1]], [4 - 1.03, 4 + 1.03])
  is_quiet = ~is_noisy & (np.abs(boundaries.time_s - 4) < 1)
  np.testing.assert_allclose(boundaries.time_s[is_quiet], [3.97, 3.99, 4.01, 4.03])


@pytest.mark.parametrize('sign', [-1, 1])
@pytest.mark.parametrize(('lost', 'is_known'), [(8, True), (10, False)])  # gaps of 0.18 and 0.22 s
def test_gravity_next_to_a_moment_is_unknown_with_a_gap(sign, lost, is_known):
  time_s = np.delete(np.arange(400) / 50, 200 + 20 * sign + np.arange(lost))
  acc = Samples(time_s, np.tile(np.float32([0, 0, STANDARD_GRAVITY_M_S2]), (len(time_s), 1)))
  recording = Recording('me', '', acc, Samples(time_s, np.zeros_like(acc.values)), ())
  gravity_g = axes_change._gravity_g(recording, 4.0, sign)
  assert (gravity_g is not None) == is_known
  if gravity_g is not None:
    np.testing.assert_allclose(gravity_g, [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize(('after_g', 'is_clear'), [(-0.3, False), (-0.5, True)])  # 0.7 and 0.5 are left
def test_other_axes_must_explain_most_of_the_change_of_gravity(monkeypatch, after_g, is_clear):
  sides = {-1: np.array([1.0, 0, 0]), 1: np.array([after_g, 0, 0])}
  monkeypatch.setattr(axes_change, '_gravity_g', lambda recording, time_s, sign: sides[sign])
  recording, opposite = _recording(*np.zeros((2, 0, 3))), len(axes_change._ACC) - 1
  (change,) = axes_change._with_gravity(recording, 3.0, opposite, is_likely=True)
  assert change == (3.0, pytest.approx(-2 * after_g), is_clear)
