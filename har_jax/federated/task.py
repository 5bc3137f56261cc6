"""The task that server and clients agree on, and a client's part of it: some steps on its own windows."""

import functools
from typing import Any

import numpy as np

from har_jax import files, methods
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.federated.federation import Federation
from har_jax.files import safetensors_io
from har_jax.recognizer.short_training import ShortTraining
from har_jax.records import Measures
from har_jax.train.evaluation import predict
from har_jax.train.metrics import measure
from har_jax.variables import Variables


class Task:
  """A federation on a base: where its variables start, which of them are sent, and a client's training."""

  federation: Federation
  training: ShortTraining
  prepared: methods.Prepared
  start: Variables  # what training changes and messages hold

  def __init__(self, federation: Federation, base: files.Base):
    self.federation = federation
    self.training = ShortTraining(federation.classes, federation.parameters(base))
    self.prepared, self.start = self.training.prepared, self.training.start

  @functools.cached_property
  def checksum(self) -> str:
    """Checksum of all that is not sent and that every client must hold alike."""
    return safetensors_io.checksum(self.prepared.frozen)

  def fit(self, variables: Variables, windows: Batch, *, number: int, done: int) -> tuple[Variables, float]:
    """The variables of `start` after a client's steps in round `done` + 1, and the mean loss.

    The rate follows its schedule over all rounds. The optimizer's averages start anew in each round, since
    they belong to variables that the server has replaced. Raises UserError where the loss is not finite.
    """
    seed = int(np.random.SeedSequence([self.federation.seed, number, done]).generate_state(1)[0])
    steps = self.federation.local_steps
    total = self.federation.rounds * steps
    changed, losses = self.training.run(
      variables, windows, seed=seed, first=done * steps, steps=steps, total=total
    )
    if not np.isfinite(losses).all():
      raise UserError(
        f'the loss of client {number} is not finite in round {done + 1}; lower the learning rate'
      )
    return changed, float(losses.mean())

  def measure(self, variables: Variables, windows: Batch) -> Measures:
    """Measures of these variables of `start`."""
    predicted = predict(self.training.objective, self.prepared.frozen | variables, windows).argmax(axis=1)
    return measure(windows['label'], predicted, len(self.federation.classes))

  def adapter(self, variables: Variables, **entries: Any) -> files.Adapter:
    """The adapter of these variables of `start`. entries: more of its card."""
    return self.training.adapter(self.prepared.frozen | variables, self.federation.classes, **entries)


@functools.lru_cache(maxsize=8)
def load_task(federation: Federation, base: str | None) -> Task:
  """A process' task, prepared once. base: a folder; None: the bundled base."""
  return Task(federation, files.bundled_base() if base is None else files.load_base(base))
