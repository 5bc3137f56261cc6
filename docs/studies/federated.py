"""Measure federations, write results/federated.csv, and fill the table of docs/results/federated.md.

python docs/studies/federated.py --windows=<folder of har-jax prepare>
python docs/studies/federated.py --nomeasure

Rows that the table has are not measured again, and an interrupted federation goes on. Needs the extra
`federated`, and some hours.
"""

import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
import pandas as pd
import study

from har_jax.datasets.batches import Batch, concatenate
from har_jax.federated.federation import Federation
from har_jax.federated.people import Archive, People, read
from har_jax.federated.task import Task, load_task
from har_jax.report import csv_table, markdown
from har_jax.variables import Variables

sys.path.insert(0, str(study.ROOT / 'tests' / 'federated'))

import flower_processes  # the processes of the tests

FLAGS, _define = study.new_flags()
_WINDOWS = _define('windows', 'windows')
_UNFINISHED = study.ROOT / 'runs' / 'federated'
TABLE, PAGE = study.places('federated')
_LABELS, _ROUNDS = 10, 20
_OTHERS = ('motionsense', 'wisdm')
_SETTINGS = ['method', 'rank', 'local_steps', 'seed']
_KEY = ['archive', 'labels_per_activity', 'missing', *_SETTINGS, 'way']
_MOST = {'pdiot': 20}  # clients of an archive that has more
_REFERENCES = ('base head', 'alone', 'pooled')
_COUNTED_ROUNDS = 2
# Of a person alone, and of all windows in one place; the latter are many more, so that it takes more steps.
_STEPS_ALONE, _STEPS_POOLED = 100, 400
# The case whose bytes are also counted between processes: of two people of HAPT.
_COUNTED: dict[str, Any] = {
  **{'archive': 'hapt', 'labels_per_activity': _LABELS, 'missing': 0, 'seed': 0, 'way': 'average'},
  **{'method': 'lora', 'rank': 32, 'local_steps': 5},
}
_KINDS = ('bytes', 'serialized')  # of a client in a round: of the arrays, and of the whole message
_SCORES = (
  f'If nothing else is named: {_ROUNDS} rounds of LoRA with rank 32, a learning rate of 3e-3, and 5 steps of '
  'a client in a round. “Alone” and “pooled” have that rate too. '
  '“Labels” are the labeled windows of each activity and client, or the first half of all. “Missing” are '
  'activities that each client has no label of. Macro-F1 is on people who never took part, and on the '
  'clients’ own later windows: the mean of the clients, and the worst one. “Gain” is the share of what '
  'pooling gains over training alone, on people who never took part. It is the mean over the seeds. “Rounds” '
  'are those until the validation macro-F1 is at 95 % of its end.'
)
_COSTS = (
  'Megabytes from a client in a round; as many go to it. “Arrays” are the arrays as NumPy writes them. '
  '“Messages” are all objects that Flower makes of a message in the last round. '
  '“Sockets” are counted between processes, a SuperLink and two SuperNodes, with all that Flower sends. '
  '“Of full” compares the arrays with those of training all weights. Seconds are of one process that trains '
  'one client after another, on a machine that was busy.'
)


def _cases() -> Iterator[dict[str, Any]]:
  """Lists what is measured."""
  ways, one = (*_REFERENCES, 'average'), _COUNTED
  for seed in range(3):
    for way in ways:
      yield one | {'seed': seed, 'way': way}
  for seed in range(3):
    yield one | {'seed': seed, 'local_steps': 10}
  yield from (one | {'method': method} for method in ('qlora', 'full'))
  yield one | {'rank': 8}
  yield from (one | {'archive': 'pdiot', 'way': way} for way in ways)
  for seed in range(3):
    yield from (one | {'way': way, 'missing': 3, 'seed': seed} for way in ways)
    for archive in _OTHERS:
      yield from (one | {'archive': archive, 'way': way, 'seed': seed} for way in ways)
  for archive in ('hapt', 'wisdm'):
    yield from (one | {'archive': archive, 'way': way, 'labels_per_activity': 0} for way in ways)


def _measure_all() -> None:
  windows = pathlib.Path(_WINDOWS.value)
  rows = study.resume(TABLE, _cases(), lambda case: _measured(case, windows), _KEY)
  for row in rows:
    if row.items() >= _COUNTED.items() and pd.isna(row.get('socket_to_client')):
      row |= _at_sockets(row, windows)
      study.write(TABLE, rows)
      print(row, flush=True)


