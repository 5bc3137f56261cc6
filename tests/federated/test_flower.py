"""Server and clients on Flower's messages, in one process: rounds, refusals, a server that is restarted."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from made_people import CLASSES, QUICK, save_base, save_windows

pytest.importorskip('flwr')

from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.task_identity import TaskIdentity

from har_jax import files
from har_jax.errors import UserError
from har_jax.federated import client, people, simulation
from har_jax.federated.federation import Federation
from har_jax.federated.server import Server, run
from har_jax.federated.task import load_task
from har_jax.recognizer.recognizer import Recognizer

_Arrays = dict[str, np.ndarray]
Damage = Callable[[_Arrays], _Arrays]


class _Grid(Grid):
  """Six clients in this process. damage: of a client's updates, by its number, from a round on."""

  def __init__(self, windows: pathlib.Path, base: pathlib.Path, ranks: tuple[int, ...] = ()):
    self.damage: dict[int, Damage] = {}
    self.malicious: dict[int, Callable[[Message], object]] = {}  # changes the reply, which is sent twice
    self.tamper: Callable[[Message], object] = lambda message: None  # of a bad server
    self.silent: set[int] = set()
    self.lost_after: int | None = None
    self.asked: list[list[int]] = []
    everyone = people.read(people.Archive(windows, 'made', labels=4, seed=0)).clients

    def own(context: Context, federation: Federation) -> client.Participant:
      number = int(context.node_config['partition-id'])
      return client.Participant(everyone[number], str(base), ranks[number % len(ranks)] if ranks else None)

    self._app = client.make(own)
    self._contexts = {
      100 - number: Context(1, 100 - number, {'partition-id': number}, RecordDict(), {})
      for number in range(6)
    }

  def get_nodes(self) -> Iterable[NodeInfo]:
    return [
      NodeInfo(node_id=node, registered_at=f'2026-01-0{1 + int(context.node_config["partition-id"])}')
      for node, context in self._contexts.items()
    ]

  def get_node_ids(self) -> Iterable[int]:
    return list(self._contexts)

  def send_and_receive(
    self, messages: Iterable[Message], *, timeout: float | None = None
  ) -> Iterable[Message]:
    messages = list(messages)
    if self.lost_after is not None and len(self.asked) == self.lost_after:
      raise KeyboardInterrupt
    if messages and messages[0].metadata.message_type == 'train':
      self.asked.append([100 - message.metadata.dst_node_id for message in messages])
    return [reply for message in messages for reply in self._reply(message)]

  def _reply(self, message: Message) -> list[Message]:
    context = self._contexts[message.metadata.dst_node_id]
    number = int(context.node_config['partition-id'])
    if number in self.silent:
      return []
    self.tamper(message)
    try:
      reply = self._app(message, context)
    except UserError as error:  # as a SuperNode does
      return [Message(Error(2, str(error)), reply_to=message)]
    if number in self.malicious:
      self.malicious[number](reply)
      return [reply, reply]
    if number in self.damage and 'arrays' in reply.content:
      arrays = self.damage[number](client.read(reply.content['arrays']))
      reply.content['arrays'] = ArrayRecord({path: Array(leaf) for path, leaf in arrays.items()})
    return [reply]

  set_run = run = create_message = push_messages = pull_messages = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def task_identity(monkeypatch: pytest.MonkeyPatch) -> None:
  """What Flower sets in the process of an app; without it, no message can be made."""
  for name in ('_task_id', '_run_id', '_node_id'):
    monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture
def grid(windows: pathlib.Path, base: pathlib.Path) -> _Grid:
  return _Grid(windows, base)


@pytest.fixture
def server(base: pathlib.Path, tmp_path: pathlib.Path) -> Callable[..., Server]:
  def make(name: str = 'out', **changed) -> Server:
    return Server(Federation(CLASSES, **{**QUICK, **changed}), tmp_path / name, str(base), clients=6)

  return make


def _end(server: Server) -> tuple[dict[str, np.ndarray], dict]:
  adapter = files.load_adapter(server.out)
  return {path: np.asarray(leaf) for path, leaf in adapter.variables.items()}, adapter.card.federated


