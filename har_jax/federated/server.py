"""The server's app for Flower: asks clients, checks and aggregates their updates, keeps each round on disk.

The folder of a federation holds the adapter as of its last round; a restarted server goes on from there.
"""

import dataclasses
import logging
import math
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from har_jax import files, records
from har_jax.errors import UserError, shorten
from har_jax.federated import aggregation, messages
from har_jax.federated.client import read, serialized_bytes, written
from har_jax.federated.federation import Federation
from har_jax.federated.task import Task, load_task
from har_jax.files import safetensors_io
from har_jax.records import Round
from har_jax.variables import Variables

_LOG = logging.getLogger(__name__)
_WAIT_S = 1.0  # between looks at who is connected


@dataclasses.dataclass(frozen=True)
class Server:
  """A server's part: a federation, its base (None: the bundled one), and the folder of its adapter.

  clients: the rounds wait until so many are connected. timeout_s: of a round; who is late is left out.
  data: what the clients train on, as far as the server knows it; kept in the card.
  measure: from a round's variables to its entry in the history, such as the macro-F1 on validation windows.
  report: gets each entry of the history.
  """

  federation: Federation
  out: pathlib.Path
  base: str | None = None
  clients: int = 2
  timeout_s: float = 600.0
  data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  measure: Callable[[Task, Variables], float] | None = None
  report: Callable[[Round], None] = lambda entry: None


def run(server: Server, grid: Grid) -> None:
  """Runs the rounds that are left, then the clients' evaluation. Raises UserError as `resume`."""
  strategy = _Rounds(server)
  base = strategy.task.training.base
  files.save_base(server.out, base.variables, base.card)  # so that the folder can predict
  left = server.federation.rounds - strategy.done
  strategy.start(grid, written(strategy.variables), num_rounds=left, timeout=server.timeout_s)
  strategy.test_clients(grid)


def resume(server: Server) -> tuple[Variables, list[Round]]:
  """The variables and the history of the rounds that are done.

  Raises UserError if the folder's adapter is of another federation, of another base or of other windows.
  """
  task = load_task(server.federation, server.base)
  if not (server.out / 'adapter.json').exists():
    return task.start, []
  adapter = files.load_adapter(server.out)
  card = adapter.card.federated or records.Federated()
  earlier = card.settings | card.data | {'base': adapter.card.base}
  base = task.training.base.checksum if task.training.method.pretrained else None
  wanted = {**server.federation.entries(), **server.data, 'base': base}
  if changed := [name for name, value in wanted.items() if earlier.get(name) != value]:
    raise UserError(
      f'{server.out} holds an adapter made with other settings ({", ".join(changed)}); '
      'give another --out, or delete it'
    )
  return {path: np.asarray(adapter.variables[path]) for path in task.start}, card.history