def _measured(case: dict[str, Any], windows: pathlib.Path) -> list[dict[str, Any]]:
  """The case's row; a reference brings those of all references."""
  shared = {name: case[name] for name in _SETTINGS} | {'rounds': _ROUNDS}
  labels, missing, target = case['labels_per_activity'], case['missing'], case['archive']
  archive = Archive(windows, target, labels, case['seed'], missing, most=_MOST.get(target))
  clients = read(archive)
  if case['way'] in _REFERENCES:
    rows = list(_references(Federation(clients.classes, **shared), clients))
  else:
    federation = Federation(clients.classes, **shared)
    out = _UNFINISHED / '-'.join(str(case[name]) for name in _KEY)
    rows = [_federation_row(federation, archive, out)]
    shutil.rmtree(out)  # or rows that are deleted from the table would be read, not measured again
  made = {'clients': len(clients.clients), 'jax': jax.__version__}
  return [case | made | row for row in rows]


def _references(federation: Federation, people: People) -> Iterator[dict[str, Any]]:
  """The rows of the base's own head, of each client alone, and of all clients' windows in one place."""
  task = load_task(federation, None)
  yield _reference_row('base head', task, people, [task.start] * len(people.clients), 0.0)

  def fit(windows: Batch, *, seed: int, steps: int) -> Variables:
    return task.training.run(task.start, windows, seed=seed, steps=steps, total=steps)[0]

  begun_s = time.monotonic()
  alone = [fit(person.train, seed=person.number, steps=_STEPS_ALONE) for person in people.clients]
  yield _reference_row('alone', task, people, alone, time.monotonic() - begun_s)
  begun_s = time.monotonic()
  parts = [person.train for person in people.clients]
  pooled = fit(concatenate(parts), seed=federation.seed, steps=_STEPS_POOLED)
  yield _reference_row('pooled', task, people, [pooled] * len(people.clients), time.monotonic() - begun_s)


def _federation_row(federation: Federation, archive: Archive, out: pathlib.Path) -> dict[str, Any]:
  """The row of a federation of an archive's people, run in Flower's simulation."""
  from har_jax.federated.server import Server  # late: it imports Flower
  from har_jax.federated.simulation import simulate

  people = read(archive)

  def measure(task: Task, variables: Variables) -> float:
    return task.measure(variables, people.validation).macro_f1

  adapter = simulate(Server(federation, out, measure=measure), archive)
  task, card = load_task(federation, None), adapter.card.federated
  assert card is not None
  shared = {path: np.asarray(adapter.variables[path]) for path in task.start}
  history, later = card.history, [client.macro_f1 for client in card.later or ()]
  scores = [entry.validation_macro_f1 or 0.0 for entry in history]
  enough = scores[-1] * 0.95
  return {
    'way': 'average',
    'unseen_macro_f1': task.measure(shared, people.unseen).macro_f1,
    'later_macro_f1': float(np.mean(later)),
    'worst_later_macro_f1': min(later),
    **{
      f'{kind}_{way}_client': getattr(history[-1], f'{kind}_{way}_client')
      for kind in _KINDS
      for way in ('to', 'from')
    },
    'rounds_to_95': next(
      entry.round for entry, score in zip(history, scores, strict=True) if score >= enough
    ),
    'seconds': sum(entry.seconds for entry in history),
  }


def _reference_row(
  way: str, task: Task, people: People, models: list[Variables], seconds: float
) -> dict[str, Any]:
  """models: of each client; they may be one and the same, which is then measured once."""
  distinct = {id(model): model for model in models}
  unseen = [task.measure(model, people.unseen).macro_f1 for model in distinct.values()]
  later = [
    task.measure(model, person.later).macro_f1 for model, person in zip(models, people.clients, strict=True)
  ]
  return {
    'way': way,
    'unseen_macro_f1': float(np.mean(unseen)),
    'later_macro_f1': float(np.mean(later)),
    'worst_later_macro_f1': min(later),
    'seconds': seconds,
  }