def test_the_rounds_end_with_an_adapter_of_all_clients(grid: _Grid, server: Callable[..., Server]):
  made = server()
  run(made, grid)
  variables, card = _end(made)
  assert [entry.round for entry in card.history] == [1, 2, 3]
  assert all(entry.clients == [0, 1, 2, 3, 4, 5] and not entry.refused for entry in card.history)
  losses = [entry.loss for entry in card.history]
  assert losses[-1] < losses[0]
  assert [each.client for each in card.later] == [0, 1, 2, 3, 4, 5]
  task = load_task(made.federation, made.base, None)
  sent = sum(leaf.nbytes for leaf in task.shared.values())
  for entry in card.history:
    for way in ('to', 'from'):
      arrays, serialized = getattr(entry, f'bytes_{way}_client'), getattr(entry, f'serialized_{way}_client')
      assert sent < arrays < sent + 200 * len(task.shared)
      assert arrays < serialized < arrays + 1000 * (len(task.shared) + 1)
  assert all(not np.array_equal(variables[path], leaf) for path, leaf in task.shared.items())
  assert Recognizer.load(made.out).predict(np.ones((2, 128, 6))).shape == (2,)


def test_serialized_bytes_are_those_of_all_objects_that_flower_makes_of_a_message():
  arrays = client.written({f'params/head/{name}': np.full(9, number) for number, name in enumerate('abc')})
  content = RecordDict({'arrays': arrays, 'metrics': MetricRecord({'loss': 0.5, 'windows': 3})})
  objects = get_all_nested_objects(content)
  assert len(objects) == 2 * 3 + 3  # each array and its bytes; both records, and what holds them
  assert client.serialized_bytes(content) == sum(len(each.deflate()) for each in objects.values())


def test_the_clients_of_a_round_are_drawn(grid: _Grid, server: Callable[..., Server]):
  run(server(participation=0.5), grid)
  assert [len(each) for each in grid.asked] == [3, 3, 3]
  assert len({tuple(each) for each in grid.asked}) > 1
  first = grid.asked
  grid.asked = []
  run(server('again', participation=0.5), grid)
  assert grid.asked == first


def test_a_restarted_server_ends_with_the_same_adapter(grid: _Grid, server: Callable[..., Server]):
  run(server(), grid)
  interrupted = server('interrupted')
  grid.asked, grid.lost_after = [], 2
  with pytest.raises(KeyboardInterrupt):
    run(interrupted, grid)
  assert len(_end(interrupted)[1].history) == 2
  grid.lost_after = None
  run(interrupted, grid)
  whole, again = _end(server()), _end(interrupted)
  assert [entry.loss for entry in whole[1].history] == [entry.loss for entry in again[1].history]
  for path, leaf in whole[0].items():
    np.testing.assert_array_equal(leaf, again[0][path])


@pytest.fixture
def interrupted(grid: _Grid, server: Callable[..., Server]) -> Server:
  """One that was stopped after its last round."""
  stopped = server()
  grid.lost_after = 3
  with pytest.raises(KeyboardInterrupt):
    run(stopped, grid)
  grid.lost_after = None
  return stopped


def test_a_server_that_was_stopped_after_the_last_round_tests_the_clients(grid: _Grid, interrupted: Server):
  run(interrupted, grid)
  _, card = _end(interrupted)
  assert (len(card.history), len(card.later), len(grid.asked)) == (3, 6, 3)


def test_a_client_that_has_gone_after_the_last_round_is_not_waited_for_forever(
  grid: _Grid, interrupted: Server
):
  run(dataclasses.replace(interrupted, clients=7, timeout_s=0.5), grid)
  assert len(_end(interrupted)[1].later) == 6


def test_a_simulation_without_its_personal_heads_does_not_go_on(
  grid: _Grid, server: Callable[..., Server], windows: pathlib.Path
):
  interrupted = server(personal_head=True)
  grid.lost_after = 2
  with pytest.raises(KeyboardInterrupt):
    run(interrupted, grid)
  with pytest.raises(UserError, match='personal heads, which ended with it; give another --out'):
    simulation.simulate(interrupted, people.Archive(windows, 'made', 4, 0))


