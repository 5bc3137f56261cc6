"""The synthetic corpora obey mechanics, are deterministic, and differ from each other as real ones do."""

import collections
import dataclasses

import numpy as np
import pytest

from har_jax.archives import ARCHIVES
from har_jax.archives.synthetic import CORPORA, Motion, corpus_recordings
from har_jax.errors import UserError
from har_jax.signal.recording import LOCOMOTION, STANDARD_GRAVITY_M_S2

NAMES = [corpus.name for corpus in CORPORA]


def a_motion(**changes) -> Motion:
  """All axes move at once, with large angles and an uneven beat."""
  rng = np.random.default_rng(0)
  stride = rng.normal(0, 0.15, (8, 6, 2)) @ (1, 1j)
  slow = rng.normal(0, 0.2, (8, 3, 2)) @ (1, 1j)
  motion = Motion(1.1, 0.7, stride, slow, np.array([0.3, -1.2, 0.5]), np.array([0.1, -0.2, 0.3]))
  return dataclasses.replace(motion, **changes)


def test_the_gyroscope_reads_the_rotation_of_gravity():
  motion, step_s = a_motion(), 1e-5
  time_s = np.linspace(0, 20, 500)
  change = (motion.gravity(time_s + step_s) - motion.gravity(time_s - step_s)) / (2 * step_s)
  expected = -np.cross(motion.angular_velocity(time_s), motion.gravity(time_s))
  assert np.abs(expected).max() > 5  # not trivial
  np.testing.assert_allclose(change, expected, atol=1e-4)


def test_gravity_has_a_constant_norm():
  length = np.linalg.norm(a_motion().gravity(np.linspace(0, 20, 500)), axis=1)
  np.testing.assert_allclose(length, STANDARD_GRAVITY_M_S2, rtol=1e-12)


@pytest.mark.parametrize(
  ('posture', 'up'),
  [
    ((0, 0, 0), (0, 0, 1)),
    ((0, np.pi / 2, 0), (-1, 0, 0)),
    ((np.pi / 2, 0, 0), (0, 1, 0)),
    ((0, 0, 1), (0, 0, 1)),
  ],
)
def test_a_device_at_rest_reads_plus_g_upward(posture, up):
  still = a_motion(
    stride=np.zeros((8, 6), complex), slow=np.zeros((8, 3), complex), posture_rad=np.array(posture, float)
  )
  force = still.specific_force(np.array([0.0, 1.0]))
  np.testing.assert_allclose(force, [np.array(up) * STANDARD_GRAVITY_M_S2] * 2, atol=1e-9)
  np.testing.assert_allclose(still.angular_velocity(np.array([0.0, 1.0])), 0, atol=1e-12)


def test_upward_acceleration_adds_to_gravity_in_any_posture():
  stride = np.zeros((8, 6), complex)
  stride[0, 5] = 3.0  # 3 cos(phase) upwards
  pushed = a_motion(stride=stride, slow=np.zeros((8, 3), complex))
  np.testing.assert_allclose(
    np.linalg.norm(pushed.specific_force(np.array([0.0])), axis=1), STANDARD_GRAVITY_M_S2 + 3, rtol=1e-9
  )


def test_centripetal_acceleration_is_omega_squared_times_radius():
  """At the middle of yaw = a·sin(phase) there is no angular acceleration."""
  stride = np.zeros((8, 6), complex)
  stride[0, 2] = -0.1j
  motion = a_motion(
    cycle_hz=1.0,
    drift_rad=0.0,
    stride=stride,
    slow=np.zeros((8, 3), complex),
    posture_rad=np.zeros(3),
    lever_m=np.array([0.5, 0, 0]),
  )
  omega = 0.1 * 2 * np.pi
  np.testing.assert_allclose(motion.angular_velocity(np.array([0.0])), [[0, 0, omega]], atol=1e-12)
  np.testing.assert_allclose(
    motion.specific_force(np.array([0.0])), [[-(omega**2) * 0.5, 0, STANDARD_GRAVITY_M_S2]], atol=1e-6
  )


