"""Rotation of a recording by the gravity of its gait."""

import numpy as np
import pytest
from made_gait import LYING, STANDING, UPRIGHT, WALKING, random_rotation, recording

from har_jax.data import alignment

TURNS = [random_rotation(np.random.default_rng(seed)) for seed in range(4)]


@pytest.fixture(scope='module')
def two() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Windows, labels and subjects; the second subject wears the device otherwise."""
  rng = np.random.default_rng(0)
  parts = [recording(rng, TURNS[subject]) for subject in range(2)]
  windows, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
  return windows, labels, np.repeat([0, 1], len(labels) // 2)


def gravity(windows: np.ndarray) -> np.ndarray:
  mean = windows[..., :3].mean(axis=(0, 1), dtype=np.float64)
  return mean / np.linalg.norm(mean)


def test_only_rhythmic_movement_is_gait(two):
  windows, labels, _ = two
  np.testing.assert_array_equal(alignment.is_gait(windows), labels == WALKING)
  rng = np.random.default_rng(1)
  shaken = windows[labels == STANDING] + np.float32([0, 0, 0, 0, 0, 0])
  shaken[..., :3] += 3 * rng.standard_normal(shaken[..., :3].shape).astype(np.float32)
  assert not alignment.is_gait(shaken).any()
  assert alignment.is_gait(windows[:0]).shape == (0,)


def test_gravity_of_gait_is_that_of_the_upright_body(two):
  windows, _, subjects = two
  found = alignment.gait_gravity(windows[subjects == 1])
  np.testing.assert_allclose(found, TURNS[1] @ UPRIGHT, atol=0.01)


def test_without_enough_gait_or_without_gravity_there_is_no_direction(two):
  windows, labels, subjects = two
  few = np.flatnonzero((labels == WALKING) & (subjects == 0))[: alignment.FEWEST_WINDOWS - 1]
  assert alignment.gait_gravity(windows[few]) is None
  assert alignment.direction(np.tile([[9.8, 0, 0], [-9.8, 0, 0]], (5, 1))) is None


@pytest.mark.parametrize('onto', [TURNS[0][0], np.array([0.0, 0, 1]), -TURNS[1][0]])
@pytest.mark.parametrize('start', [TURNS[1][0], TURNS[2][0], np.array([0.0, 0, -1])])
def test_a_rotation_turns_one_direction_onto_another(start: np.ndarray, onto: np.ndarray):
  turn = alignment.rotation(start, onto)
  np.testing.assert_allclose(turn @ start, onto, atol=1e-9)
  np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
  assert np.linalg.det(turn) == pytest.approx(1)
  if start @ onto > -0.9:  # the smallest one: its angle is that between the directions
    assert np.trace(turn) == pytest.approx(1 + 2 * start @ onto)


def test_a_phone_upside_down_is_turned_about_its_screen():
  turn = alignment.rotation(-UPRIGHT, UPRIGHT)
  np.testing.assert_allclose(turn, np.diag([-1.0, -1, 1]), atol=1e-9)


def test_subjects_are_aligned_to_those_of_the_train_part(two):
  windows, labels, subjects = two
  aligned = alignment.align(windows, subjects, fitted_on=np.flatnonzero(subjects == 0))
  np.testing.assert_array_equal(aligned[subjects == 0].round(4), windows[subjects == 0].round(4))
  for subject in range(2):
    kept = (subjects == subject) & (labels == WALKING)
    np.testing.assert_allclose(gravity(aligned[kept]), TURNS[0] @ UPRIGHT, atol=0.01)
  # Both sensors turn alike, and lengths stay.
  for sensor in (slice(3), slice(3, 6)):
    lengths = [np.linalg.norm(each[..., sensor], axis=-1) for each in (aligned, windows)]
    np.testing.assert_allclose(*lengths, rtol=1e-4, atol=1e-5)
  lying = (labels == LYING) & (subjects == 1)
  assert abs(gravity(aligned[lying]) @ gravity(windows[(labels == WALKING) & (subjects == 0)])) < 0.05


def test_the_most_central_direction_is_one_of_them():
  directions = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0, 0, 1]])
  np.testing.assert_array_equal(alignment.most_central(directions), directions[0])


def test_a_subject_without_gait_stays_as_it_is(two):
  windows, labels, subjects = two
  still = (subjects == 0) | (labels != WALKING)
  aligned = alignment.align(windows[still], subjects[still], fitted_on=np.arange(5))
  np.testing.assert_array_equal(aligned[subjects[still] == 1], windows[still][subjects[still] == 1])
