"""Windows of several parts, learned from side by side."""

import numpy as np

from har_jax.data import balancing
from har_jax.data.batches import Batch


def _part(label: list[int], first: int = 0) -> Batch:
  """Windows that carry their number."""
  number = np.arange(first, first + len(label), dtype=np.float32)
  return {'signal': number[:, None, None], 'label': np.array(label, np.int32)}


def test_balanced_windows_are_as_many_of_each_class_and_keep_their_labels():
  label = [0] * (2 * balancing.EACH) + [2] * 100 + [3] * 2
  given = balancing.balanced(_part(label), seed=0)
  assert np.bincount(given['label']).tolist() == [balancing.EACH, 0, balancing.EACH, 2 * balancing.AGAIN]
  number = given['signal'][:, 0, 0].astype(int)
  assert np.array_equal(np.array(label)[number], given['label'])
  assert len(np.unique(number[given['label'] == 0])) == balancing.EACH  # enough of them: none twice
  assert np.bincount(number[given['label'] == 2])[-100:].tolist() == [balancing.EACH // 100] * 100
  again, other = balancing.balanced(_part(label), seed=0), balancing.balanced(_part(label), seed=1)
  assert np.array_equal(again['signal'], given['signal'])
  assert not np.array_equal(other['signal'], given['signal'])


def test_balanced_takes_none_of_none():
  assert len(balancing.balanced(_part([]), seed=0)['label']) == 0


def test_joined_parts_are_drawn_from_alike():
  few, many = _part([0, 1]), _part([1] * 6, first=10)
  given = balancing.joined([few, many])
  assert given['signal'][:, 0, 0].tolist() == [0, 1, 0, 1, 0, 1, 10, 11, 12, 13, 14, 15]
  assert given['label'].tolist() == [0, 1] * 3 + [1] * 6


def test_one_part_alone_stays_as_it_is():
  part = _part([2, 0, 1])
  given = balancing.joined([part])
  assert all(np.array_equal(given[name], values) for name, values in part.items())


def test_a_part_without_windows_is_left_out():
  given = balancing.joined([_part([2, 0, 1]), _part([])])
  assert given['label'].tolist() == [2, 0, 1]