def test_the_sensors_of_a_standing_person_agree():
  """The smoothed accelerometer reads gravity g, which changes by −ω × g.

  The error is noise, bias and the acceleration of sway: 0.01 rad/s rotate 9.8 m/s² by 0.1 m/s² per second.
  """
  recording = next(
    r for r in corpus_recordings('synth_chest', subjects=1, seconds=25) if r.spans[0].activity == 'standing'
  )
  rate_hz = 100
  smooth = np.stack([np.convolve(a, np.ones(50) / 50, 'valid') for a in recording.acc.values.T], axis=1)
  angular = np.stack([np.convolve(a, np.ones(50) / 50, 'valid') for a in recording.gyro.values.T], axis=1)
  predicted = np.cumsum(-np.cross(angular, smooth) / rate_hz, axis=0)
  change = smooth[rate_hz:] - smooth[:-rate_hz]
  error = change - (predicted[rate_hz:] - predicted[:-rate_hz])
  assert np.abs(error).mean() < 0.1
  assert np.abs(error).mean() < 0.6 * np.abs(change).mean()  # the gyroscope explains most of the change


@pytest.mark.parametrize('name', NAMES)
def test_a_corpus_is_deterministic(name):
  def content(subjects):
    return [
      (r.subject, r.spans, r.acc.time_s.tobytes(), r.acc.values.tobytes(), r.gyro.values.tobytes())
      for r in corpus_recordings(name, subjects=subjects, seconds=1)
    ]

  two = content(2)
  assert two == content(2)
  assert two[: len(two) // 2] == content(1)  # independent of the number of subjects


@pytest.mark.parametrize('corpus', CORPORA, ids=NAMES)
def test_recordings_match_the_parameters_of_their_corpus(corpus):
  recordings = list(corpus_recordings(corpus.name, subjects=2, seconds=8))
  assert {r.position for r in recordings} == {corpus.position}
  assert collections.Counter(s.activity for r in recordings for s in r.spans) == dict.fromkeys(
    corpus.activities, 4
  )
  for recording in recordings:
    for samples in (recording.acc, recording.gyro):
      assert samples.values.dtype == np.float32
      assert np.isfinite(samples.values).all()
      assert (np.diff(samples.time_s) >= 0).all()
      assert len(samples.time_s) / 8 == pytest.approx(corpus.rate_hz, rel=0.05)
      assert 0 <= samples.time_s[0] < 0.2
    assert np.abs(recording.acc.values).max() <= corpus.acc_range_m_s2
    # A body at rest: mean force over 8 s is gravity, up to bias, gain and rotation.
    if recording.spans[0].activity in ('sitting', 'standing', 'lying'):
      assert np.linalg.norm(recording.acc.values.mean(axis=0)) == pytest.approx(9.8, abs=1.2)


def test_corpora_differ_in_rate_position_and_activities():
  assert len(CORPORA) == 5
  assert len({corpus.rate_hz for corpus in CORPORA}) == 4
  assert len({corpus.position for corpus in CORPORA}) == 5
  activities = [frozenset(corpus.activities) for corpus in CORPORA]
  assert len(set(activities)) == 5
  assert all(5 <= len(each) <= 8 and each <= set(LOCOMOTION) for each in activities)
  assert len(frozenset.intersection(*activities)) >= 3  # enough in common for transfer


def test_subjects_differ_in_their_step_rate():
  step_hz = []
  for recording in corpus_recordings('synth_waist', subjects=8, seconds=25):
    if recording.spans[0].activity == 'walking':
      force = np.linalg.norm(recording.acc.values, axis=1)
      spectrum = np.abs(np.fft.rfft(force - force.mean()))
      frequencies = np.fft.rfftfreq(len(force), 1 / 50)
      above = frequencies > 1.2  # above the stride and the sway
      step_hz.append(frequencies[above][spectrum[above].argmax()])
  subject_hz = np.reshape(step_hz, (8, 2)).mean(axis=1)
  assert np.std(subject_hz) > 0.1  # recordings of one subject contribute 0.065 Hz
  assert np.median(step_hz) == pytest.approx(1.84, abs=0.3)  # two steps per stride of 0.92 Hz


def test_jumping_has_free_fall_and_impacts():
  recording = next(
    r for r in corpus_recordings('synth_thigh', subjects=1, seconds=10) if r.spans[0].activity == 'jumping'
  )
  force = np.linalg.norm(recording.acc.values, axis=1)
  assert np.percentile(force, 15) < 6
  assert np.percentile(force, 95) > 15


def test_corpora_are_archives_without_files():
  for corpus in CORPORA:
    archive = ARCHIVES[corpus.name]
    assert archive.url == ''
    assert archive.positions == (corpus.position,)
  dropped = collections.Counter()
  first = next(ARCHIVES['synth_wrist'].read(None, 'wrist', dropped))
  assert first.subject == '1'
  assert not dropped


def test_an_unknown_name_lists_the_corpora():
  with pytest.raises(UserError, match='synth_waist'):
    next(corpus_recordings('synth_hat'))
