"""Measure what one lying client of five does to a federation, and fill its table on the page of results.

python docs/studies/poison.py --windows=<folder of har-jax prepare>
python docs/studies/poison.py --nomeasure

The clients train and are aggregated as `har-jax federate` does it, in one process. Takes half an hour.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import study

from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.federated import aggregation
from har_jax.federated.federation import Federation
from har_jax.federated.people import Archive, People, Person, read
from har_jax.federated.task import Task, load_task
from har_jax.report import csv_table, markdown
from har_jax.variables import Variables

FLAGS, _define = study.new_flags()
_WINDOWS = _define('windows', 'windows')
TABLE, PAGE = study.places('poison')[0], study.places('federated')[1]
_CLIENTS, _CLAIMED, _LABELS = 5, 10**6, 10
_SETTINGS: dict[str, Any] = {'rank': 8, 'rounds': 3}
_BELIEVED, _KEY = 'all is believed', ('lie', 'defense')
# The mean of updates as they come, by the windows that clients claim; then what a federation can do.
DEFENSES: dict[str, dict[str, Any]] = {
  'default': {},
  _BELIEVED: {'most_norm': 0.0},
  'median': {'robust': 'median'},
  'trimmed_mean': {'robust': 'trimmed_mean'},
  'multi_krum': {'robust': 'multi_krum'},
  'clip_norm=1': {'clip_norm': 1.0, 'noise_multiplier': 0.01, 'equal_weights': True},
}
# What the first client does: whether its labels are reversed, times what it moves, and the windows it claims.
LIES: dict[str, tuple[bool, float, int | None]] = {
  'honest': (False, 1.0, None),
  'flipped labels': (True, 1.0, None),
  'flipped, claims 10⁶ windows': (True, 1.0, _CLAIMED),
  'update × 10': (False, 10.0, None),
  'update × 10⁶': (False, 1e6, None),
}


@functools.cache
def _people_and_task() -> tuple[People, Task]:
  people = read(Archive(pathlib.Path(_WINDOWS.value), 'hapt', _LABELS, 0, most=_CLIENTS))
  return people, load_task(Federation(people.classes, **_SETTINGS), None)


def _measure(lie: str, defense: str) -> float:
  people, task = _people_and_task()
  federation = Federation(people.classes, **_SETTINGS | DEFENSES[defense])
  variables = train(task, federation, people.clients, lie, is_checked=defense != _BELIEVED)
  return task.measure(variables, people.unseen).macro_f1


def train(
  task: Task, federation: Federation, people: Sequence[Person], lie: str, *, is_checked: bool
) -> Variables:
  """The variables after all rounds. is_checked: updates are checked and bounded as the server does."""
  flips, factor, claimed = LIES[lie]
  variables, aggregate = task.start, aggregation.aggregate if is_checked else _believe
  for done in range(federation.rounds):
    updates, windows = [], []
    for person in people:
      lies = person.number == 0
      try:
        batch = _flip(person.train, len(federation.classes)) if lies and flips else person.train
        update, _ = task.fit(variables, batch, number=person.number, done=done)
        change = factor if lies else 1.0
        update = {path: _extend(variables[path], update[path], change) for path in sorted(update)}
        if is_checked:
          aggregation.check_update(update, task.start)
      except UserError as error:  # the client is left out of the round
        print(lie, error, flush=True)
        continue
      updates.append(update)
      windows.append(claimed if lies and claimed else len(person.train['label']))
    if updates:
      variables = aggregate(updates, windows, variables, federation, np.random.default_rng(done))
  return variables


def _extend(start: np.ndarray, leaf: np.ndarray, factor: float) -> np.ndarray:
  return leaf if factor == 1 else (start + factor * (leaf - start)).astype(leaf.dtype)


def _believe(updates: Sequence[Variables], windows: Sequence[int], start: Variables, *_: Any) -> Variables:
  return aggregation.average(updates, aggregation.client_weights(windows, equal=False))


def _flip(batch: Batch, classes: int) -> Batch:
  return batch | {'label': classes - 1 - batch['label']}


def _measure_all() -> None:
  cases = ({'lie': lie, 'defense': defense} for defense in DEFENSES for lie in LIES)
  study.resume(TABLE, cases, lambda case: [case | {'macro_f1': round(_measure(**case), 4)}], _KEY)


def block() -> str:
  """A row for each lie, a column for each defense that was measured."""
  table = csv_table.read(TABLE).pivot(index='lie', columns='defense', values='macro_f1')
  table = table.loc[list(LIES), [defense for defense in DEFENSES if defense in table]]
  return markdown.tabulated(table.map(study.number).reset_index().rename(columns={'lie': 'first client'}))


if __name__ == '__main__':
  study.run(__name__, _measure_all)
