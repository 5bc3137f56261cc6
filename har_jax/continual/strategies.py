"""Strategies by which a model learns domain after domain: one function and one line of the table each.

A strategy goes from the state that it keeps to the state after one more domain. y activities, w windows.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from har_jax.continual import memory
from har_jax.continual.learner import Learner, State, part, under
from har_jax.continual.settings import Settings
from har_jax.datasets.batches import Batch, concatenate
from har_jax.variables import Variables

Learn = Callable[[Learner, State, int, Settings], State]


def _sequential(learner: Learner, state: State, number: int, settings: Settings) -> State:
  """Fine-tunes the same adapter on and on."""
  variables = learner.grow(state, number)
  return under('model', learner.train(variables, learner.stream.domains[number].train, number))


def _replay(learner: Learner, state: State, number: int, settings: Settings) -> State:
  """Fine-tunes also on stored windows of earlier domains.

  A stored window counts as much as a new one: a repeated half of new ones forgets more.
  """
  new, stored = learner.stream.domains[number].train, part(state, 'replay')
  windows = concatenate([memory.read_windows(stored), new]) if stored else new
  model = learner.train(learner.grow(state, number), windows, number)
  replay = memory.store(stored, new, number, most_bytes=1000 * settings.memory_kb, seed=settings.seed)
  return under('model', model) | under('replay', replay)


def _router(learner: Learner, state: State, number: int, settings: Settings) -> State:
  """Adds an adapter of the domain; the nearest features choose one."""
  domain = learner.stream.domains[number]
  features, labels = learner.features(domain.train), domain.train['label']
  means = memory.add_means(part(state, 'router'), features, labels, number)
  trained = learner.train(learner.start_with(domain.labels), domain.train, number)
  adapter = {path: leaf.astype(np.float16) for path, leaf in trained.items()}
  return state | under(f'adapter_{number}', adapter) | under('router', means)


def _joint(learner: Learner, state: State, number: int, settings: Settings) -> State:
  """Stores everything, and trains once, after the last domain, with as many steps as the others in all."""
  new, stored = learner.stream.domains[number].train, part(state, 'windows')
  windows = concatenate([stored, new]) if stored else new
  count = len(learner.stream.domains)
  if number < count - 1:
    return under('windows', windows)
  start = learner.start_with(learner.stream.seen(count))
  model = learner.train(start, windows, number, steps=count * learner.steps)
  return under('windows', windows) | under('model', model)


STRATEGIES: dict[str, Learn] = {
  'sequential': _sequential,
  'replay': _replay,
  'router': _router,
  'joint': _joint,
}


def logits(learner: Learner, state: State, windows: Batch) -> Float[np.ndarray, 'w y']:
  """Logits of the model, or of the adapter that the router chooses for each recording."""
  if model := part(state, 'model'):
    return learner.logits(model, windows)
  domains = memory.route(part(state, 'router'), learner.features(windows), windows['recording'])
  predicted = np.zeros((len(domains), len(learner.stream.classes)), np.float32)
  for number in np.unique(domains):
    indices = np.flatnonzero(domains == number)
    adapter = as_float32(part(state, f'adapter_{number}'))
    predicted[indices] = learner.logits(adapter, {name: array[indices] for name, array in windows.items()})
  return predicted


def as_float32(adapter: State) -> Variables:
  return {path: leaf.astype(np.float32) for path, leaf in adapter.items()}