def test_a_folder_of_another_federation_is_refused(grid: _Grid, server: Callable[..., Server]):
  run(server(rounds=1), grid)
  with pytest.raises(UserError, match=r'made with other settings \(seed\); give another --out'):
    run(server(rounds=1, seed=1), grid)


def test_a_folder_of_another_base_is_refused(
  grid: _Grid, server: Callable[..., Server], drawn: Callable, tmp_path: pathlib.Path
):
  made = server(rounds=1)
  run(made, grid)
  other = save_base(tmp_path / 'other', lambda init: {path: leaf + 1 for path, leaf in drawn(init).items()})
  with pytest.raises(UserError, match=r'made with other settings \(base\); give another --out'):
    run(dataclasses.replace(made, base=str(other)), grid)


@pytest.mark.parametrize(
  ('changed', 'named'),
  [
    ({'labels': 6}, 'labels_per_activity'),
    ({'target': 'again'}, 'target'),
    ({'ranks': (1, 2)}, 'client_ranks'),
  ],
)
def test_a_simulation_of_other_windows_does_not_go_on(
  grid: _Grid,
  server: Callable[..., Server],
  windows: pathlib.Path,
  changed: dict,
  named: str,
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
):
  archive = people.Archive(windows, 'made', 4, 0)
  made = server(rounds=1, aggregation='product')
  run(dataclasses.replace(made, data=archive.entries), grid)
  save_windows(tmp_path / changed.get('target', 'made'))
  monkeypatch.setattr(simulation.ray, 'init', lambda **_: pytest.fail('it goes on'))
  with pytest.raises(UserError, match=rf'made with other settings \({named}\); give another --out'):
    simulation.simulate(made, dataclasses.replace(archive, folder=tmp_path, **changed))


def _not_finite(arrays: _Arrays) -> _Arrays:
  return {path: np.full_like(leaf, np.nan) for path, leaf in arrays.items()}


def _shorter(arrays: _Arrays) -> _Arrays:
  return {path: leaf[:1] for path, leaf in arrays.items()}


def _fewer(arrays: _Arrays) -> _Arrays:
  return dict(list(arrays.items())[1:])


@pytest.mark.parametrize(
  ('damage', 'named'),
  [(_not_finite, 'is not finite'), (_shorter, 'expected float32'), (_fewer, 'missing: batch_stats/')],
)
def test_a_damaged_update_is_refused_and_named(
  damage: Damage, named: str, grid: _Grid, server: Callable[..., Server]
):
  made, grid.damage[2] = server(rounds=1), damage
  run(made, grid)
  variables, card = _end(made)
  (entry,) = card.history
  assert entry.clients == [0, 1, 3, 4, 5]
  assert len(entry.refused) == 1
  assert entry.refused[0].startswith('client at node 98: ')
  assert named in entry.refused[0]
  assert all(np.isfinite(leaf).all() for leaf in variables.values())


def test_the_others_go_on_without_a_client_that_is_gone(grid: _Grid, server: Callable[..., Server]):
  grid.silent = {0, 1}
  made = server(rounds=1)
  run(made, grid)
  (entry,) = _end(made)[1].history
  assert entry.clients == [2, 3, 4, 5]
  assert entry.refused == ['client at node 100: no answer', 'client at node 99: no answer']


def test_without_any_update_the_variables_stay(grid: _Grid, server: Callable[..., Server]):
  made = server(rounds=1)
  grid.damage = dict.fromkeys(range(6), _not_finite)
  run(made, grid)
  variables, card = _end(made)
  assert (card.history[0].clients, card.history[0].loss) == ([], None)
  for path, leaf in load_task(made.federation, made.base, None).shared.items():
    np.testing.assert_array_equal(variables[path], leaf)


def test_a_client_with_another_base_is_refused_with_the_reason(
  windows: pathlib.Path, base: pathlib.Path, tmp_path: pathlib.Path, server: Callable[..., Server]
):
  first = files.load_base(base)
  path = 'params/encoder/block_0/up/kernel'
  files.save_base(tmp_path / 'other', first.variables | {path: first.variables[path] + 1}, first.card)
  made = server(rounds=1)
  run(made, _Grid(windows, tmp_path / 'other'))
  (entry,) = _end(made)[1].history
  assert len(entry.refused) == 6
  assert 'take the same base' in entry.refused[0]


