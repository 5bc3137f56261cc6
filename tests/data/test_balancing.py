"""Training sets with equal parts of each class, or of each source."""

import numpy as np

from har_jax.data.balancing import MAX_REPEATS, WINDOWS_PER_CLASS, balance_classes, concatenate_equally
from har_jax.data.batches import Batch


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


def test_a_single_part_is_unchanged():
  part = _windows([2, 0, 1])
  unchanged = concatenate_equally([part])
  assert all(np.array_equal(unchanged[name], values) for name, values in part.items())


def test_a_part_without_windows_is_dropped():
  assert concatenate_equally([_windows([2, 0, 1]), _windows([])])['label'].tolist() == [2, 0, 1]
