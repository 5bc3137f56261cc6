"""Training sets with equal parts of each class or source; variants in any orientation, and in reverse."""

import functools

import numpy as np
import pytest

from har_jax.datasets import balancing
from har_jax.datasets.balancing import (
  MAX_REPEATS,
  WINDOWS_PER_CLASS,
  WINDOWS_PER_SOURCE,
  balance_classes,
  concatenate_equally,
  draw_from_source,
  vary,
)
from har_jax.datasets.batches import Batch


def _windows(label: list[int], first: int = 0) -> Batch:
  """Windows whose signal is their number."""
  number = np.arange(first, first + len(label), dtype=np.float32)
  return {'signal': number[:, None, None], 'label': np.array(label, np.int32)}


def test_balanced_classes_have_equal_counts_and_keep_their_labels():
  label = [0] * (2 * WINDOWS_PER_CLASS) + [2] * 100 + [3] * 2
  balanced = balance_classes(_windows(label), seed=0)
  assert np.bincount(balanced['label']).tolist() == [WINDOWS_PER_CLASS, 0, WINDOWS_PER_CLASS, 2 * MAX_REPEATS]
  number = balanced['signal'][:, 0, 0].astype(int)
  assert np.array_equal(np.array(label)[number], balanced['label'])
  assert len(np.unique(number[balanced['label'] == 0])) == WINDOWS_PER_CLASS  # no repeats in a large class
  repeats = np.bincount(number[balanced['label'] == 2])[-100:]
  assert repeats.tolist() == [WINDOWS_PER_CLASS // 100] * 100


def test_parts_are_repeated_to_the_length_of_the_longest():
  few, many = _windows([0, 1]), _windows([1] * 6, first=10)
  both = concatenate_equally([few, many])
  assert both['signal'][:, 0, 0].tolist() == [0, 1, 0, 1, 0, 1, 10, 11, 12, 13, 14, 15]
  assert both['label'].tolist() == [0, 1] * 3 + [1] * 6


def test_a_single_part_is_unchanged_and_one_without_windows_is_dropped():
  part = _windows([2, 0, 1])
  for parts in ([part], [part, _windows([])]):
    np.testing.assert_equal(concatenate_equally(parts), part)


def test_of_a_large_source_as_many_windows_are_drawn_in_order_and_once():
  label = [0] * (8 * WINDOWS_PER_SOURCE) + [3] * (WINDOWS_PER_SOURCE // 8)
  drawn = draw_from_source(_windows(label), seed=0)
  number = drawn['signal'][:, 0, 0].astype(int)
  assert len(number) == WINDOWS_PER_SOURCE
  assert (np.diff(number) > 0).all()
  assert np.array_equal(np.array(label)[number], drawn['label'])


def test_rare_activities_of_a_source_are_drawn_more_often():
  counts = np.array([25, 100, 900]) * 400
  drawn = draw_from_source(_windows(np.repeat([0, 1, 2], counts).tolist()), seed=0)
  # In proportion to the square root of the count, as long as no class is used up.
  expected = WINDOWS_PER_SOURCE * np.sqrt(counts) / np.sqrt(counts).sum()
  np.testing.assert_allclose(np.bincount(drawn['label']), expected, rtol=0.1)


def test_a_small_source_is_unchanged():
  windows = _windows([2] * WINDOWS_PER_SOURCE)
  assert draw_from_source(windows, seed=0) is windows


_CLASSES = 3


@pytest.fixture
def moving() -> dict[str, np.ndarray]:
  """400 windows of a device whose zeros are not 0, as normalized ones are; every second one rests."""
  rng = np.random.default_rng(0)
  strength = np.where(np.arange(400) % 2, 0.01, 1.0)[:, None, None]
  origin = np.tile([0.5, -0.2], (400, 1))
  signal = np.repeat(origin, 3, axis=1)[:, None] + [0.0, 0.6, 0.8, 0.0, 0.0, 0.0]
  signal = signal + strength * rng.normal(size=(400, 32, 6))
  return {
    'signal': signal.astype(np.float32),
    'origin': origin.astype(np.float32),
    'label': np.arange(400) % _CLASSES,
  }


def _triads(windows: dict[str, np.ndarray]) -> np.ndarray:
  signal = windows['signal']
  return signal.reshape(*signal.shape[:2], 2, 3) - windows['origin'][:, None, :, None]


def _products(triads: np.ndarray) -> np.ndarray:
  """What no rotation changes: lengths of both sensors' vectors, and the angle between them."""
  return np.einsum('wnsi,wnti->wnst', triads, triads)


def test_half_of_the_windows_are_rotated_with_both_sensors_and_in_every_direction(moving):
  before = _triads(moving)
  after = _triads(vary(moving, _CLASSES, seed=0))[:400]
  np.testing.assert_allclose(_products(after), _products(before), atol=1e-4)
  is_rotated = np.abs(after - before).max(axis=(1, 2, 3)) > 1e-3
  assert 160 < is_rotated.sum() < 240
  gravity = after[is_rotated, :, 0].mean(axis=1)
  assert np.abs(gravity.mean(axis=0)).max() < 0.15  # of a length of one
  assert (np.abs(gravity).max(axis=0) > 0.8).all()
  # A rotation is no mirror image.
  volumes = [np.linalg.det(triads[is_rotated, :3, 0]) for triads in (before, after)]
  np.testing.assert_allclose(volumes[1], volumes[0], atol=1e-4)


def test_each_moving_window_comes_again_in_reverse_as_another_activity(moving):
  varied = vary(moving, _CLASSES, seed=0)
  triads = _triads(varied)
  assert len(triads) == 600
  forward, backward = triads[:400:2], triads[400:]
  np.testing.assert_allclose(backward[:, ::-1, 0], forward[:, :, 0], atol=1e-6)
  np.testing.assert_allclose(backward[:, ::-1, 1], -forward[:, :, 1], atol=1e-6)
  np.testing.assert_array_equal(varied['label'][:400], moving['label'])
  np.testing.assert_array_equal(varied['label'][400:], moving['label'][::2] + _CLASSES)
  assert varied['signal'].dtype == np.float32


def test_a_device_moves_if_an_axis_of_its_acceleration_does():
  signal = np.zeros((3, 32, 6), np.float32)
  swing = np.sin(np.arange(32) * np.pi / 4).astype(np.float32)
  signal[0, :, 1] = 0.3 * swing  # the deviation is 0.21 g
  signal[1, :, 4] = 3.0 * swing  # a turntable
  windows = {'signal': signal, 'origin': np.zeros((3, 2), np.float32), 'label': np.arange(3)}
  assert vary(windows, _CLASSES, seed=0)['label'].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
  'draw',
  [
    *(balance_classes, draw_from_source, functools.partial(vary, classes=_CLASSES)),
    lambda windows, seed: balancing.filter_by_teacher(windows, np.eye(_CLASSES)[windows['label']], seed=seed),
    lambda windows, seed: balancing.pseudo_labeled(windows, np.eye(_CLASSES)[windows['label']], seed=seed),
  ],
)
def test_a_seed_repeats_its_draw_and_another_differs(draw, moving, monkeypatch):
  monkeypatch.setattr(balancing, 'WINDOWS_PER_CLASS', 50)
  monkeypatch.setattr(balancing, 'WINDOWS_PER_SOURCE', 50)
  first, again, other = (draw(moving, seed=seed)['signal'] for seed in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)


def test_pseudo_labels_are_the_most_confident_of_each_class():
  sure = np.array([3.0, 9.0, 6.0, 0.1, 5.0, 4.0, 2.0, 8.0, 1.0])
  logits = np.zeros((9, 3))
  logits[np.arange(9), [0, 0, 0, 0, 0, 2, 2, 2, 1]] = sure
  windows = {'signal': np.arange(9)[:, None, None], 'origin': np.zeros((9, 2))}
  labeled = balancing.pseudo_labeled(windows, logits, seed=0)
  # Six tenths of five, of one and of three, rounded up: 3, 1 and 2.
  pairs = {
    (int(number), int(label))
    for number, label in zip(labeled['signal'].ravel(), labeled['label'], strict=True)
  }
  assert pairs == {(1, 0), (2, 0), (4, 0), (8, 1), (7, 2), (5, 2)}
  assert np.bincount(labeled['label']).tolist() == [3 * MAX_REPEATS, MAX_REPEATS, 2 * MAX_REPEATS]
  assert labeled.keys() == {'signal', 'origin', 'label'}


def test_the_teacher_keeps_windows_whose_label_it_predicts():
  windows = {'signal': np.arange(4)[:, None, None], 'label': np.array([0, 1, 1, 2], np.int32)}
  logits = np.eye(3)[[0, 1, 2, 0]]
  labeled = balancing.filter_by_teacher(windows, logits, seed=0)
  assert set(labeled['signal'].ravel().tolist()) == {0, 1}
  assert np.bincount(labeled['label']).tolist() == [balancing.MAX_REPEATS] * 2
  assert len(balancing.filter_by_teacher(windows, np.eye(3)[[1, 2, 0, 0]], seed=0)['label']) == 0