def test_heads_that_are_personal_stay_with_their_clients(grid: _Grid, server: Callable[..., Server]):
  made = server(personal_head=True)
  run(made, grid)
  variables, _ = _end(made)
  start = load_task(made.federation, made.base, None).start
  np.testing.assert_array_equal(variables['params/head/dense_0/kernel'], start['params/head/dense_0/kernel'])
  kept = [context.state['personal'] for context in grid._contexts.values()]
  heads = [client.read(each)['params/head/dense_0/kernel'] for each in kept]
  assert not np.array_equal(heads[0], heads[1])


def test_clients_of_different_ranks_share_products(
  windows: pathlib.Path, base: pathlib.Path, server: Callable[..., Server]
):
  made = server(aggregation='product')
  run(made, _Grid(windows, base, ranks=(1, 2)))
  variables, card = _end(made)
  assert all(entry.clients == [0, 1, 2, 3, 4, 5] for entry in card.history)
  assert variables['lora/encoder/block_0/up/a'].shape[1] == 2
  averaged = server('average', rounds=1)
  run(averaged, _Grid(windows, base, ranks=(1, 2)))
  assert 'this needs product' in _end(averaged)[1].history[0].refused[0]


def test_private_rounds_need_all_that_were_asked(grid: _Grid, server: Callable[..., Server]):
  private = functools.partial(server, clip_norm=1.0, noise_multiplier=1.0, equal_weights=True, rounds=1)
  grid.silent = {3}
  run(private(), grid)
  start = load_task(private().federation, private().base, None).shared
  path = 'params/head/dense_0/kernel'
  np.testing.assert_array_equal(_end(private())[0][path], start[path])
  grid.silent = set()
  ends = []
  for name in ('first', 'second'):
    run(private(name), grid)
    ends.append(_end(private(name))[0][path])
  assert not np.array_equal(ends[0], ends[1])  # the noise is of no seed
  assert np.abs(ends[0] - start[path]).std() < 1.0


def _npy(header: bytes) -> bytes:
  return b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header


_CLAIM = b"{'descr': '<f4', 'fortran_order': False, 'shape': (400000000,), }\n"


def _one_array(**fields) -> Callable[[Message], object]:
  """The first array of a message as something else."""

  def change(message: Message) -> None:
    arrays = message.content['arrays']
    path = next(iter(arrays))
    parts = {name: getattr(arrays[path], name) for name in ('dtype', 'shape', 'stype', 'data')}
    arrays[path] = Array(**(parts | fields))

  return change


def _metrics(**changed) -> Callable[[Message], object]:
  return lambda message: message.content['metrics'].update(changed)


def _without(name: str, key: str | None = None) -> Callable[[Message], object]:
  def change(message: Message) -> None:
    held = message.content if key is None else message.content[name]
    if (key or name) in held:  # messages to several clients share their records
      del held[key or name]

  return change


_BAD_REPLIES = {
  'claims 16 GB': _one_array(data=_npy(_CLAIM)),
  'no header': _one_array(data=_npy(b'((((')),
  'an npz': _one_array(data=b'PK\x03\x04' + bytes(100)),
  'of torch': _one_array(stype='torch.Tensor'),
  'client NaN': _metrics(client=float('nan')),
  'client infinite': _metrics(client=float('inf')),
  'client a list': _metrics(client=[1]),
  'client no list': _metrics(client=list[int]()),
  'windows a million million': _metrics(windows=10**12),
  'no client': _without('metrics', 'client'),
  'no metrics': _without('metrics'),
  'loss NaN': _metrics(loss=float('nan')),
}


@pytest.mark.parametrize('name', _BAD_REPLIES)
def test_one_bad_client_is_refused_and_the_rounds_go_on(
  name: str, grid: _Grid, server: Callable[..., Server]
):
  def change(reply: Message) -> None:
    if 'arrays' in reply.content or name in ('no client', 'client NaN', 'client a list', 'no metrics'):
      _BAD_REPLIES[name](reply)

  made, grid.malicious = server(rounds=2), {2: change}
  run(made, grid)
  variables, card = _end(made)
  for entry in card.history:
    assert entry.clients == [0, 1, 3, 4, 5]
    assert [text.partition(': ')[0] for text in entry.refused] == ['client at node 98']
  assert [scores.client for scores in card.later if scores.client != 2] == [0, 1, 3, 4, 5]
  assert all(np.isfinite(leaf).all() for leaf in variables.values())


