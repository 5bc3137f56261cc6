"""Server and clients on Flower's messages, in one process: rounds, refusals, a server that is restarted."""

import dataclasses
import functools
import pathlib
import time
from typing import Any

import numpy as np
import pytest
from flower_grid import Arrays, MemoryGrid, read_end
from flwr.app import Context, MetricRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from made_people import CLASSES, QUICK, save_base

from har_jax import files
from har_jax.errors import UserError
from har_jax.federated import aggregation, client, people
from har_jax.federated import server as server_app
from har_jax.federated.federation import Federation
from har_jax.federated.server import Server, run
from har_jax.federated.task import Task, load_task
from har_jax.recognizer.recognizer import Recognizer


def test_the_rounds_end_with_an_adapter_of_all_clients(grid, server):
  made = server()
  run(made, grid)
  variables, card = read_end(made)
  assert [entry.round for entry in card.history] == [1, 2, 3]
  assert all(entry.clients == [0, 1, 2, 3, 4, 5] and not entry.refused for entry in card.history)
  losses = [entry.loss for entry in card.history]
  assert losses[-1] < losses[0]
  assert [scores.client for scores in card.later] == [0, 1, 2, 3, 4, 5]
  task = load_task(made.federation, made.base)
  sent = sum(leaf.nbytes for leaf in task.start.values())
  for entry in card.history:
    for way in ('to', 'from'):
      arrays, serialized = getattr(entry, f'bytes_{way}_client'), getattr(entry, f'serialized_{way}_client')
      assert sent < arrays < sent + 200 * len(task.start)
      assert arrays < serialized < arrays + 1000 * (len(task.start) + 1)
  assert all(not np.array_equal(variables[path], leaf) for path, leaf in task.start.items())
  assert Recognizer.load(made.out).predict(np.ones((2, 128, 6))).shape == (2,)


def test_a_client_trains_on_its_windows_and_is_measured_on_its_later_ones(grid, server, archive, monkeypatch):
  fitted, measured, fit, measure = [], [], Task.fit, Task.measure

  def record_fit(self: Task, variables: Any, windows: Any, *, number: int, done: int) -> Any:
    fitted.append((number, done, windows['signal'].tobytes()))
    return fit(self, variables, windows, number=number, done=done)

  def record_measure(self: Task, variables: Any, windows: Any) -> Any:
    measured.append(windows['signal'].tobytes())
    return measure(self, variables, windows)

  monkeypatch.setattr(Task, 'fit', record_fit)

  rounds, aggregate = list[tuple[Any, Any]](), aggregation.aggregate
  monkeypatch.setattr(
    aggregation, 'aggregate', lambda *given: rounds.append((given[2], aggregate(*given))) or rounds[-1][1]
  )
  monkeypatch.setattr(Task, 'measure', record_measure)
  run(server(rounds=2), grid)
  assert rounds[1][0] is rounds[0][1]  # changes of the second round are those from the first one's end
  clients = people.read(archive).clients
  own = {client.number: client.train['signal'].tobytes() for client in clients}
  assert sorted(fitted) == [(number, done, own[number]) for number in range(6) for done in (0, 1)]
  assert sorted(measured) == sorted(client.later['signal'].tobytes() for client in clients)


def test_serialized_bytes_are_those_of_all_objects_that_flower_makes_of_a_message():
  arrays = client.written({f'params/head/{name}': np.full(9, number) for number, name in enumerate('abc')})
  content = RecordDict({'arrays': arrays, 'metrics': MetricRecord({'loss': 0.5, 'windows': 3})})
  objects = get_all_nested_objects(content)
  assert len(objects) == 2 * 3 + 3  # each array and its bytes; both records, and what holds them
  assert client.serialized_bytes(content) == sum(len(part.deflate()) for part in objects.values())


def test_the_clients_of_a_round_are_drawn(grid, server):
  run(server(participation=0.5), grid)
  assert [len(clients) for clients in grid.asked] == [3, 3, 3]
  assert len({tuple(clients) for clients in grid.asked}) > 1
  first = grid.asked
  grid.asked = []
  run(server('again', participation=0.5), grid)
  assert grid.asked == first
  grid.asked, grid.timeouts = [], []
  run(dataclasses.replace(server('one', participation=0.01), timeout_s=7.5), grid)
  assert [len(clients) for clients in grid.asked] == [1, 1, 1]
  assert set(grid.timeouts) == {7.5}


def test_the_rounds_wait_until_all_are_connected(grid, server, monkeypatch):
  waited, nodes = [], grid.get_nodes()
  monkeypatch.setattr(time, 'sleep', waited.append)
  grid.get_nodes = lambda: nodes[: 3 * len(waited)]
  run(server(rounds=1), grid)
  assert (waited, grid.asked) == ([1, 1], [[0, 1, 2, 3, 4, 5]])


@pytest.mark.parametrize(
  ('config', 'expected'),
  [
    (
      {**QUICK, 'out': 'out', 'base': 'folder', 'clients': 6, 'timeout_s': 7.5},
      Server(Federation(CLASSES, **QUICK), pathlib.Path('out'), 'folder', clients=6, timeout_s=7.5),
    ),
    (
      {'out': 'out', 'base': ''},
      Server(Federation(CLASSES), pathlib.Path('out'), None, clients=2, timeout_s=600.0),
    ),
  ],
)
def test_the_app_of_the_server_reads_the_configuration_of_its_run(config, expected, grid, monkeypatch):
  ran = []
  monkeypatch.setattr(server_app, 'run', lambda *arguments: ran.append(arguments))
  server_app.main(grid, Context(1, 1, {}, RecordDict(), config | {'classes': ','.join(CLASSES)}))
  assert ran == [(expected, grid)]


