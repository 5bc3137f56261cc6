"""Runs that train side by side in one program."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from line import TRAINING, numbers, run_of, stop_at_poll, train_all, train_line, windows_of

from har_jax.errors import Stopped
from har_jax.train import loop


@pytest.mark.slow
def test_runs_side_by_side_end_as_they_do_alone(tmp_path, monkeypatch):
  """With different seeds, numbers of steps and frozen values; they are stopped together and resume."""
  monkeypatch.setattr(loop, '_MAX_STEPS_PER_CALL', 2)
  fields: list[dict[str, Any]] = [
    {'seed': 0},
    {'seed': 1, 'windows': windows_of(2, size=5)},  # half as many steps
    {'seed': 2, 'frozen': {'params/frozen/value': jnp.float32(2)}},
  ]
  alone = [train_line(tmp_path / 'alone' / str(i), **each) for i, each in enumerate(fields)]
  runs = [run_of(tmp_path / 'side_by_side' / str(i), **each) for i, each in enumerate(fields)]
  with pytest.raises(Stopped, match='at step'):
    train_all(runs, stop=stop_at_poll(5))
  side_by_side = train_all(runs)
  assert [len(each.history) for each in side_by_side] == [len(each.history) for each in alone]
  for one, other in zip(alone, side_by_side, strict=True):
    assert one.step == other.step
    assert one.optimizer_bytes == other.optimizer_bytes
    for path, leaf in one.variables.items():
      np.testing.assert_allclose(other.variables[path], leaf, rtol=1e-5, atol=1e-6)
    errors = [[entry['error'] for entry in each.history] for each in (one, other)]
    np.testing.assert_allclose(*errors, rtol=1e-4, atol=1e-6)
  again = train_all(runs)  # all of them finished
  assert [numbers(each) for each in again] == [numbers(each) for each in side_by_side]


def test_a_run_out_of_patience_does_not_stop_the_others(tmp_path, monkeypatch):
  # Alternately of both runs, until the first has had two scores below its best.
  scores = iter([0.5, 0.1, 0.4, 0.2, 0.3, 0.4, 0.5, 0.6])
  monkeypatch.setattr(loop, 'evaluate', lambda *_: {'score': next(scores)})
  runs = [run_of(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
  first, second = train_all(runs, dataclasses.replace(TRAINING, patience=2))
  assert [entry['score'] for entry in first.history] == [0.5, 0.4, 0.3]
  assert [entry['score'] for entry in second.history] == [0.1, 0.2, 0.4, 0.5, 0.6]


def test_frozen_variables_equal_in_all_runs_are_stored_once():
  stacked, per_run_paths = loop._stack_frozen(
    [{'a': jnp.ones(3), 'b': jnp.zeros(2)}, {'a': jnp.ones(3), 'b': jnp.ones(2)}]
  )
  assert per_run_paths == {'b'}
  assert {path: leaf.shape for path, leaf in stacked.items()} == {'a': (3,), 'b': (2, 2)}
