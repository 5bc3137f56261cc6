"""Flower's simulation, before and beside its rounds: its clients are those of a grid in this process."""

import dataclasses
import importlib.machinery
import importlib.util
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from flwr.app import Context, RecordDict
from in_process import succeed
from made_people import CLASSES, QUICK, save_windows

from har_jax import federated, files
from har_jax.errors import Stopped, UserError
from har_jax.federated import people
from har_jax.federated.federation import Federation
from har_jax.federated.server import run
from har_jax.recognizer.recognizer import Recognizer

_NAME = 'har_jax.federated.simulation'


class _Ray:
  """In place of the package, which is large."""

  __spec__ = importlib.machinery.ModuleSpec('ray', None)  # as every imported module has

  def __init__(self) -> None:
    self.settings: dict[str, Any] = {}
    self.is_shut_down = False

  def init(self, **settings: Any) -> None:
    self.settings = settings

  def shutdown(self) -> None:
    self.is_shut_down = True


@pytest.fixture
def simulation(monkeypatch, grid) -> Iterator[types.ModuleType]:
  before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
  monkeypatch.setitem(sys.modules, 'ray', _Ray())
  spec = importlib.util.find_spec(_NAME)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  monkeypatch.setitem(sys.modules, _NAME, module)
  monkeypatch.setattr(federated, 'simulation', module, raising=False)
  grid.pull_messages = lambda ids: ids

  def run_simulation(server: Callable, client: Callable, count: int, backend_config: dict) -> None:
    assert (count, backend_config) == (6, {'client_resources': {'num_cpus': 1, 'num_gpus': 0}})
    grid._app = client
    server(grid, Context(1, 1, {}, RecordDict(), {}))

  monkeypatch.setattr(module, 'run_simulation', run_simulation)
  yield module
  for number, handler in before.items():
    signal.signal(number, handler)


def test_a_simulation_is_of_the_people_of_the_archive(simulation, server, archive):
  adapter = simulation.simulate(server(), archive, workers=3)
  card = adapter.card.federated
  assert [entry.clients for entry in card.history] == [[0, 1, 2, 3, 4, 5]] * 3
  assert card.data == archive.entries
  settings = simulation.ray.settings
  assert (settings['num_cpus'], settings['object_store_memory']) == (3, 200 * 1024**2)
  assert (settings['include_dashboard'], settings['log_to_driver']) == (False, False)
  assert settings['runtime_env'] == {'env_vars': {'PYTHONPATH': os.pathsep.join(sys.path)}}
  assert simulation.ray.is_shut_down


@pytest.mark.parametrize(
  ('number', 'ends'),
  [
    (signal.SIGTERM, pytest.raises(Stopped, match='last round')),
    (signal.SIGINT, pytest.raises(KeyboardInterrupt)),
  ],
)
def test_a_signal_ends_a_simulation_and_its_thread(
  simulation, server, archive, grid, monkeypatch, number, ends
):
  signal.signal(number, handler := signal.default_int_handler)
  simulate = simulation.run_simulation

  def run_simulation(*arguments: Any, **named: Any) -> None:
    simulate(*arguments, **named)
    assert grid.pull_messages([1]) == [1]
    signal.raise_signal(number)

  monkeypatch.setattr(simulation, 'run_simulation', run_simulation)
  with ends:
    simulation.simulate(server(rounds=1), archive)
  assert (simulation.ray.settings['num_cpus'], simulation.ray.is_shut_down) == (1, True)
  assert signal.getsignal(number) == handler
  with pytest.raises(Stopped, match='has ended'):
    grid.pull_messages([1])


@pytest.mark.parametrize(
  ('changed', 'named'), [({'labels': 6}, 'labels_per_activity'), ({'target': 'again'}, 'target')]
)
def test_a_simulation_of_other_windows_does_not_go_on(
  simulation, grid, server, archive, changed, named, tmp_path
):
  made = server(rounds=1)
  run(dataclasses.replace(made, data=archive.entries), grid)
  save_windows(tmp_path / changed.get('target', 'made'))
  with pytest.raises(UserError, match=rf'made with other settings \({named}\); give another --out'):
    simulation.simulate(made, dataclasses.replace(archive, folder=tmp_path, **changed))
  assert not simulation.ray.settings


def _macro_f1(recognizer: Recognizer, windows: dict[str, np.ndarray]) -> float:
  answers = recognizer.predict(windows['signal'] * np.float32([9.80665] * 3 + [1] * 3))
  return float(sklearn.metrics.f1_score(np.array(CLASSES)[windows['label']], answers, average='macro'))


def test_the_command_prints_what_the_adapter_is_worth(
  simulation, windows, base, archive, tmp_path, monkeypatch
):
  monkeypatch.setattr(Federation, 'epsilon', lambda self, clients: (3.0, 0.1 / clients))
  out = tmp_path / 'out'
  flags = [f'--{name}={value}' for name, value in QUICK.items()]
  private = (
    '--labels_per_activity=4',
    '--workers=2',
    '--equal_weights',
    '--clip_norm=1',
    '--noise_multiplier=0.001',
  )
  printed, _ = succeed(
    'federate', f'--windows={windows}', '--target=made', f'--base={base}', f'--out={out}', *flags, *private
  )
  assert simulation.ray.settings['num_cpus'] == 2
  first, *rounds, unseen, later, privacy, path = printed.splitlines()
  adapter, everyone = files.load_adapter(out), people.read(archive)
  card, recognizer = adapter.card.federated, Recognizer.load(out)
  assert first == '6 clients; never taking part: 108 windows of others.'
  assert [line.partition(',')[0] for line in rounds] == [f'round {n}: 6 of 6 clients' for n in (1, 2, 3)]
  assert f', validation macro-F1 {_macro_f1(recognizer, everyone.validation):.3f}, ' in rounds[-1]
  assert unseen.startswith(
    f'People who never took part: macro-F1 {_macro_f1(recognizer, everyone.unseen):.3f}, accuracy '
  )
  scores = [client.macro_f1 for client in card.later]
  assert scores == pytest.approx([_macro_f1(recognizer, person.later) for person in everyone.clients])
  assert later == (
    f"Clients' later windows: macro-F1 {np.mean(scores):.3f} on average, {min(scores):.3f} at worst."
  )
  assert privacy == 'Differential privacy of each client: epsilon 3.00 at delta 0.02.'
  assert path == f'{out}/adapter.json'
