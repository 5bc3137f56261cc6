"""What a card keeps of the training windows."""

import dataclasses
import json
from typing import Any

import made_people
import msgspec
import numpy as np
import pytest
import worn_device
from scipy import stats

from har_jax import records
from har_jax.config import Protocol
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Sources
from har_jax.errors import UserError
from har_jax.signal.summary import Gravity, SignalSummary, draw_evenly, summarize

SIGNALS, ACTIVITIES = worn_device.windows(0)
SUMMARY = summarize(SIGNALS, ACTIVITIES.tolist(), 50)


def test_gravity_is_kept_by_activity_in_g():
  assert [gravity.activity for gravity in SUMMARY.gravity] == sorted(worn_device.ACTIVITIES)
  walking = SUMMARY.gravity[2]
  means = SIGNALS[ACTIVITIES == 'walking', :, :3].mean(axis=1) / 9.80665
  assert walking.windows == 40
  assert np.allclose(walking.mean, means.mean(axis=0), atol=1e-3)
  assert np.allclose(walking.covariance[0], np.var(means[:, 0], ddof=1), atol=1e-3)
  assert (SUMMARY.has_gravity, SUMMARY.has_gyro, SUMMARY.gyro_axes) == (True, True, 'x,y,z')
  np.testing.assert_array_equal(dataclasses.replace(SUMMARY, gyro_axes='-x,-y,-z').gyro_matrix, -np.eye(3))


def test_gravity_is_kept_by_position_with_the_covariance_of_four_windows_or_more():
  means_g = np.random.default_rng(0).normal(0, 1, (9, 3))
  signals = np.zeros((9, 4, 6), np.float32)
  signals[..., :3] = 9.80665 * means_g[:, None]
  places = ['leg'] * 5 + ['arm'] * 4
  arm, leg = summarize(signals, ['walking'] * 9, 50, places).gravity
  assert (arm.position, arm.windows, leg.position, leg.windows) == ('arm', 4, 'leg', 5)
  for entry, own in ((arm, means_g[5:]), (leg, means_g[:5])):
    np.testing.assert_allclose(entry.mean, own.mean(axis=0), atol=6e-4)
    np.testing.assert_allclose(entry.covariance, np.cov(own.T)[np.triu_indices(3)], atol=6e-4)
  (few,) = summarize(signals[:3], ['sitting'] * 3, 50).gravity
  assert few.covariance == (0.0,) * 6


def test_the_gyroscope_is_compared_at_the_rate_of_the_windows_evenly_over_all():
  assert (
    summarize(SIGNALS[:, ::2], ACTIVITIES.tolist(), 25).gyro_axes == 'x,y,z'
  )  # at 50 Hz, too short to tell
  many = np.arange(5000.0)[:, None, None] + np.zeros((1, 6))
  np.testing.assert_array_equal(draw_evenly(many), many[::2])
  np.testing.assert_array_equal(draw_evenly(many[:1999]), many[:1999])


def test_a_covariance_that_no_windows_have_is_refused():
  Gravity('walking', 'waist', 3, (0.0, 0.0, 1.0), (0.1, 0.1, 0.0, 0.1, 0.0, 0.0))  # they lie in a plane
  with pytest.raises(ValueError, match='a covariance is not positive'):
    Gravity('walking', 'waist', 3, (0.0, 0.0, 1.0), (0.1, 0.2, 0.0, 0.1, 0.0, 0.1))


def test_acceleration_without_gravity_is_seen():
  linear = SIGNALS - SIGNALS.mean(axis=1, keepdims=True)
  assert not summarize(linear, ACTIVITIES.tolist(), 50).has_gravity


def test_rotation_about_one_axis_is_rotation():
  for axis in range(6):
    still = SIGNALS * (np.arange(6) == axis)
    assert summarize(still, ACTIVITIES.tolist(), 50).has_gyro == (axis > 2)


