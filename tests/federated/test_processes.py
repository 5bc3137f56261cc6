"""A SuperLink and two SuperNodes as processes: damage, a killed client, a server that is restarted."""

import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from flower_processes import Processes
from made_people import CLASSES

from har_jax import files

pytest.importorskip('ray', reason='takes minutes: it runs with the extra `federated`')
pytestmark = pytest.mark.slow

# The client of number 1 sends NaN in round 2.
_CLIENT = """
import numpy as np
from flwr.app import Array, ArrayRecord
from flwr.clientapp import ClientApp
from har_jax.federated import client

app = ClientApp()

@app.train()
def train(message, context):
  reply = client.app(message, context)
  if context.node_config['partition-id'] == 1 and message.content['config']['round'] == 2:
    arrays = client.read(reply.content['arrays'])
    reply.content['arrays'] = ArrayRecord({path: Array(leaf * np.nan) for path, leaf in arrays.items()})
  return reply

@app.evaluate()
def evaluate(message, context):
  return client.app(message, context)
"""


@pytest.fixture
def processes(tmp_path, windows, base) -> Iterator[Callable[..., Processes]]:
  made = []

  def make(nodes: int, rounds: int, *client: str, **options: bool) -> Processes:
    people = [f'windows="{windows}" target="made" person="p{n}" labels=4 base="{base}"' for n in range(nodes)]
    settings = f'rank=2 rounds={rounds} local_steps=2 batch=4 timeout_s=90.0 base="{base}"'
    settings += f' classes="{",".join(CLASSES)}"'
    made.append(Processes(tmp_path / 'made', people, settings, *client, **options))
    return made[-1]

  yield make
  for federation in made:
    federation.close()


def test_a_federation_survives_damage_a_killed_client_and_a_killed_server(processes):
  federation = processes(2, 5, _CLIENT)
  federation.start_link()
  for n in range(2):
    federation.start_node(n)
  federation.run()
  federation.wait_for_round(2)  # in which client 1 sends NaN
  federation.kill('link', 'node0', 'node1')
  done = len(federation.card['history'])
  federation.start_link()
  for n in range(2):
    federation.start_node(n)
  federation.run()
  federation.wait_for_round(done + 1)
  federation.kill('node1')
  federation.wait_for_round(done + 2)
  federation.start_node(1)
  federation.wait(lambda: federation.card.get('later'))
  history = federation.card['history']
  assert [entry['round'] for entry in history] == [1, 2, 3, 4, 5]
  assert history[0]['clients'] == [0, 1]
  assert history[1]['clients'] == [0]
  assert 'is not finite' in history[1]['refused'][0]
  assert (history[3]['clients'], len(history[3]['refused'])) == ([0], 1)
  assert history[3]['refused'][0].endswith(': no answer')
  assert history[-1]['clients'] == [0, 1]
  assert {scores['client'] for scores in federation.card['later']} == {0, 1}
  adapter = files.load_adapter(federation.out)
  assert all(np.isfinite(leaf).all() for leaf in adapter.variables.values())
  # All that the history counts has crossed node 0's sockets.
  assert federation.sent[0] > sum(entry['bytes_to_client'] for entry in history)
  assert federation.received[0] > sum(entry['bytes_from_client'] for entry in history)


@pytest.mark.skipif(
  not (shutil.which('openssl') and shutil.which('ssh-keygen')), reason='needs openssl and ssh-keygen'
)
def test_with_tls_only_nodes_whose_key_is_known_take_part(processes):
  federation = processes(3, 1, is_secure=True)
  federation.start_link()
  for n in range(3):
    if n < 2:
      federation.register(n)
    federation.start_node(n)
  federation.run(clients=2)
  federation.wait(lambda: federation.card.get('later'))
  (entry,) = federation.card['history']
  assert (entry['clients'], entry['asked']) == ([0, 1], 2)
