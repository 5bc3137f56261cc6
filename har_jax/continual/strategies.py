"""Strategies by which a model learns domain after domain: one function and one line of the table each.

A strategy goes from what it keeps to what it keeps after one more domain. y activities, w windows.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax.continual import memory
from har_jax.continual.learner import Learner, State, part, under
from har_jax.datasets.batches import Batch
from har_jax.federated import aggregation
from har_jax.variables import Variables


@dataclasses.dataclass(frozen=True)
class Limits:
  """memory_bytes: of stored windows. penalty: the weight of squared changes of earlier weights."""

  memory_bytes: int
  penalty: float


Learn = Callable[[Learner, State, int, Limits], State]


@dataclasses.dataclass(frozen=True)
class Strategy:
  summary: str
  learn: Learn


def _sequential(learner: Learner, state: State, number: int, limits: Limits) -> State:
  variables = learner.grow(state, number)
  return under('model', learner.train(variables, learner.stream.domains[number].train, number))


def _replay(learner: Learner, state: State, number: int, limits: Limits) -> State:
  """A stored window counts as much as a new one: a repeated half of new ones forgets more."""
  new, stored = learner.stream.domains[number].train, part(state, 'replay')
  windows = _join(memory.read_windows(stored), new) if stored else new
  model = learner.train(learner.grow(state, number), windows, number)
  kept = memory.store(stored, new, number, most_bytes=limits.memory_bytes, seed=learner.seed)
  return under('model', model) | under('replay', kept)


def _join(stored: Batch, new: Batch) -> Batch:
  return {name: np.concatenate([stored[name], new[name]]) for name in new}


def _ewc(learner: Learner, state: State, number: int, limits: Limits) -> State:
  """Source: arXiv:1612.00796 (EWC), with one sum of all domains' Fisher information (arXiv:1805.06370)."""
  variables, windows = learner.grow(state, number), learner.stream.domains[number].train
  anchor = {path: variables[path] for path in learner.trained_paths}
  fisher = part(state, 'fisher') or {path: np.zeros_like(leaf) for path, leaf in anchor.items()}
  importance = {path: limits.penalty * leaf for path, leaf in fisher.items()}
  model = learner.train(variables, windows, number, anchor=anchor, importance=importance)
  squares = learner.squared_gradients(model, windows)
  return under('model', model) | under('fisher', {path: fisher[path] + squares[path] for path in fisher})


def _average(learner: Learner, state: State, number: int, limits: Limits) -> State:
  domain, new = learner.stream.domains[number], learner.alone(number)
  known = state.get('domains/of_activity', np.zeros(len(learner.stream.classes), np.int32))
  knows = np.isin(np.arange(len(known)), domain.labels)
  model = average_in(part(state, 'model') or new, new, number, known, knows, learner.output)
  return under('model', model) | {'domains/of_activity': known + knows}


def average_in(
  mean: Variables,
  new: Variables,
  count: int,
  known: Int[np.ndarray, 'y'],
  knows: Bool[np.ndarray, 'y'],
  output: list[str],
) -> Variables:
  """Averages one more adapter into the mean of `count`; a row of the output layer over those who know it.

  known: how many of the adapters know each activity. knows: whether the new one does.
  """
  merged = aggregation.average([mean, new], np.array([count, 1]) / (count + 1))
  weight = np.divide(knows, known + knows, out=np.zeros(len(known)), where=known + knows > 0)
  rows = {path: ((1 - weight) * mean[path] + weight * new[path]).astype(np.float32) for path in output}
  return merged | rows


def _router(learner: Learner, state: State, number: int, limits: Limits) -> State:
  domain, new = learner.stream.domains[number], learner.alone(number)
  features = learner.features(domain.train)
  kept = memory.add_means(part(state, 'router'), features, domain.train['label'], number)
  adapter = {path: leaf.astype(np.float16) for path, leaf in new.items()}
  return state | under(f'adapter_{number}', adapter) | under('router', kept)


def _joint(learner: Learner, state: State, number: int, limits: Limits) -> State:
  """Keeps everything, and trains once, after the last domain, with as many steps as the others in all."""
  new, stored = learner.stream.domains[number].train, part(state, 'windows')
  kept = _join(stored, new) if stored else new
  count = len(learner.stream.domains)
  if number < count - 1:
    return under('windows', kept)
  start = learner.start_with(learner.stream.seen(count))
  model = learner.train(start, kept, number, steps=count * learner.steps)
  return under('windows', kept) | under('model', model)


STRATEGIES = {
  'sequential': Strategy('fine-tune the same adapter on and on', _sequential),
  'replay': Strategy('fine-tune also on stored windows of earlier domains', _replay),
  'ewc': Strategy('fine-tune with a penalty weighted by the Fisher information of each weight', _ewc),
  'average': Strategy('train an adapter of each domain from the base, and average their weights', _average),
  'router': Strategy('keep an adapter of each domain; the nearest features choose one', _router),
  'joint': Strategy('train once on the windows of all domains, for comparison', _joint),
}


def has_model(state: State) -> bool:
  return any(path.startswith(('model/', 'adapter_')) for path in state)


def logits(learner: Learner, state: State, windows: Batch) -> Float[np.ndarray, 'w y']:
  """Logits of the model, or of the adapter that the router chooses for each recording."""
  if model := part(state, 'model'):
    return learner.logits(model, windows)
  chosen = memory.route(part(state, 'router'), learner.features(windows), windows['recording'])
  found = np.zeros((len(chosen), len(learner.stream.classes)), np.float32)
  for number in np.unique(chosen):
    at = np.flatnonzero(chosen == number)
    adapter = as_float32(part(state, f'adapter_{number}'))
    found[at] = learner.logits(adapter, {name: array[at] for name, array in windows.items()})
  return found


def as_float32(adapter: State) -> Variables:
  return {path: leaf.astype(np.float32) for path, leaf in adapter.items()}
