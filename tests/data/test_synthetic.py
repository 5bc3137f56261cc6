"""The made-up corpora obey mechanics, never change, and differ from one another as real ones do."""

import collections
import dataclasses
import time

import numpy as np
import pytest

from har_jax.data.archives import ARCHIVES
from har_jax.data.recording import LOCOMOTION, STANDARD_GRAVITY_M_S2
from har_jax.data.synthetic import Motion, corpus_recordings
from har_jax.data.synthetic_corpora import CORPORA
from har_jax.errors import UserError

NAMES = [corpus.name for corpus in CORPORA]


def a_motion(**changes) -> Motion:
  """Everything moves at once: large angles, all axes, an uneven beat."""
  rng = np.random.default_rng(0)
  stride = rng.normal(0, 0.15, (8, 6, 2)) @ (1, 1j)
  slow = rng.normal(0, 0.2, (8, 3, 2)) @ (1, 1j)
  motion = Motion(1.1, 0.7, stride, slow, np.array([0.3, -1.2, 0.5]), np.array([0.1, -0.2, 0.3]))
  return dataclasses.replace(motion, **changes)


def test_the_gyroscope_is_what_turns_gravity():
  motion, step_s = a_motion(), 1e-5
  time_s = np.linspace(0, 20, 500)
  change = (motion.gravity(time_s + step_s) - motion.gravity(time_s - step_s)) / (2 * step_s)
  expected = -np.cross(motion.angular_velocity(time_s), motion.gravity(time_s))
  assert np.abs(expected).max() > 5  # there is something to compare
  np.testing.assert_allclose(change, expected, atol=1e-4)


def test_gravity_keeps_its_length_while_the_body_turns():
  length = np.linalg.norm(a_motion().gravity(np.linspace(0, 20, 500)), axis=1)
  np.testing.assert_allclose(length, STANDARD_GRAVITY_M_S2, rtol=1e-12)


@pytest.mark.parametrize(
  ('posture', 'reads'),
  [
    ((0, 0, 0), (0, 0, 1)),
    ((0, np.pi / 2, 0), (-1, 0, 0)),
    ((np.pi / 2, 0, 0), (0, 1, 0)),
    ((0, 0, 1), (0, 0, 1)),
  ],
)
def test_a_device_at_rest_reads_plus_g_along_what_is_up(posture, reads):
  still = a_motion(
    stride=np.zeros((8, 6), complex), slow=np.zeros((8, 3), complex), posture_rad=np.array(posture, float)
  )
  force = still.specific_force(np.array([0.0, 1.0]))
  np.testing.assert_allclose(force, [np.array(reads) * STANDARD_GRAVITY_M_S2] * 2, atol=1e-9)
  np.testing.assert_allclose(still.angular_velocity(np.array([0.0, 1.0])), 0, atol=1e-12)


def test_an_upward_push_adds_to_gravity_whatever_the_posture():
  stride = np.zeros((8, 6), complex)
  stride[0, 5] = 3.0  # 3 cos(phase) upwards
  pushed = a_motion(stride=stride, slow=np.zeros((8, 3), complex))
  np.testing.assert_allclose(
    np.linalg.norm(pushed.specific_force(np.array([0.0])), axis=1), STANDARD_GRAVITY_M_S2 + 3, rtol=1e-9
  )


def test_a_steady_turn_pulls_inwards_by_omega_squared_times_radius():
  """Yaw = a·sin(phase) through its middle: the fastest moment, without angular acceleration."""
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


def test_nearly_still_recordings_agree_between_sensors_after_the_device_s_errors():
  """Standing at the chest: the accelerometer, smoothed, is gravity; its change is −ω × itself.

  What remains is noise, bias and sway's own acceleration: 0.01 rad/s turn 9.8 m/s² by 0.1 m/s² a second.
  """
  recording = next(
    r for r in corpus_recordings('synth_chest', subjects=1, seconds=25) if r.spans[0].activity == 'standing'
  )
  rate_hz = 100
  smooth = np.stack([np.convolve(a, np.ones(50) / 50, 'valid') for a in recording.acc.values.T], axis=1)
  turn = np.stack([np.convolve(a, np.ones(50) / 50, 'valid') for a in recording.gyro.values.T], axis=1)
  predicted = np.cumsum(-np.cross(turn, smooth) / rate_hz, axis=0)
  change = smooth[rate_hz:] - smooth[:-rate_hz]
  error = change - (predicted[rate_hz:] - predicted[:-rate_hz])
  assert np.abs(error).mean() < 0.1
  assert np.abs(error).mean() < 0.6 * np.abs(change).mean()  # the gyroscope explains most of what moves


