"""Flower's messages in one process: six clients, what damages them, and a server of them."""

import pathlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Error, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity
from made_people import CLASSES, QUICK

from har_jax import files
from har_jax.errors import UserError
from har_jax.federated import client, people
from har_jax.federated.federation import Federation
from har_jax.federated.server import Server

Arrays = dict[str, np.ndarray]
Damage = Callable[[Arrays], Arrays]


class MemoryGrid(Grid):
  """Six clients in this process. damage: of a client's updates, by its number, from a round on."""

  def __init__(self, archive: people.Archive, base: pathlib.Path):
    self.damage: dict[int, Damage] = {}
    self.malicious: dict[int, Callable[[Message], object]] = {}  # changes the reply, which is sent twice
    self.tamper: Callable[[Message], object] = lambda message: None  # of a bad server
    self.silent: set[int] = set()
    self.lost_after: int | None = None
    self.asked: list[list[int]] = []
    self.timeouts: list[float | None] = []
    everyone = people.read(archive).clients

    def participant(context: Context, federation: Federation) -> tuple[people.Person, str]:
      number = int(context.node_config['partition-id'])
      return everyone[number], str(base)

    self._app = client.make(participant)
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
    self.timeouts.append(timeout)
    if self.lost_after is not None and len(self.asked) == self.lost_after:
      raise KeyboardInterrupt
    if messages and messages[0].metadata.message_type == 'train':
      self.asked.append([100 - message.metadata.dst_node_id for message in messages])
    # The last client is the first to answer, which changes no result.
    return [reply for message in reversed(messages) for reply in self._reply(message)]

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
def task_identity(monkeypatch) -> None:
  """What Flower sets in the process of an app; without it, no message can be made."""
  for name in ('_task_id', '_run_id', '_node_id'):
    monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture
def grid(archive, base) -> MemoryGrid:
  return MemoryGrid(archive, base)


@pytest.fixture
def server(base, tmp_path) -> Callable[..., Server]:
  def make(name: str = 'out', **changed) -> Server:
    return Server(Federation(CLASSES, **{**QUICK, **changed}), tmp_path / name, str(base), clients=6)

  return make


def read_end(server: Server) -> tuple[dict[str, np.ndarray], dict]:
  adapter = files.load_adapter(server.out)
  return {path: np.asarray(leaf) for path, leaf in adapter.variables.items()}, adapter.card.federated
