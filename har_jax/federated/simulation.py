"""A federation of the people of one archive, in Flower's simulation: its clients are processes here."""

import dataclasses
import functools
import logging
import pathlib
import warnings

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from har_jax import files
from har_jax.federated import client, people
from har_jax.federated.server import Server, run
from har_jax.federated.task import Federation

_RAY_MEMORY = 200 * 2**20  # bytes for messages; Ray would take a third of the machine's memory


@dataclasses.dataclass(frozen=True)
class Archive:
  """Whose people the clients are: `people.of_archive`. ranks: of the clients, in turn; none: all alike."""

  folder: pathlib.Path
  target: str
  labels: int
  seed: int
  missing: int = 0
  ranks: tuple[int, ...] = ()

  def people(self) -> people.People:
    return _people(self.folder, self.target, labels=self.labels, seed=self.seed, missing=self.missing)


_people = functools.lru_cache(maxsize=2)(people.of_archive)


def simulate(server: Server, archive: Archive, *, workers: int = 1) -> files.Adapter:
  """Runs the rounds that are not done yet; returns the adapter in the server's folder.

  workers: processes that train clients, each on one core. Raises UserError as `server.run`.
  """
  logging.getLogger('flwr').setLevel(logging.ERROR)  # it logs each round, and that run_simulation may go
  clients = len(archive.people().clients)
  app = ServerApp()

  @app.main()
  def main(grid: Grid, context: Context) -> None:
    run(dataclasses.replace(server, clients=clients), grid)

  ray = {'num_cpus': workers, 'object_store_memory': _RAY_MEMORY, 'log_to_driver': False}
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    run_simulation(
      app,
      client.make(functools.partial(_own, archive, server.base)),
      clients,
      backend_config={'client_resources': {'num_cpus': 1, 'num_gpus': 0.0}, 'init_args': ray},
    )
  return files.load_adapter(server.out)


def _own(archive: Archive, base: str | None, context: Context, federation: Federation) -> client.Own:
  number = int(context.node_config['partition-id'])
  rank = archive.ranks[number % len(archive.ranks)] if archive.ranks else None
  return client.Own(archive.people().clients[number], base, rank)