@pytest.mark.parametrize('name', NAMES)
def test_a_corpus_is_the_same_to_the_byte_on_every_call(name):
  def content(subjects):
    return [
      (r.subject, r.spans, r.acc.time_s.tobytes(), r.acc.values.tobytes(), r.gyro.values.tobytes())
      for r in corpus_recordings(name, subjects=subjects, seconds=3)
    ]

  two = content(2)
  assert two == content(2)
  assert two[: len(two) // 2] == content(1)  # subjects do not depend on one another


@pytest.mark.parametrize('corpus', CORPORA, ids=NAMES)
def test_recordings_are_what_the_corpus_states(corpus):
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
    # A body that stays where it is: over 8 s mean force is gravity, up to bias, gain and turning.
    quiet = recording.spans[0].activity in ('sitting', 'standing', 'lying')
    if quiet:
      assert np.linalg.norm(recording.acc.values.mean(axis=0)) == pytest.approx(9.8, abs=1.2)


def test_corpora_differ_in_rate_place_and_labels():
  assert len(CORPORA) == 5
  assert len({corpus.rate_hz for corpus in CORPORA}) == 4
  assert len({corpus.position for corpus in CORPORA}) == 5
  labels = [frozenset(corpus.activities) for corpus in CORPORA]
  assert len(set(labels)) == 5
  assert all(5 <= len(those) <= 8 and those <= set(LOCOMOTION) for those in labels)
  assert len(frozenset.intersection(*labels)) >= 3  # enough in common for transfer


def test_subjects_differ_in_how_fast_they_walk():
  beats = []
  for recording in corpus_recordings('synth_waist', subjects=8, seconds=25):
    if recording.spans[0].activity == 'walking':
      force = np.linalg.norm(recording.acc.values, axis=1)
      spectrum = np.abs(np.fft.rfft(force - force.mean()))
      frequencies = np.fft.rfftfreq(len(force), 1 / 50)
      step = frequencies > 1.2  # below lie the stride and the sway
      beats.append(frequencies[step][spectrum[step].argmax()])
  by_subject = np.reshape(beats, (8, 2)).mean(axis=1)
  assert np.std(by_subject) > 0.1  # two runs of one subject average to 0.065 Hz of their own
  assert np.median(beats) == pytest.approx(1.84, abs=0.3)  # two steps in a stride of 0.92 Hz


def test_somebody_who_jumps_is_weightless_for_a_while():
  recording = next(
    r for r in corpus_recordings('synth_thigh', subjects=1, seconds=10) if r.spans[0].activity == 'jumping'
  )
  force = np.linalg.norm(recording.acc.values, axis=1)
  assert np.percentile(force, 15) < 6
  assert np.percentile(force, 95) > 15


def test_the_archive_table_holds_them_and_they_need_no_file():
  for corpus in CORPORA:
    archive = ARCHIVES[corpus.name]
    assert archive.address == ''
    assert archive.positions == (corpus.position,)
  dropped = collections.Counter()
  first = next(ARCHIVES['synth_wrist'].read(None, 'wrist', dropped))
  assert first.subject == '1'
  assert not dropped


def test_an_unknown_name_lists_the_corpora():
  with pytest.raises(UserError, match='synth_waist'):
    next(corpus_recordings('synth_hat'))


def test_all_five_are_made_in_seconds():
  start = time.process_time()  # a busy machine slows the clock on the wall
  windows = 0
  for name in NAMES:
    for recording in corpus_recordings(name, subjects=2):
      windows += (len(recording.acc.time_s) - 128) // 64
  assert time.process_time() - start < 5
  assert windows > 0
