"""A SuperLink and its SuperNodes as processes on this machine, and the bytes between them."""

import collections
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import psutil  # Orbax needs it, too

_ROOT = pathlib.Path(__file__).parents[2]
_PATIENCE_S = 600.0  # each message starts a process that imports JAX
_HOST = '127.0.0.1'


class Processes:
  """Processes of Flower, each in a group of its own, so that it ends with what it has started.

  nodes: the configuration of each SuperNode. settings: the run's. client: source of a client's app in place
  of har_jax's. is_secure: with TLS, and keys by which the link knows its nodes. Each node reaches the link
  through a port that counts: `sent` to it, and `received` from it.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    nodes: Sequence[str],
    settings: str,
    client: str | None = None,
    *,
    is_secure: bool = False,
  ):
    self.folder, self.out, self._is_secure = folder, folder / 'out', is_secure
    self.sent, self.received = collections.Counter[int](), collections.Counter[int]()
    self._nodes, self._settings = nodes, settings
    self._link, *self._ports = _free_ports(1 + len(nodes))
    self._counting = [self._count(number) for number in range(len(nodes))]
    self._running: dict[str, subprocess.Popen] = {}
    self._environment = os.environ | {
      'FLWR_HOME': str(folder / 'home'),
      'FLWR_TELEMETRY_ENABLED': '0',
      'PATH': f'{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
      'PYTHONPATH': str(_ROOT),
    }
    (folder / 'home').mkdir(parents=True)
    security = 'insecure = true'
    if is_secure:
      _make_certificates(folder, len(nodes))
      security = f'root-certificates = "{folder / "ca.crt"}"'
    link = f'address = "{_HOST}:{self._link}"\n{security}\n'
    (folder / 'home' / 'config.toml').write_text(f'[superlink]\ndefault = "here"\n[superlink.here]\n{link}')
    app = shutil.copytree(_ROOT / 'launch' / 'flower', folder / 'app') / 'pyproject.toml'
    if client is not None:
      app.write_text(app.read_text().replace('har_jax.federated.client:app', 'other_client:app'))
      (folder / 'app' / 'other_client.py').write_text(client)

  def start_link(self) -> None:
    security = ['--insecure']
    if self._is_secure:
      files = (('ca-certfile', 'ca.crt'), ('certfile', 'link.crt'), ('keyfile', 'link.key'))
      security = [f'--ssl-{option}={name}' for option, name in files] + ['--enable-supernode-auth']
    host = (*security, '--host', _HOST, '--port', str(self._link))
    self._start('link', 'flower-superlink', *host, '--disable-runtime-dependency-installation')
    self.wait(lambda: _is_open(self._link))

  def register(self, number: int) -> None:
    """Makes a node known to the link by its public key."""
    arguments = ('flwr', 'supernode', 'register', f'node{number}.pub', 'here')
    subprocess.run(arguments, env=self._environment, cwd=self.folder, check=True, capture_output=True)

  def start_node(self, number: int) -> None:
    security = ['--insecure']
    if self._is_secure:
      security = ['--root-certificates=ca.crt', f'--auth-supernode-private-key=node{number}']
    self._start(
      f'node{number}',
      *('flower-supernode', *security, '--superlink', f'{_HOST}:{self._counting[number]}'),
      *('--host', _HOST, '--port', str(self._ports[number])),
      *('--node-config', f'partition-id={number} {self._nodes[number]}'),
    )

  def run(self, clients: int | None = None) -> None:
    settings = f'{self._settings} clients={clients or len(self._nodes)} out="{self.out}"'
    self._start('run', 'flwr', 'run', 'app', 'here', '--run-config', settings)
    self._running.pop('run').wait(_PATIENCE_S)

  def kill(self, *names: str) -> None:
    """Kills a process and all that it has started, at once."""
    for name in names:
      process = self._running.pop(name)
      parent = psutil.Process(process.pid)
      for one in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
          one.kill()
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

  def _start(self, name: str, *arguments: str) -> None:
    with (self.folder / f'{name}.log').open('a') as log:
      self._running[name] = subprocess.Popen(
        arguments, env=self._environment, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
      )

  def _count(self, number: int) -> int:
    """The port of a proxy of the link, which counts this node's bytes until this process ends."""
    server = socket.create_server((_HOST, 0))

    def accept() -> None:
      while True:
        node, _ = server.accept()
        try:
          link = socket.create_connection((_HOST, self._link))
        except OSError:
          node.close()  # the link was killed; the node tries again
          continue
        for source, target, counter in ((node, link, self.received), (link, node, self.sent)):
          threading.Thread(target=_copy, args=(source, target, counter, number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]


def _make_certificates(folder: pathlib.Path, nodes: int) -> None:
  """An authority of its own, the link's certificate, and a pair of keys for each node."""
  (folder / 'names').write_text(f'subjectAltName=IP:{_HOST}\n')
  ec = '-newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes'
  commands = [
    f'openssl req -x509 {ec} -keyout ca.key -out ca.crt -subj /CN=authority -days 9',
    f'openssl req {ec} -keyout link.key -out link.csr -subj /CN={_HOST}',
    'openssl x509 -req -in link.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out link.crt -extfile names',
  ]
  keys = ('ssh-keygen', '-q', '-t', 'ecdsa', '-b', '384', '-N', '', '-f')
  for command in (*map(str.split, commands), *((*keys, f'node{number}') for number in range(nodes))):
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _copy(source: socket.socket, target: socket.socket, counter: collections.Counter[int], key: int) -> None:
  with source, target, contextlib.suppress(OSError):
    while data := source.recv(1 << 16):
      target.sendall(data)
      counter[key] += len(data)


def _free_ports(count: int) -> list[int]:
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.create_server((_HOST, 0))) for _ in range(count)]
    return [listener.getsockname()[1] for listener in sockets]


def _is_open(port: int) -> bool:
  with socket.socket() as listener:
    return listener.connect_ex((_HOST, port)) == 0
