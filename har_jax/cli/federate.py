"""Adapt to many people whose recordings stay with them: federated training, simulated on one machine.

har-jax federate --windows=windows --target=hapt
har-jax federate --windows=windows --target=hapt --method=qlora --rounds=5
"""

import pathlib
from typing import Any

from har_jax.cli import command, user_files
from har_jax.cli.command import HELP
from har_jax.errors import UserError, counted, require
from har_jax.federated.federation import Federation

COMMON = 'windows target base method rounds local_steps participation labels_per_activity out'
FLAGS, _define = command.new_flags(with_json=True)
_WINDOWS = _define('windows', 'windows')
_TARGET = _define('target', None, 'dataset whose people are the clients; some of them never take part')
_BASE = _define('base', None, f'{HELP["base"]} (default: the bundled base)')
_federation = command.define_fields(FLAGS, Federation)
_LABELS = _define('labels_per_activity', 10, lower_bound=0)
_WORKERS = _define('workers', 1, 'processes that train clients, each on one core', lower_bound=1)
_OUT = _define('out', 'runs/federated', 'folder for the adapter; an unfinished federation there goes on')


def main() -> dict[str, object]:
  if _TARGET.value is None:
    raise UserError('--target= the dataset whose people are the clients, such as hapt')
  entries = _federation()
  user_files.check_given('base', _BASE.value)
  for package in ('flwr', 'ray'):  # the extra `dev` has Flower without its simulation
    require(package, "federate needs Flower's simulation: pip install 'har_jax[federated]'")
  import numpy as np

  from har_jax import records
  from har_jax.datasets.datasets import Datasets
  from har_jax.federated import people, simulation
  from har_jax.federated.server import Server
  from har_jax.federated.task import load_task

  windows = pathlib.Path(_WINDOWS.value)
  datasets = Datasets.open(windows)
  archive = people.Archive(windows, _TARGET.value, _LABELS.value, entries['seed'])
  everyone = people.read(archive)
  federation = Federation(everyone.classes, **entries)
  print(
    f'{counted(len(everyone.clients), "client")}; never taking part: '
    f'{counted(len(everyone.unseen["label"]), "window")} of others.'
  )
  task = load_task(federation, _BASE.value)
  datasets.check_windowing([_TARGET.value], task.training.base.model.windowing)
  user_files.warn_of_known_people(task.training.base.card, [datasets[_TARGET.value]])

  def measure(task, variables) -> float:
    return task.measure(variables, everyone.validation).macro_f1

  out = pathlib.Path(_OUT.value)
  server = Server(federation, out, _BASE.value, measure=measure, report=_print_round)
  adapter = simulation.simulate(server, archive, workers=_WORKERS.value)
  results = {'out': out, **records.to_json(adapter.card.federated or {})}
  unseen = task.measure({path: np.asarray(adapter.variables[path]) for path in task.start}, everyone.unseen)
  results['unseen'] = records.to_json(unseen)
  print(f'People who never took part: macro-F1 {unseen.macro_f1:.3f}, accuracy {unseen.accuracy:.3f}.')
  if later := results.get('later'):
    scores = [client['macro_f1'] for client in later]
    print(f"Clients' later windows: macro-F1 {np.mean(scores):.3f} on average, {min(scores):.3f} at worst.")
  if federation.clip_norm:
    results['epsilon'], delta = federation.epsilon(len(everyone.clients))
    print(f'Differential privacy of each client: epsilon {results["epsilon"]:.2f} at delta {delta:.1g}.')
  print(out / 'adapter.json')
  return results


def _print_round(entry: Any) -> None:
  megabytes = (entry.bytes_to_client + entry.bytes_from_client) / 1e6
  loss = '–' if entry.loss is None else f'{entry.loss:.3f}'
  print(
    f'round {entry.round}: {len(entry.clients)} of {counted(entry.asked, "client")}, loss {loss}, validation '
    f'macro-F1 {entry.validation_macro_f1:.3f}, {megabytes:.2f} MB a client, {entry.seconds:.1f} s',
    flush=True,
  )
  for refused in entry.refused:
    print(f'  refused: {refused}', flush=True)
