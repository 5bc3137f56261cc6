"""A federation compared with each person alone, with all windows in one place, and with the base's own head.

A row of the table is one way to train, for one archive and seed.
"""

import pathlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from har_jax.federated.people import Archive, People, read
from har_jax.federated.task import Federation, Task, load_task
from har_jax.variables import Variables

# Of a person alone, and of all windows in one place; the latter are many more, so that it takes more steps.
_STEPS_ALONE, _STEPS_POOLED = 100, 400
_KINDS = ('bytes', 'serialized')  # of a client in a round: of the arrays, and of the whole message


def references(federation: Federation, people: People) -> Iterator[dict[str, Any]]:
  """The rows of the base's own head, of each client alone, and of all clients' windows in one place."""
  task = load_task(federation, None, None)
  yield _row('base head', task, people, [task.start] * len(people.clients), 0.0)
  begun_s = time.monotonic()
  alone = [task.fit_alone(person.train, seed=person.number, steps=_STEPS_ALONE) for person in people.clients]
  yield _row('alone', task, people, alone, time.monotonic() - begun_s)
  begun_s = time.monotonic()
  parts = [person.train for person in people.clients]
  together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
  pooled = task.fit_alone(together, seed=federation.seed, steps=_STEPS_POOLED)
  yield _row('pooled', task, people, [pooled] * len(people.clients), time.monotonic() - begun_s)


def federated(
  federation: Federation,
  folder: pathlib.Path,
  target: str,
  *,
  labels: int,
  missing: int,
  out: pathlib.Path,
  most: int | None = None,
) -> dict[str, Any]:
  """The row of a federation of an archive's people, run in Flower's simulation."""
  from har_jax.federated.server import Server  # late: it imports Flower
  from har_jax.federated.simulation import simulate

  archive = Archive(folder, target, labels, federation.seed, missing, most=most)
  people = read(archive)

  def measure(task: Task, variables: Variables) -> float:
    return task.measure(variables, people.validation)['macro_f1']

  adapter = simulate(Server(federation, out, measure=measure), archive)
  task, card = load_task(federation, None, None), adapter.card['federated']
  shared = {path: np.asarray(adapter.variables[path]) for path in task.start}
  history, later = card['history'], [each['macro_f1'] for each in card['later']]
  scores = [entry['validation_macro_f1'] for entry in history]
  enough = scores[-1] * 0.95
  return {
    'way': federation.aggregation,
    # With personal heads there is none for a person who never took part.
    'unseen_macro_f1': None if federation.personal_head else task.measure(shared, people.unseen)['macro_f1'],
    'later_macro_f1': float(np.mean(later)),
    'worst_later_macro_f1': min(later),
    **{
      f'{kind}_{way}_client': history[-1][f'{kind}_{way}_client'] for kind in _KINDS for way in ('to', 'from')
    },
    'rounds_to_95': next(entry['round'] for entry in history if entry['validation_macro_f1'] >= enough),
    'seconds': sum(entry['seconds'] for entry in history),
  }


def _row(way: str, task: Task, people: People, models: list[Variables], seconds: float) -> dict[str, Any]:
  """models: of each client; they may be one and the same, which is then measured once."""
  distinct = {id(model): model for model in models}
  unseen = [task.measure(model, people.unseen)['macro_f1'] for model in distinct.values()]
  later = [
    task.measure(model, person.later)['macro_f1']
    for model, person in zip(models, people.clients, strict=True)
  ]
  return {
    'way': way,
    'unseen_macro_f1': float(np.mean(unseen)),
    'later_macro_f1': float(np.mean(later)),
    'worst_later_macro_f1': min(later),
    'seconds': seconds,
  }
