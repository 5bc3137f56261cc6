"""The task that server and clients agree on, and a client's part of it: some steps on its own windows."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from har_jax import files, methods
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.federated import aggregation
from har_jax.files import safetensors_io
from har_jax.recognizer.parameters import Parameters
from har_jax.recognizer.short_training import ShortTraining, as_arrays
from har_jax.train.evaluation import predict
from har_jax.train.metrics import measure
from har_jax.variables import Variables, split


@dataclasses.dataclass(frozen=True)
class Federation:
  """The hyperparameters that the server sends with every message.

  classes: what the head predicts. aggregation: see `aggregation.AGGREGATIONS`.
  participation: the fraction of the connected clients that a round asks.
  learning_rate: the best of 1e-3, 2e-3 and 3e-3 for an average of HAPT's clients, on its validation people.
  equal_weights: clients count equally, not by their windows.
  personal_head: the head and its BatchNorm statistics stay with each client.
  clip_norm, noise_multiplier: differential privacy of whole clients; 0: none.
  """

  classes: tuple[str, ...]
  method: str = 'lora'
  rank: int = 32
  rounds: int = 20
  local_steps: int = 10
  batch: int = 32
  learning_rate: float = 3e-3
  aggregation: str = 'average'
  participation: float = 1.0
  equal_weights: bool = False
  personal_head: bool = False
  clip_norm: float = 0.0
  noise_multiplier: float = 0.0
  seed: int = 0

  def __post_init__(self):
    methods.find(self.method)  # raises UserError
    if self.aggregation not in aggregation.AGGREGATIONS:
      raise UserError(
        f'aggregation {self.aggregation!r} is unknown; one of {", ".join(aggregation.AGGREGATIONS)}'
      )
    if not 0 < self.participation <= 1:
      raise UserError(f'participation is {self.participation}; give a fraction over 0 and up to 1')
    for name in ('rounds', 'local_steps', 'batch', 'rank'):
      if getattr(self, name) < 1:
        raise UserError(f'{name} is {getattr(self, name)}; it must be at least 1')
    if bool(self.clip_norm) != bool(self.noise_multiplier) or min(self.clip_norm, self.noise_multiplier) < 0:
      raise UserError(
        'differential privacy needs both clip_norm and noise_multiplier over 0; they are '
        f'{self.clip_norm} and {self.noise_multiplier}'
      )
    if self.clip_norm and (self.aggregation == 'product' or not self.equal_weights):
      raise UserError('differential privacy needs equal weights, and the aggregation average or frozen_a')

  def entries(self) -> dict[str, Any]:
    """The fields as Flower's ConfigRecord takes them."""
    return dataclasses.asdict(self) | {'classes': list(self.classes)}

  @classmethod
  def from_entries(cls, entries: Mapping[str, Any]) -> 'Federation':
    """Reads what `entries` gave, or Flower's run_config, where the classes are one text with commas."""
    fields = {field.name: entries[field.name] for field in dataclasses.fields(cls) if field.name in entries}
    classes = fields.get('classes', ())
    fields['classes'] = tuple(classes.split(',') if isinstance(classes, str) else classes)
    return cls(**fields)


class Task:
  """A federation on a base: where its variables start, which of them are sent, and a client's training."""

  def __init__(self, federation: Federation, base: files.Base, rank: int | None = None):
    """rank: of a client whose rank is below the federation's."""
    self.federation, self.base, rank = federation, base, rank or federation.rank
    if rank != federation.rank and federation.aggregation != 'product':
      raise UserError(f'rank {rank} is not {federation.rank}, that of the others: this needs product')
    parameters = Parameters(
      base,
      method=federation.method,
      rank=rank,
      alpha=2.0 * rank,
      max_steps=federation.rounds * federation.local_steps,
      learning_rate=federation.learning_rate,
      batch=federation.batch,
      random_state=federation.seed,
    )
    self._training = ShortTraining(federation.classes, parameters)
    self.method, self.settings = self._training.method, self._training.settings
    self.objective, self.prepared = self._training.objective, self._training.prepared
    first_factors, others = split(self.prepared.trainable, lambda path: self.method.is_factor(path, 'a'))
    if federation.aggregation != 'average' and not first_factors:
      raise UserError(
        f'{federation.method} trains no pairs of LoRA for the aggregation {federation.aggregation}; '
        'give average'
      )
    # FFA-LoRA: with one A for all, the mean of B is the mean of A B.   Source: arXiv:2403.12313.
    frozen_a = first_factors if federation.aggregation == 'frozen_a' else {}
    self.trainable = others if frozen_a else self.prepared.trainable
    self.frozen = self.prepared.frozen | frozen_a

  def is_shared(self, path: str) -> bool:
    return not (self.federation.personal_head and '/head/' in path)

  @property
  def start(self) -> Variables:
    """Variables that training changes, sorted: trainable leaves and BatchNorm's statistics, in NumPy."""
    return as_arrays(self.trainable | self.prepared.statistics)

  @property
  def shared(self) -> Variables:
    """The leaves of the start that are sent, in sorted order."""
    return {path: leaf for path, leaf in self.start.items() if self.is_shared(path)}

  @functools.cached_property
  def checksum(self) -> str:
    """Checksum of all that is not sent and that every client must hold alike."""
    return safetensors_io.checksum(self.frozen)

  def fit(self, variables: Variables, windows: Batch, *, number: int, done: int) -> tuple[Variables, float]:
    """The variables of `start` after a client's steps in round `done` + 1, and the mean loss.

    The rate follows its schedule over all rounds. The optimizer's averages start anew in each round, since
    they belong to variables that the server has replaced. Raises UserError where the loss is not finite.
    """
    seed = int(np.random.SeedSequence([self.federation.seed, number, done]).generate_state(1)[0])
    steps = self.federation.local_steps
    total = self.federation.rounds * steps
    changed, losses = self._training.run(
      variables, self.frozen, windows, seed=seed, first=done * steps, steps=steps, total=total
    )
    if not np.isfinite(losses).all():
      raise UserError(
        f'the loss of client {number} is not finite in round {done + 1}; lower the learning rate'
      )
    return changed, float(losses.mean())

  def fit_alone(self, windows: Batch, *, seed: int, steps: int) -> Variables:
    """The variables of `start` after these steps on these windows, without a federation."""
    return self._training.run(self.start, self.frozen, windows, seed=seed, steps=steps, total=steps)[0]

  def measure(self, variables: Variables, windows: Batch) -> dict[str, Any]:
    """Macro-F1 and the other measures of these variables of `start`."""
    predicted = predict(self.objective, self.frozen | variables, windows).argmax(axis=1)
    return measure(windows['label'], predicted, len(self.federation.classes))

  def adapter(self, variables: Variables, **entries: Any) -> files.Adapter:
    """The adapter of these variables of `start`. entries: more of its card."""
    return self._training.adapter(self.frozen | variables, self.federation.classes, **entries)


@functools.lru_cache(maxsize=8)
def load_task(federation: Federation, base: str | None, rank: int | None) -> Task:
  """A process' task, prepared once. base: a folder; None: the bundled base."""
  return Task(federation, files.bundled_base() if base is None else files.load_base(base), rank)
