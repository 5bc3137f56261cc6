"""A federation of the people of one archive, in Flower's simulation: its clients are processes here."""

import dataclasses
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

import ray
from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from har_jax import files
from har_jax.errors import Stopped
from har_jax.federated import client, people
from har_jax.federated.federation import Federation
from har_jax.federated.server import Server, resume, run

_RAY_MEMORY = 200 * 2**20  # bytes for messages; Ray would take a third of the machine's memory


def simulate(server: Server, archive: people.Archive, *, workers: int = 1) -> files.Adapter:
  """Runs the rounds that are not done yet; returns the adapter in the server's folder.

  workers: processes that train clients, each on one core.
  Raises UserError as `server.resume`, and Stopped after SIGTERM: the rounds that are done stay.
  """
  server = dataclasses.replace(server, data=archive.entries)
  resume(server)  # here, since Flower would replace what is raised in its thread
  logging.getLogger('flwr').setLevel(logging.ERROR)  # it logs each round, and that run_simulation may go
  clients = len(people.read(archive).clients)
  app, is_over, is_terminated = ServerApp(), threading.Event(), threading.Event()

  @app.main()
  def main(grid: Grid, context: Context) -> None:
    pull = grid.pull_messages

    def pull_unless_over(message_ids: Iterable[str]) -> Iterable[Message]:
      if is_over.is_set():
        raise Stopped('the simulation has ended')  # or this thread would wait for clients that are gone
      return pull(message_ids)

    grid.pull_messages = pull_unless_over  # type: ignore[method-assign]
    run(dataclasses.replace(server, clients=clients), grid)

  ray.init(
    num_cpus=workers,
    object_store_memory=_RAY_MEMORY,
    include_dashboard=False,
    log_to_driver=False,
    logging_level=logging.ERROR,
    runtime_env={'env_vars': {'PYTHONPATH': os.pathsep.join(sys.path)}},
  )

  def end(number: int, frame: Any) -> None:
    logging.getLogger('flwr').setLevel(logging.CRITICAL)  # it logs a traceback of each client that is gone
    if number == signal.SIGTERM:
      is_terminated.set()
    raise KeyboardInterrupt  # Flower replaces any Exception

  # After Ray's own handler, which would end this process without a word. A background process ignores Ctrl-C.
  numbers = [one for one in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(one) != signal.SIG_IGN]
  before = {number: signal.signal(number, end) for number in numbers}
  try:
    find = functools.partial(_find_person, archive, server.base)
    run_simulation(
      app,
      client.make(find),
      clients,
      backend_config={'client_resources': {'num_cpus': 1, 'num_gpus': 0.0}},
    )
  except KeyboardInterrupt:
    if is_terminated.is_set():
      raise Stopped(f'{server.out}: stopped, and saved after its last round') from None
    raise
  finally:
    is_over.set()
    for number, handler in before.items():
      signal.signal(number, handler or signal.SIG_DFL)
    ray.shutdown()
  return files.load_adapter(server.out)


def _find_person(
  archive: people.Archive, base: str | None, context: Context, federation: Federation
) -> tuple[people.Person, str | None]:
  return people.read(archive).clients[int(context.node_config['partition-id'])], base
