"""The rule of each strategy, against values computed by hand; the growing head."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from har_jax.continual import memory, strategies
from har_jax.continual.learner import State, part, under
from har_jax.datasets.batches import Batch
from har_jax.variables import Variables


def test_only_activities_seen_are_answered_and_growing_leaves_their_rows(learner, stream, quick):
  first = strategies.STRATEGIES['sequential'](learner, {}, 0, quick)
  seen = stream.seen(1)
  never = np.setdiff1d(np.arange(3), seen)
  assert [stream.classes[label] for label in never] == ['standing']
  everyone = strategies.logits(learner, first, stream.unseen)
  assert not np.isin(everyone.argmax(axis=1), never).any()
  before, after = part(first, 'model'), learner.grow(first, 1)
  kernel, bias = learner.output
  for path in before.keys() - {kernel, bias}:
    np.testing.assert_array_equal(before[path], after[path])
  np.testing.assert_array_equal(before[kernel][:, seen], after[kernel][:, seen])
  np.testing.assert_array_equal(before[bias][seen], after[bias][seen])
  np.testing.assert_array_equal(after[kernel][:, never], learner.start[kernel][:, never])
  # The logits of those seen are the same, bit for bit.
  grown = strategies.logits(learner, under('model', after), stream.unseen)
  np.testing.assert_array_equal(grown[:, seen], everyone[:, seen])
  assert np.isin(never, grown.argsort(axis=1)[:, 1:]).all()  # no longer always the last


def test_a_hidden_row_has_no_gradient(learner, stream):
  start = learner.start_with(stream.seen(1))
  trained = learner.train(start, stream.domains[0].train, 0)
  bias, never = learner.output[1], stream.classes.index('standing')
  assert trained[bias][never] == start[bias][never]
  assert (trained[bias][stream.seen(1)] != start[bias][stream.seen(1)]).all()


@pytest.fixture
def trainings(learner, monkeypatch) -> list[dict[str, Any]]:
  """What each training is asked for, in place of the training."""
  asked: list[dict[str, Any]] = []

  def train(variables: Variables, windows: Batch, number: int, **options: Any) -> Variables:
    asked.append({'start': variables, 'windows': len(windows['label']), **options})
    return variables

  monkeypatch.setattr(learner, 'train', train)
  return asked


def test_each_domain_draws_by_its_own_seed(learner, stream, monkeypatch):
  seeds, asked = [], []

  def run(variables, windows, *, seed, **steps):
    seeds.append(seed)
    asked.append(steps)
    return variables, np.zeros(1)

  monkeypatch.setattr(learner.training, 'run', run)
  for number in (0, 1, 1):
    learner.train(learner.start, stream.domains[number].train, number)
  monkeypatch.setattr(learner.training, 'seed', 1)
  learner.train(learner.start, stream.domains[1].train, 1, steps=7)
  assert seeds[1] == seeds[2]
  assert len(set(seeds)) == 3
  assert asked == [{'steps': 16, 'total': 16}] * 3 + [{'steps': 7, 'total': 7}]


def test_replay_keeps_windows_of_all_domains_so_far(learner, stream, quick, trainings):
  state: State = {}
  for number in range(3):
    state = strategies.STRATEGIES['replay'](learner, state, number, quick)
    assert set(part(state, 'replay')['domain'].tolist()) == set(range(number + 1))
  assert len(part(state, 'replay')['label']) == 20_000 // (128 * 6 * 2 + 4)
  new = [len(domain.train['label']) for domain in stream.domains]
  assert trainings[0]['windows'] == new[0]
  assert all(asked['windows'] > count for asked, count in zip(trainings[1:], new[1:], strict=True))


def test_replay_stores_what_its_seed_draws(learner, stream, quick, trainings):
  settings = dataclasses.replace(quick, seed=3)
  stored = part(strategies.STRATEGIES['replay'](learner, {}, 0, settings), 'replay')
  expected = memory.store({}, stream.domains[0].train, 0, most_bytes=20_000, seed=3)
  np.testing.assert_equal(stored, expected)


def test_an_adapter_of_the_router_starts_with_the_activities_of_its_own_domain(
  learner, stream, quick, trainings, monkeypatch
):
  monkeypatch.setattr(learner, 'stream', dataclasses.replace(stream, domains=stream.domains[::-1]))
  strategies.STRATEGIES['router'](learner, {}, 2, quick)
  expected = learner.start_with([stream.classes.index(name) for name in ('walking', 'sitting')])
  np.testing.assert_equal(trainings[0]['start'], expected)


def test_joint_trains_once_on_all_windows_for_the_steps_of_all_domains(learner, stream, quick, trainings):
  state: State = {}
  for number in range(3):
    assert not trainings
    state = strategies.STRATEGIES['joint'](learner, state, number, quick)
  (asked,) = trainings
  assert asked['steps'] == 3 * quick.steps
  assert asked['windows'] == sum(len(domain.train['label']) for domain in stream.domains)
  start = learner.start_with(stream.seen(3))
  assert all(np.array_equal(leaf, start[path]) for path, leaf in asked['start'].items())


def test_the_router_answers_with_the_adapter_of_the_nearest_domain(learner, stream, quick):
  state: dict[str, np.ndarray] = {}
  for number in range(2):
    state = strategies.STRATEGIES['router'](learner, state, number, quick)
  assert set(part(state, 'router')['domain'].tolist()) == {0, 1}
  test = stream.domains[1].test
  logits = strategies.logits(learner, state, test)
  of_each = [
    learner.logits(strategies.as_float32(part(state, f'adapter_{number}')), test) for number in range(2)
  ]
  domains = memory.route(part(state, 'router'), learner.features(test), test['recording'])
  np.testing.assert_allclose(logits, np.where((domains == 0)[:, None], *of_each), rtol=1e-4)