@pytest.mark.parametrize('value', [float('nan'), 2.0])
def test_scores_that_are_none_are_left_out_and_a_second_answer_counts_once(
  value: float, grid: _Grid, server: Callable[..., Server]
):
  def change(reply: Message) -> None:
    if 'macro_f1' in reply.content['metrics']:
      reply.content['metrics']['macro_f1'] = value

  made, grid.malicious = server(rounds=1), {2: change, 3: lambda reply: None}
  run(made, grid)
  card = _end(made)[1]
  assert card.history[0].clients == [0, 1, 2, 3, 4, 5]
  assert [scores.client for scores in card.later] == [0, 1, 3, 4, 5]


def test_an_update_that_was_sent_before_is_refused(grid: _Grid, server: Callable[..., Server]):
  kept: list[ArrayRecord] = []

  def replay(reply: Message) -> None:
    if 'arrays' in reply.content:
      kept.append(reply.content['arrays'])
      reply.content['arrays'] = kept[0]

  made, grid.malicious = server(rounds=2), {2: replay}
  run(made, grid)
  first, second = _end(made)[1].history
  assert (first.clients, second.clients) == ([0, 1, 2, 3, 4, 5], [0, 1, 3, 4, 5])
  assert second.refused == ['client at node 98: this update was sent before']


def _add_leaf(path: str) -> Callable[[Message], object]:
  return lambda message: message.content['arrays'].update({path: Array(np.ones((3, 3), np.float32))})


def _setting(**changed) -> Callable[[Message], object]:
  return lambda message: message.content['config'].update(changed)


@pytest.mark.parametrize(
  ('tamper', 'words'),
  [
    (_add_leaf('params/encoder/block_0/up/kernel'), 'unknown: params/encoder/block_0/up/kernel'),
    (_add_leaf('lora/encoder/block_9/up/a'), 'unknown: lora/encoder/block_9/up/a'),
    (_one_array(data=_npy(_CLAIM)), 'its header claims'),
    (_one_array(stype='torch.Tensor'), 'torch.Tensor'),
    (_without('arrays'), 'missing'),
    (_without('config'), 'lacks'),
    (_without('config', 'checksum'), 'checksum'),
    (_without('config', 'personal_head'), 'lacks personal_head'),
    (_setting(round=-1), 'round'),
    (_setting(batch=10**8), 'batch'),
    (_setting(classes=['a', 'b']), 'have more classes than a, b'),
    (_setting(method='x'), 'x'),
  ],
)
def test_a_client_sends_nothing_to_a_server_that_asks_for_other_than_its_method_trains(
  tamper: Callable[[Message], object], words: str, grid: _Grid, server: Callable[..., Server]
):
  made, grid.tamper = server(rounds=1), tamper
  run(made, grid)
  (entry,) = _end(made)[1].history
  assert not entry.clients
  assert all(words in text for text in entry.refused)


def test_a_personal_head_stays_where_the_server_no_longer_says_so(grid: _Grid, server: Callable[..., Server]):
  def ask_for_head(message: Message) -> None:
    if message.content['config']['round'] == 2:
      message.content['config']['personal_head'] = False

  made, grid.tamper = server(rounds=2, personal_head=True), ask_for_head
  run(made, grid)
  first, second = _end(made)[1].history
  assert len(first.clients) == 6
  assert all('the head of this client is personal' in text for text in second.refused)


def test_a_mean_that_is_not_finite_leaves_the_variables_as_they_are(
  grid: _Grid, server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
):
  from har_jax.federated import robust

  monkeypatch.setattr(
    robust, 'aggregate', lambda updates, *_: {path: leaf + np.inf for path, leaf in updates[0].items()}
  )
  made = server(rounds=1)
  run(made, grid)
  variables, card = _end(made)
  assert card.history[0].refused[0].startswith('the update made of all: ')
  for path, leaf in load_task(made.federation, made.base, None).shared.items():
    np.testing.assert_array_equal(variables[path], leaf)
