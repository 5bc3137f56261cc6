"""One client that lies ends no round, and a server that lies gets nothing: both are refused by name."""

from collections.abc import Callable

import numpy as np
import pytest
from flower_grid import read_end
from flwr.app import Array, ArrayRecord, Message

from har_jax.federated import aggregation
from har_jax.federated.server import run
from har_jax.federated.task import load_task

_HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (400000000,), }\n"
_CLAIM = b'\x93NUMPY\x01\x00' + len(_HEADER).to_bytes(2, 'little') + _HEADER


def _one_array(**fields) -> Callable[[Message], object]:
  """The first array of a message as something else."""

  def change(message: Message) -> None:
    for arrays in message.content.array_records.values():  # scores have none
      path = next(iter(arrays))
      parts = {name: getattr(arrays[path], name) for name in ('dtype', 'shape', 'stype', 'data')}
      arrays[path] = Array(**(parts | fields))

  return change


def _entries(record: str, **changed) -> Callable[[Message], object]:
  return lambda message: message.content[record].update(changed)


def _without(record: str) -> Callable[[Message], object]:
  return lambda message: message.content.pop(record, None)  # messages to several clients share their records


_BAD_REPLIES = {
  'claims 16 GB': _one_array(data=_CLAIM),
  'of torch': _one_array(stype='torch.Tensor'),
  'client NaN': _entries('metrics', client=float('nan')),
  'no metrics': _without('metrics'),
}


@pytest.mark.parametrize('name', _BAD_REPLIES)
def test_one_bad_client_is_refused_and_the_rounds_go_on(name, grid, server):
  made, grid.malicious = server(rounds=2), {2: _BAD_REPLIES[name]}
  run(made, grid)
  variables, card = read_end(made)
  for entry in card.history:
    assert entry.clients == [0, 1, 3, 4, 5]
    assert [text.partition(': ')[0] for text in entry.refused] == ['client at node 98']
  assert [scores.client for scores in card.later if scores.client != 2] == [0, 1, 3, 4, 5]
  assert all(np.isfinite(leaf).all() for leaf in variables.values())


def test_scores_that_are_none_are_left_out_and_a_second_answer_counts_once(grid, server):
  def change(reply: Message) -> None:
    if 'macro_f1' in reply.content['metrics']:
      reply.content['metrics']['macro_f1'] = float('nan')

  made, grid.malicious = server(rounds=1), {2: change, 3: lambda reply: None}
  run(made, grid)
  card = read_end(made)[1]
  assert card.history[0].clients == [0, 1, 2, 3, 4, 5]
  assert [scores.client for scores in card.later] == [0, 1, 3, 4, 5]


def test_an_update_that_was_sent_before_is_refused(grid, server):
  sent: list[ArrayRecord] = []

  def replay(reply: Message) -> None:
    if 'arrays' in reply.content:
      sent.append(reply.content['arrays'])
      reply.content['arrays'] = sent[0]

  made, grid.malicious = server(rounds=2), {2: replay}
  run(made, grid)
  first, second = read_end(made)[1].history
  assert (first.clients, second.clients) == ([0, 1, 2, 3, 4, 5], [0, 1, 3, 4, 5])
  assert second.refused == ['client at node 98: this update was sent before']


_FROZEN = 'params/encoder/block_0/up/kernel'


@pytest.mark.parametrize(
  ('tamper', 'words'),
  [
    (_entries('arrays', **{_FROZEN: Array(np.ones((3, 3), np.float32))}), f'unknown: {_FROZEN}'),
    (_one_array(data=_CLAIM), 'its header claims'),
    (_without('arrays'), 'missing'),
    (_without('config'), 'lacks'),
    (_entries('config', round=-1), 'round'),
    (_entries('config', classes=['a', 'b']), 'have more classes than a, b'),
  ],
)
def test_a_client_sends_nothing_to_a_server_that_asks_for_other_than_its_method_trains(
  tamper, words, grid, server
):
  made, grid.tamper = server(rounds=1), tamper
  run(made, grid)
  (entry,) = read_end(made)[1].history
  assert not entry.clients
  assert all(words in text for text in entry.refused)


def test_a_mean_that_is_not_finite_leaves_the_variables_as_they_are(grid, server, monkeypatch):
  monkeypatch.setattr(
    aggregation, 'aggregate', lambda updates, *_: {path: leaf + np.inf for path, leaf in updates[0].items()}
  )
  made = server(rounds=1)
  run(made, grid)
  variables, card = read_end(made)
  assert card.history[0].refused[0].startswith('the update made of all: ')
  for path, leaf in load_task(made.federation, made.base).start.items():
    np.testing.assert_array_equal(variables[path], leaf)