def _at_sockets(row: dict[str, Any], windows: pathlib.Path) -> dict[str, float]:
  """Bytes to and from a client in a round, of real processes. What is no update is spread over the rounds."""
  names = [
    f'windows="{windows.resolve()}" target="hapt" person="{person}" labels={_LABELS}' for person in (1, 2)
  ]
  settings = f'method="{row["method"]}" rank={row["rank"]} rounds={_COUNTED_ROUNDS} local_steps=5'
  with tempfile.TemporaryDirectory() as folder:
    processes = flower_processes.Processes(pathlib.Path(folder) / 'made', names, settings)
    try:
      processes.start_link()
      for number in range(len(names)):
        processes.start_node(number)
      processes.run()
      processes.wait(lambda: bool(processes.card.get('later')))
      history = processes.card['history']
    finally:
      processes.close()
  assert all(entry['clients'] == [0, 1] for entry in history), history
  # The adapter is sent once more, to test it.
  sent = sum(processes.sent.values()) / len(names) / (_COUNTED_ROUNDS + 1)
  received = sum(processes.received.values()) / len(names) / _COUNTED_ROUNDS
  return {'socket_to_client': round(sent), 'socket_from_client': round(received)}


def block() -> str:
  """What was measured, and two tables, of scores and of costs: means over the seeds."""
  rows = _with_gain(csv_table.read(TABLE))
  group = [name for name in _KEY if name != 'seed']
  archive = rows.groupby('archive', sort=False).ngroup()
  rows = rows.assign(archive_number=archive, is_half=rows['labels_per_activity'] == 0)
  rows = rows.sort_values(['archive_number', 'is_half', 'missing'], kind='stable')
  parts = [part for _, part in rows.groupby(group, sort=False)]
  full = rows[rows['method'] == 'full']['bytes_from_client'].mean()
  costs = [_costs(part, full) for part in parts if _has_costs(part.iloc[0])]
  scores = f'{_SCORES} JAX {", ".join(sorted(rows["jax"].unique()))}.'
  texts = (scores, _table(map(_scores, parts)), _COSTS, _table(costs))
  return '\n\n'.join(texts)


def _table(rows: Iterable[dict[str, str]]) -> str:
  return markdown.tabulated(pd.DataFrame(list(rows)))


def _with_gain(rows: pd.DataFrame) -> pd.DataFrame:
  """The rows with the gain of each federation, in percent, over the references of the same seed."""
  same = ['archive', 'labels_per_activity', 'missing', 'seed']
  scores = rows[rows['way'].isin(_REFERENCES)].pivot(index=same, columns='way', values='unseen_macro_f1')
  joined = rows.join(scores, on=same)
  gain = 100 * (rows['unseen_macro_f1'] - joined['alone']) / (joined['pooled'] - joined['alone'])
  return rows.assign(gain=gain.where(~rows['way'].isin(_REFERENCES)))


def _training(part: pd.DataFrame) -> str:
  """The way to train, and what differs from LoRA of rank 32 with five steps and a shared head."""
  row = part.iloc[0]
  differs = {
    'full': row['method'] == 'full',
    'QLoRA': row['method'] == 'qlora',
    f'rank {row["rank"]}': row['rank'] != 32,
    f'{row["local_steps"]} steps': row['local_steps'] != 5,
  }
  return ', '.join([row['way'], *(name for name, holds in differs.items() if holds)])


def _scores(part: pd.DataFrame) -> dict[str, str]:
  row, mean = part.iloc[0], part.mean(numeric_only=True)
  return {
    'dataset': row['archive'],
    'labels': str(row['labels_per_activity'] or 'half'),
    'missing': str(row['missing']),
    'clients': str(row['clients']),
    'training': _training(part),
    'seeds': str(len(part)),
    'unseen people': study.number(mean['unseen_macro_f1']),
    'later windows': study.number(mean['later_macro_f1']),
    'worst client': study.number(mean['worst_later_macro_f1']),
    'gain, %': study.number(mean['gain'], '{:.0f}'),
    'rounds': study.number(mean['rounds_to_95'], '{:.1f}'),
  }


def _has_costs(row: pd.Series) -> bool:
  return row['way'] not in _REFERENCES and (row['labels_per_activity'], row['missing']) == (_LABELS, 0)


def _costs(part: pd.DataFrame, full: float) -> dict[str, str]:
  """full: bytes that a client sends in a round where all weights are trained."""
  row, mean = part.iloc[0], part.mean(numeric_only=True)
  columns = {
    'arrays': 'bytes_from_client',
    'messages': 'serialized_from_client',
    'sockets, to': 'socket_to_client',
    'sockets, from': 'socket_from_client',
  }
  return {
    'dataset': row['archive'],
    'training': _training(part),
    **{name: study.number(mean[column] / 1e6, '{:.2f}') for name, column in columns.items()},
    'of full, %': study.number(100 * mean['bytes_from_client'] / full, '{:.0f}'),
    'seconds': study.number(mean['seconds'], '{:.0f}'),
  }


if __name__ == '__main__':
  study.run(__name__, _measure_all)
