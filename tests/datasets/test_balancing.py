"""Training sets with equal parts of each class, or of each source."""

import numpy as np

from har_jax.datasets.balancing import (
  MAX_REPEATS,
  WINDOWS_PER_CLASS,
  WINDOWS_PER_SOURCE,
  balance_classes,
  concatenate_equally,
  draw_from_source,
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


def test_a_seed_repeats_its_draw_and_another_differs():
  windows = _windows([0] * (2 * WINDOWS_PER_CLASS))
  first, again, other = (balance_classes(windows, seed=seed)['signal'] for seed in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)


def test_balancing_no_windows_gives_none():
  assert len(balance_classes(_windows([]), seed=0)['label']) == 0


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
  again, other = (draw_from_source(_windows(label), seed=seed)['signal'] for seed in (0, 1))
  np.testing.assert_array_equal(again, drawn['signal'])
  assert not np.array_equal(other, drawn['signal'])


def test_rare_activities_of_a_source_are_drawn_more_often():
  counts = np.array([25, 100, 900]) * 400
  drawn = draw_from_source(_windows(np.repeat([0, 1, 2], counts).tolist()), seed=0)
  # In proportion to the square root of the count, as long as no class is used up.
  expected = WINDOWS_PER_SOURCE * np.sqrt(counts) / np.sqrt(counts).sum()
  np.testing.assert_allclose(np.bincount(drawn['label']), expected, rtol=0.1)


def test_a_small_source_is_unchanged():
  windows = _windows([2] * WINDOWS_PER_SOURCE)
  assert draw_from_source(windows, seed=0) is windows
