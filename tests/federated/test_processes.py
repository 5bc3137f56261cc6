"""A SuperLink and two SuperNodes as processes: damage, a killed client, a server that is restarted."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from made_people import CLASSES

from har_jax import files

pytest.importorskip('flwr')
pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_PATIENCE_S = 600.0  # each message starts a process that imports JAX
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


class _Federation:
  """Processes of Flower, each in a group of its own, so that it ends with what it has started."""

  def __init__(self, folder: pathlib.Path, windows: pathlib.Path, base: pathlib.Path):
    self.folder, self.out = folder, folder / 'out'
    self._windows, self._base = windows, base
    self._ports = _free_ports(3)
    self._running: dict[str, subprocess.Popen] = {}
    self._environment = os.environ | {
      'FLWR_HOME': str(folder / 'home'),
      'FLWR_TELEMETRY_ENABLED': '0',
      'PATH': f'{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
      'PYTHONPATH': str(_ROOT),
    }
    (folder / 'home').mkdir()
    link = f'address = "127.0.0.1:{self._ports[2]}"\ninsecure = true\n'
    (folder / 'home' / 'config.toml').write_text(f'[superlink]\ndefault = "here"\n[superlink.here]\n{link}')
    app = shutil.copytree(_ROOT / 'launch' / 'flower', folder / 'app') / 'pyproject.toml'
    app.write_text(app.read_text().replace('har_jax.federated.client:app', 'damaged_client:app'))
    (folder / 'app' / 'damaged_client.py').write_text(_CLIENT)

  def start(self, name: str, *arguments: str) -> None:
    with (self.folder / f'{name}.log').open('a') as log:
      self._running[name] = subprocess.Popen(
        arguments, env=self._environment, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
      )

  def start_link(self) -> None:
    host = ('--insecure', '--host', '127.0.0.1', '--port', str(self._ports[2]))
    self.start('link', 'flower-superlink', *host, '--disable-runtime-dependency-installation')
    self.wait(lambda: _is_open(self._ports[2]))

  def start_node(self, number: int) -> None:
    config = f'partition-id={number} windows="{self._windows}" target="made" person="p{number}" labels=4'
    self.start(
      f'node{number}',
      *('flower-supernode', '--insecure', '--superlink', f'127.0.0.1:{self._ports[2]}'),
      *('--host', '127.0.0.1', '--port', str(self._ports[number])),
      *('--node-config', f'{config} base="{self._base}"'),
    )

  def run(self) -> None:
    settings = 'rank=2 rounds=5 local_steps=2 batch=4 clients=2 timeout_s=90.0'
    names = f'classes="{",".join(CLASSES)}" out="{self.out}" base="{self._base}"'
    self.start('run', 'flwr', 'run', 'app', 'here', '--run-config', f'{settings} {names}')
    self._running.pop('run').wait(_PATIENCE_S)

  def kill(self, *names: str) -> None:
    """Kills a process and all that it has started, at once."""
    for name in names:
      process = self._running.pop(name)
      children = subprocess.run(
        ['ps', '-eo', 'pid=,ppid='], capture_output=True, text=True, check=True
      ).stdout
      of_parent: dict[int, list[int]] = {}
      for pid, parent in (map(int, line.split()) for line in children.splitlines()):
        of_parent.setdefault(parent, []).append(pid)
      family = [process.pid]
      for pid in family:
        family += of_parent.get(pid, [])
      for pid in family:
        with contextlib.suppress(ProcessLookupError):
          os.kill(pid, signal.SIGKILL)
      process.wait()

  def close(self) -> None:
    self.kill(*list(self._running))

  @property
  def card(self) -> dict:
    with contextlib.suppress(OSError, ValueError):
      return json.loads((self.out / 'adapter.json').read_text())['federated']
    return {'history': []}

  def wait(self, holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + _PATIENCE_S
    while not holds():
      assert time.monotonic() < limit, [path.read_text()[-2000:] for path in self.folder.glob('*.log')]
      time.sleep(0.5)

  def wait_for_round(self, number: int) -> None:
    self.wait(lambda: len(self.card['history']) >= number)


def _free_ports(count: int) -> list[int]:
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in range(count)]
    return [each.getsockname()[1] for each in sockets]


def _is_open(port: int) -> bool:
  with socket.socket() as each:
    return each.connect_ex(('127.0.0.1', port)) == 0


@pytest.fixture
def federation(tmp_path: pathlib.Path, windows: pathlib.Path, base: pathlib.Path) -> Iterator[_Federation]:
  made = _Federation(tmp_path, windows, base)
  yield made
  made.close()


def test_a_federation_survives_damage_a_killed_client_and_a_killed_server(federation: _Federation):
  federation.start_link()
  for number in range(2):
    federation.start_node(number)
  federation.run()
  federation.wait_for_round(2)  # in which client 1 sends NaN
  federation.kill('link', 'node0', 'node1')
  done = len(federation.card['history'])
  federation.start_link()
  for number in range(2):
    federation.start_node(number)
  federation.run()
  federation.wait_for_round(done + 1)
  federation.kill('node1')
  federation.wait_for_round(done + 2)
  federation.start_node(1)
  federation.wait(lambda: 'later' in federation.card)
  history = federation.card['history']
  assert [entry['round'] for entry in history] == [1, 2, 3, 4, 5]
  assert history[0]['clients'] == [0, 1]
  assert history[1]['clients'] == [0]
  assert 'is not finite' in history[1]['refused'][0]
  assert (history[3]['clients'], len(history[3]['refused'])) == ([0], 1)
  assert history[3]['refused'][0].endswith(': no answer')
  assert history[-1]['clients'] == [0, 1]
  assert {each['client'] for each in federation.card['later']} == {0, 1}
  adapter = files.load_adapter(federation.out)
  assert all(np.isfinite(leaf).all() for leaf in adapter.variables.values())