def test_a_node_reads_its_configuration(windows, base):
  node = {'windows': str(windows), 'target': 'made', 'person': 'p3', 'partition-id': 7, 'labels': 4}
  federation, context = Federation(CLASSES), Context(1, 1, node, RecordDict(), {})
  person, no_base = client._from_node(context, federation)
  named = people.read_person(windows, 'made', 'p3', classes=CLASSES, labels=4, number=7)
  assert (person.number, no_base) == (7, None)
  np.testing.assert_array_equal(person.train['signal'], named.train['signal'])
  context.node_config = {**node, 'base': str(base)}
  assert client._from_node(context, federation)[1] == str(base)
  context.node_config = {'windows': 'here', 'person': 'p3'}
  with pytest.raises(UserError, match='the configuration of the node lacks target, partition-id; give them'):
    client._from_node(context, federation)


def test_a_restarted_server_ends_with_the_same_adapter(grid, server):
  run(server(), grid)
  interrupted = server('interrupted')
  grid.asked, grid.lost_after = [], 2
  with pytest.raises(KeyboardInterrupt):
    run(interrupted, grid)
  assert len(read_end(interrupted)[1].history) == 2
  grid.lost_after = None
  run(interrupted, grid)
  whole, again = read_end(server()), read_end(interrupted)
  assert [entry.loss for entry in whole[1].history] == [entry.loss for entry in again[1].history]
  for path, leaf in whole[0].items():
    np.testing.assert_array_equal(leaf, again[0][path])


@pytest.fixture
def interrupted(grid, server) -> Server:
  """One that was stopped after its last round."""
  stopped = server()
  grid.lost_after = 3
  with pytest.raises(KeyboardInterrupt):
    run(stopped, grid)
  grid.lost_after = None
  return stopped


def test_a_server_that_was_stopped_after_the_last_round_tests_the_clients(grid, interrupted):
  run(interrupted, grid)
  _, card = read_end(interrupted)
  assert (len(card.history), len(card.later), len(grid.asked)) == (3, 6, 3)


def test_a_client_that_has_gone_after_the_last_round_is_not_waited_for_forever(grid, interrupted):
  run(dataclasses.replace(interrupted, clients=7, timeout_s=0.5), grid)
  assert len(read_end(interrupted)[1].later) == 6


def test_a_folder_of_another_federation_or_base_is_refused(grid, server, drawn, tmp_path):
  made = server(rounds=1)
  run(made, grid)
  base = save_base(tmp_path / 'other', lambda init: {path: leaf + 1 for path, leaf in drawn(init).items()})
  for name, other in (
    ('seed', server(rounds=1, seed=1)),
    ('base', dataclasses.replace(made, base=str(base))),
  ):
    with pytest.raises(UserError, match=rf'made with other settings \({name}\); give another --out'):
      run(other, grid)


def _not_finite(arrays: Arrays) -> Arrays:
  return {path: np.full_like(leaf, np.nan) for path, leaf in arrays.items()}


def test_the_others_go_on_without_clients_that_are_gone_or_send_a_damaged_update(grid, server):
  made, grid.damage[2], grid.silent = server(rounds=1), _not_finite, {0, 1}
  run(made, grid)
  variables, card = read_end(made)
  (entry,) = card.history
  assert entry.clients == [3, 4, 5]
  *gone, damaged = entry.refused
  assert gone == ['client at node 100: no answer', 'client at node 99: no answer']
  assert damaged.startswith('client at node 98: ')
  assert damaged.endswith(' is not finite')
  assert all(np.isfinite(leaf).all() for leaf in variables.values())


def test_without_any_update_the_variables_stay(grid, server):
  made = server(rounds=1)
  grid.damage = dict.fromkeys(range(6), _not_finite)
  run(made, grid)
  variables, card = read_end(made)
  assert (card.history[0].clients, card.history[0].loss) == ([], None)
  for path, leaf in load_task(made.federation, made.base).start.items():
    np.testing.assert_array_equal(variables[path], leaf)


def test_a_client_with_another_base_is_refused_with_the_reason(archive, base, tmp_path, server):
  first = files.load_base(base)
  path = 'params/encoder/block_0/up/kernel'
  files.save_base(tmp_path / 'other', first.variables | {path: first.variables[path] + 1}, first.card)
  made = server(rounds=1)
  run(made, MemoryGrid(archive, tmp_path / 'other'))
  (entry,) = read_end(made)[1].history
  assert len(entry.refused) == 6
  assert 'take the same base' in entry.refused[0]


def test_private_rounds_need_all_that_were_asked(grid, server):
  private = functools.partial(server, clip_norm=1.0, noise_multiplier=1.0, equal_weights=True, rounds=1)
  grid.silent = {3}
  run(private(), grid)
  start = load_task(private().federation, private().base).start
  path = 'params/head/dense_0/kernel'
  np.testing.assert_array_equal(read_end(private())[0][path], start[path])
  grid.silent = set()
  ends = []
  for name in ('first', 'second'):
    run(private(name), grid)
    ends.append(read_end(private(name))[0][path])
  assert not np.array_equal(ends[0], ends[1])  # the noise is of no seed
  assert np.abs(ends[0] - start[path]).std() < 1.0
