"""The rule of each strategy, against values computed by hand; the growing head."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.continual import memory, strategies
from har_jax.continual.learner import Anchored, Learner, State, part, penalty, under
from har_jax.datasets.batches import Batch
from har_jax.train.objective import Classify
from har_jax.variables import Variables


def test_the_gradient_of_the_penalty_is_importance_times_distance():
  variables = {'lora/a': np.array([1.0, 2.0]), 'params/b': np.array([5.0])}
  extra = {'anchor/lora/a': np.array([0.5, 4.0]), 'importance/lora/a': np.array([2.0, 10.0])}
  gradient = jax.grad(penalty)(variables, extra)
  np.testing.assert_allclose(gradient['lora/a'], [2.0 * 0.5, 10.0 * -2.0])
  np.testing.assert_allclose(gradient['params/b'], [0.0])
  assert penalty(variables, extra) == pytest.approx(0.5 * (2.0 * 0.25 + 10.0 * 4.0))


def test_the_loss_is_cross_entropy_plus_the_penalty(learner, stream):
  objective = learner.training.objective
  shape = objective.model, objective.classes, objective.precision
  train = stream.domains[1].train | {'weight': np.ones(len(stream.domains[1].train['label']))}
  batch = {name: jnp.asarray(array[:4]) for name, array in train.items()}
  variables = learner.training.prepared.variables
  path = learner.output[0]
  extra = {f'anchor/{path}': variables[path] - 1, f'importance/{path}': np.full(variables[path].shape, 0.5)}
  plain, _ = jax.jit(functools.partial(Classify(*shape).losses, training=config.Training()))(
    variables, batch, jax.random.key(0)
  )
  found, _ = jax.jit(functools.partial(Anchored(*shape).losses, training=config.Training()))(
    variables | extra, batch, jax.random.key(0)
  )
  np.testing.assert_allclose(found, plain + 0.5 * 0.5 * variables[path].size, rtol=1e-5)


def test_the_average_has_each_row_of_those_who_know_it():
  output = ['params/head/dense_1/kernel', 'params/head/dense_1/bias']

  def adapter(value: float):
    return {
      'lora/a': np.full((2, 2), value, np.float32),
      output[0]: np.full((2, 3), value, np.float32),
      output[1]: np.full(3, value, np.float32),
    }

  # Three adapters: 1 and 2 know the first activity, all the second, only the last one the third.
  mean, known = adapter(1.0), np.array([1, 1, 0])
  mean = strategies.average_in(mean, adapter(4.0), 1, known, np.array([True, True, False]), output)
  mean = strategies.average_in(
    mean, adapter(7.0), 2, np.array([2, 2, 0]), np.array([False, True, True]), output
  )
  np.testing.assert_allclose(mean['lora/a'], 4.0)
  np.testing.assert_allclose(mean[output[1]], [2.5, 4.0, 7.0])
  np.testing.assert_allclose(mean[output[0]], [[2.5, 4.0, 7.0]] * 2)


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


def test_the_fisher_information_is_the_mean_squared_gradient(learner, stream):
  variables = learner.start_with(stream.seen(2))
  windows = {name: array[:3] for name, array in stream.domains[1].train.items()}
  found = learner.squared_gradients(variables, windows)
  assert found.keys() == set(learner.trained_paths)
  # The gradient of the output bias is the probability minus 1 for the label.
  logits = learner.logits(variables, windows)
  probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
  wanted = np.square(probabilities - np.eye(3)[windows['label']]).mean(axis=0)
  np.testing.assert_allclose(found[learner.output[1]], wanted, rtol=1e-4)


@pytest.fixture
def trainings(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
  """What each training is asked for, in place of the training."""
  asked: list[dict[str, Any]] = []

  def train(variables: Variables, windows: Batch, number: int, **options: Any) -> Variables:
    asked.append({'start': variables, 'windows': len(windows['label']), **options})
    return variables

  monkeypatch.setattr(learner, 'train', train)
  return asked


def test_ewc_adds_up_the_fisher_information_of_all_domains(learner, stream, quick, trainings):
  state: State = {}
  for number in range(2):
    state = strategies.STRATEGIES['ewc'](learner, state, number, quick)
  first, second = (
    learner.squared_gradients(learner.start_with(stream.seen(number + 1)), stream.domains[number].train)
    for number in range(2)
  )
  for path, fisher in part(state, 'fisher').items():
    np.testing.assert_allclose(fisher, first[path] + second[path], rtol=1e-5)
    np.testing.assert_allclose(trainings[1]['importance'][path], quick.penalty * first[path], rtol=1e-5)
    np.testing.assert_array_equal(trainings[1]['anchor'][path], trainings[1]['start'][path])


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


def test_a_large_penalty_holds_important_weights(learner, quick):
  settings = dataclasses.replace(quick, penalty=1e6)
  first = strategies.STRATEGIES['ewc'](learner, {}, 1, settings)
  before, fisher = part(first, 'model'), part(first, 'fisher')
  moved = {}
  for name in ('sequential', 'ewc'):
    after = part(strategies.STRATEGIES[name](learner, first, 2, settings), 'model')
    moved[name] = sum((fisher[path] * np.square(after[path] - before[path])).sum() for path in fisher)
  assert moved['ewc'] < 0.5 * moved['sequential']


def test_the_router_answers_with_the_adapter_of_the_nearest_domain(learner, stream, quick):
  state: dict[str, np.ndarray] = {}
  for number in range(2):
    state = strategies.STRATEGIES['router'](learner, state, number, quick)
  test = stream.domains[1].test
  found = strategies.logits(learner, state, test)
  of_each = [
    learner.logits(strategies.as_float32(part(state, f'adapter_{number}')), test) for number in range(2)
  ]
  chosen = memory.route(part(state, 'router'), learner.features(test), test['recording'])
  np.testing.assert_allclose(found, np.where((chosen == 0)[:, None], *of_each), rtol=1e-4)
