"""Batches: each window once per epoch, padding with weight 0, exact resume."""

import functools

import numpy as np
import pytest

from har_jax.datasets.batches import Batch, evaluation_batches, stack, training_batches


def _arrays(size: int) -> Batch:
  rng = np.random.default_rng(0)
  return {
    'signal': rng.standard_normal((size, 4, 6)).astype(np.float32),
    'label': np.arange(size, dtype=np.int32),
  }


def _counted(batch: Batch) -> list[int]:
  """The labels of the windows that are not padding."""
  return batch['label'][batch['weight'] > 0].tolist()


@pytest.mark.parametrize(('size', 'batch'), [(10, 4), (12, 4), (3, 8), (1, 1), (9, 1)])
def test_an_epoch_counts_each_window_once(size, batch):
  steps = -(-size // batch)
  batches = list(training_batches(_arrays(size), batch=batch, steps=3 * steps, seed=0))
  for epoch in range(3):
    seen = [label for batch in batches[epoch * steps : (epoch + 1) * steps] for label in _counted(batch)]
    assert sorted(seen) == list(range(size))


def test_shapes_are_fixed_and_the_last_batch_of_an_epoch_is_padded():
  batches = list(training_batches(_arrays(10), batch=4, steps=3, seed=0))
  assert [batch['weight'].tolist() for batch in batches] == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]]
  for batch in batches:
    assert (batch['signal'].shape, batch['label'].shape) == ((4, 4, 6), (4,))
    assert batch['weight'].dtype == np.float32


def test_a_signal_stays_with_its_label():
  arrays = _arrays(10)
  for one in training_batches(arrays, batch=4, steps=6, seed=0):
    np.testing.assert_array_equal(one['signal'], arrays['signal'][one['label']])


def test_epochs_and_seeds_differ_in_order_and_a_seed_repeats():
  def order(seed: int) -> list[list[int]]:
    return [_counted(part) for part in training_batches(_arrays(40), batch=40, steps=2, seed=seed)]

  assert order(0) == order(0)
  assert order(0) != order(1)
  assert order(0)[0] != order(0)[1]


@pytest.mark.parametrize('after', [0, 1, 2, 3, 4, 7, 11])  # epochs end after 3, 6, 9
def test_a_resumed_iterator_continues_exactly(after):
  def batches():
    return training_batches(_arrays(10), batch=4, steps=12, seed=5)

  expected = [batch['label'].tolist() for batch in batches()]
  stopped = batches()
  for _ in range(after):
    next(stopped)
  state = stopped.get_state()
  resumed = batches()
  next(resumed)  # the state overrules its position
  resumed.set_state(state)
  assert [batch['label'].tolist() for batch in resumed] == expected[after:]
  assert [batch['label'].tolist() for batch in stopped] == expected[after:]


@pytest.mark.parametrize(('size', 'batch'), [(10, 4), (8, 4), (3, 8)])
def test_an_evaluation_counts_each_window_once_and_in_order(size, batch):
  batches = list(evaluation_batches(_arrays(size), batch=batch))
  assert [label for part in batches for label in _counted(part)] == list(range(size))
  assert {part['signal'].shape for part in batches} == {(batch, 4, 6)}
  assert all(np.isfinite(part['signal']).all() for part in batches)


def test_stacked_batches_are_filled_with_the_first():
  first, second = evaluation_batches(_arrays(4), batch=2)
  stacked = stack([first, second], 3)
  assert stacked['label'].tolist() == [[0, 1], [2, 3], [0, 1]]
  assert stacked['signal'].shape == (3, 2, 4, 6)


@pytest.mark.parametrize('processes', [2, 4])
@pytest.mark.parametrize(
  'batches', [functools.partial(training_batches, steps=4, seed=3), evaluation_batches]
)
def test_processes_share_a_batch(batches, processes):
  arrays = _arrays(10)
  by_process = [batches(arrays, batch=8, process=number, processes=processes) for number in range(processes)]
  for batch, *parts in zip(batches(arrays, batch=8), *by_process, strict=True):
    for name, rows in batch.items():
      np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), rows)
      assert {len(part[name]) for part in parts} == {8 // processes}