def test_the_means_of_training_are_more_likely_than_their_opposites():
  means = np.array([gravity.mean for gravity in SUMMARY.gravity])
  assert (SUMMARY.log_likelihood(means) > SUMMARY.log_likelihood(-means) + 2).all()


def test_the_likelihood_is_a_mixture_in_which_rare_activities_weigh_more_than_their_windows():
  gravity = (
    Gravity('lying', 'waist', 90, (1.0, 0.0, 0.0), (0.01, 0.005, 0.0, 0.02, 0.0, 0.03)),
    Gravity('standing', 'waist', 10, (0.0, 1.0, 0.0), (0.0,) * 6),
  )
  summary = dataclasses.replace(SUMMARY, gravity=gravity)
  means = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]])
  person = 0.25**2 * np.eye(3)
  lying = person + np.array([[0.01, 0.005, 0.0], [0.005, 0.02, 0.0], [0.0, 0.0, 0.03]])
  # Half the fraction of the windows and half an equal part; 2 % anywhere in the unit ball.
  expected = (
    0.98 * (0.9 + 0.5) / 2 * stats.multivariate_normal([1, 0, 0], lying).pdf(means)
    + 0.98 * (0.1 + 0.5) / 2 * stats.multivariate_normal([0, 1, 0], person).pdf(means)
    + 0.02 / (4 / 3 * np.pi)
  )
  np.testing.assert_allclose(np.exp(summary.log_likelihood(means)), expected)


def test_positions_of_two_sources_are_apart(tmp_path):
  for name in ('one', 'other'):
    made_people.save_windows(tmp_path / name, ('waist', 'wrist'))
  names = {'walking': 'walks', 'sitting': 'sits'}
  summary = Sources(Datasets.open(tmp_path), ('one', 'other'), Protocol()).summarize(names)
  assert summary.positions == 4
  assert [(entry.activity, entry.position, entry.windows) for entry in summary.gravity] == [
    (activity, f'{source}, {position}', 120)
    for source in ('one', 'other')
    for position in ('waist', 'wrist')
    for activity in ('sits', 'walks')
  ]


def test_length_and_gyroscope_are_of_the_windows_of_all_sources(tmp_path):
  every = []
  for name, unit in (('one', [2.0] * 3 + [0.0] * 3), ('other', [3.0] * 3 + [1.0] * 3)):
    made = store.load(made_people.save_windows(tmp_path / name))
    signals = made.signals * np.float32(unit) + np.float32([0, 0, 0, 20 * unit[3], 0, 0])
    store.save(dataclasses.replace(made, signals=signals), tmp_path / name)
    every.append(signals[made.labels(('walking',)) == 0])
  summary = Sources(Datasets.open(tmp_path), ('one', 'other'), Protocol()).summarize({'walking': 'walks'})
  means_g = np.concatenate(every)[..., :3].mean(axis=1, dtype=np.float64) / 9.80665
  assert summary.length_g == pytest.approx(np.median(np.linalg.norm(means_g, axis=1)), abs=1e-3)
  assert 2.1 < summary.length_g < 2.9  # half of the windows have 2 g, half 3 g
  assert summary.has_gyro


def _read(entries: Any) -> SignalSummary:
  return records.check(entries, SignalSummary, 'a card', to_do='write it again')


def test_it_comes_back_from_json():
  assert _read(json.loads(msgspec.json.encode(SUMMARY))) == SUMMARY


@pytest.mark.parametrize(
  ('entry', 'value'),
  [
    ('gravity', []),
    ('gravity', [{'activity': 'walking'}]),
    ('length_g', float('nan')),
    ('has_gyro', 'much'),
    ('gyro_axes', 'x,x,z'),
    ('rates_hz', None),
  ],
)
def test_a_damaged_summary_is_refused(entry, value):
  with pytest.raises(UserError, match=r'a card: .*; write it again'):
    _read(dataclasses.asdict(SUMMARY) | {entry: value})