class _Rounds(FedAvg):
  """Flower's rounds, with our choice of clients, checks, aggregation and checkpoints."""

  def __init__(self, server: Server):
    super().__init__(min_available_nodes=server.clients)
    self._server, self._federation = server, server.federation
    self.task = load_task(server.federation, server.base)
    self._start = self.task.start
    self.variables, self._history = resume(server)
    self.done = len(self._history)
    self._begun_s, self._asked, self._serialized = time.monotonic(), list[int](), 0
    self._seen = set[str]()  # digests of all updates: nobody makes the same one twice

  def configure_train(
    self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
  ) -> Iterable[Message]:
    """Asks a fraction of the connected clients, drawn by seed and round in the order of registration."""
    self._begun_s = time.monotonic()
    number = self.done + server_round
    nodes = self._connected(grid)
    rng = np.random.default_rng([self._federation.seed, number])
    count = max(1, round(self._federation.participation * len(nodes)))
    self._asked = [nodes[n] for n in sorted(rng.permutation(len(nodes))[:count])]
    return self._messages(self._asked, arrays, number, MessageType.TRAIN)

  def _connected(self, grid: Grid, within_s: float = math.inf) -> list[int]:
    """The clients in the order in which they came, once all are connected or `within_s` is over."""
    limit_s = time.monotonic() + within_s
    while len(nodes := list(grid.get_nodes())) < self._server.clients and time.monotonic() < limit_s:
      time.sleep(_WAIT_S)
    return [node.node_id for node in sorted(nodes, key=lambda node: (node.registered_at, node.node_id))]

  def configure_evaluate(
    self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
  ) -> Iterable[Message]:
    """Asks nobody: `test_clients` does, after the last round."""
    return []

  def _messages(self, nodes: list[int], arrays: ArrayRecord, number: int, kind: str) -> list[Message]:
    entries = self._federation.entries() | {'round': number, 'checksum': self.task.checksum}
    content = RecordDict({'arrays': arrays, 'config': ConfigRecord(entries)})
    self._serialized = serialized_bytes(content)
    return [Message(content=content, message_type=kind, dst_node_id=node) for node in nodes]

  def aggregate_train(
    self, server_round: int, replies: Iterable[Message]
  ) -> tuple[ArrayRecord | None, MetricRecord | None]:
    """The updates that pass the checks; without any, the variables stay as they are."""
    updates, serialized = list[tuple[Variables, messages.Trained]](), 0
    problems = dict.fromkeys(self._asked, 'no answer')
    for message in replies:
      node = message.metadata.src_node_id
      if node not in problems:
        continue  # Flower's own answer for a client that is gone, or a client's second one
      try:
        updates.append(self._checked(message))
        del problems[node]
        serialized += serialized_bytes(message.content)
      except UserError as error:
        problems[node] = shorten(error)
    number = self.done + server_round
    refused = [f'client at node {node}: {problem}' for node, problem in problems.items()]
    updates.sort(key=lambda update: update[1].client)  # so that rounding does not depend on who is first
    if is_too_few := bool(self._federation.clip_norm) and len(updates) < len(self._asked):
      _LOG.warning('round %d left out: its noise is for all clients that were asked', number)
    if updates and not is_too_few:
      try:
        self.variables = self._aggregate(*zip(*updates, strict=True))
      except UserError as error:
        refused.append(f'the update made of all: {error}')
    for text in refused:
      _LOG.warning('round %d, refused: %s', number, text)
    sent = sum(len(array.data) for array in written(self._start).values())
    received = sum(len(array.data) for update, _ in updates for array in written(update).values())
    entry = Round(
      round=number,
      asked=len(self._asked),
      clients=[metrics.client for _, metrics in updates],
      refused=refused,
      loss=float(np.mean([metrics.loss for _, metrics in updates])) if updates else None,
      bytes_to_client=sent,
      bytes_from_client=received // max(1, len(updates)),
      serialized_to_client=self._serialized,
      serialized_from_client=serialized // max(1, len(updates)),
      seconds=time.monotonic() - self._begun_s,
    )
    if self._server.measure is not None:
      entry.validation_macro_f1 = self._server.measure(self.task, self.variables)
    self._history.append(entry)
    self._save()
    self._server.report(entry)
    return written(self.variables), None

  def _checked(self, message: Message) -> tuple[Variables, messages.Trained]:
    """A client's update and metrics. Raises UserError if they are not what a client sends."""
    if message.has_error():
      raise UserError(f'no update: {message.error.reason}')
    content = message.content
    if list(content.array_records) != ['arrays']:
      raise UserError('the message does not hold one record of arrays')
    metrics = messages.read_metrics(content.metric_records.get('metrics'), messages.Trained)
    update = read(content.array_records['arrays'])
    aggregation.check_update(update, self._start)
    digest = safetensors_io.checksum(update)
    if digest in self._seen:
      raise UserError('this update was sent before')
    self._seen.add(digest)
    return update, metrics

  def _aggregate(self, updates: tuple[Variables, ...], metrics: tuple[messages.Trained, ...]) -> Variables:
    """Raises UserError if it is no update that clients could go on with."""
    windows = [client.windows for client in metrics]
    noise = np.random.default_rng()  # of the system: whoever knows the seed could take the noise off
    mean = aggregation.aggregate(updates, windows, self.variables, self._federation, noise)
    aggregation.check_update({path: mean[path] for path in sorted(mean)}, self._start)
    return mean

  def test_clients(self, grid: Grid) -> None:
    """Keeps each client's measures on its own later windows in the adapter's card, unless they are there."""
    card = files.load_adapter(self._server.out).card.federated
    if card is not None and card.later is not None:
      return
    number, arrays = self._federation.rounds, written(self.variables)
    # One that has gone after its last round does not come back.
    nodes = self._connected(grid, within_s=self._server.timeout_s)
    asked = self._messages(nodes, arrays, number, MessageType.EVALUATE)
    waiting, scores = set(nodes), list[records.ClientScores]()
    for reply in grid.send_and_receive(asked, timeout=self._server.timeout_s):
      node = reply.metadata.src_node_id
      if node not in waiting or reply.has_error():
        continue
      try:
        measured = messages.read_metrics(reply.content.metric_records.get('metrics'), records.ClientScores)
      except UserError as error:
        _LOG.warning('scores of the client at node %d, refused: %s', node, error)
        continue
      waiting.remove(node)
      scores.append(measured)
    if scores:
      self._save(later=sorted(scores, key=lambda measured: measured.client))

  def _save(self, **entries: Any) -> None:
    card = {'settings': self._federation.entries(), 'data': dict(self._server.data), 'history': self._history}
    files.save_adapter(self._server.out, self.task.adapter(self.variables, federated=card | entries))


app = ServerApp()  # Flower finds no name that has an annotation


@app.main()
def main(grid: Grid, context: Context) -> None:
  """Reads Flower's run_config: the fields of `Federation`, out, and optionally base, clients, timeout_s."""
  config = context.run_config
  base = str(config['base']) if config.get('base') else None
  clients, timeout_s = int(config.get('clients', 2)), float(config.get('timeout_s', 600))
  out = pathlib.Path(str(config['out']))
  run(Server(Federation.from_entries(config), out, base, clients=clients, timeout_s=timeout_s), grid)
