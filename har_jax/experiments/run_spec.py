"""One run, with all that it needs: its fold, method, hyperparameters and folders."""

import dataclasses
import functools

from har_jax import config, records
from har_jax.datasets.folds import Fold
from har_jax.storage import Place


@dataclasses.dataclass(frozen=True)
class RunSpec:
  """One run: adapt to one target by one method with one seed, and test once."""

  fold: Fold
  method: str  # a name of `kinds.KINDS`
  experiment: config.Experiment
  out: Place  # folder of the target: results, and the stages of each split and seed
  pretraining: Place  # folder of the target's masked pretraining, which all its runs share

  @property
  def target(self) -> str:
    return self.fold.target

  @property
  def seed(self) -> int:
    return self.fold.seed

  @property
  def result(self) -> Place:
    """The result file."""
    protocol = self.experiment.protocol
    budget = f'labels-{protocol.label_budget.replace("/", "-per-")}'
    return self.out / self.method / protocol.split / budget / f'seed{self.seed}.json'

  @property
  def folder(self) -> Place:
    """Checkpoints and log of the run."""
    return self.result.with_suffix('')

  @property
  def title(self) -> str:
    return f'{self.target}: {self.method}, {self.experiment.protocol.split} split, seed {self.seed}'

  @functools.cached_property  # it reads a file of each dataset
  def identity(self) -> records.Identity:
    """A result file with another identity is refused."""
    return records.Identity(
      target=self.target,
      method=self.method,
      seed=self.seed,
      experiment=self.experiment,
      windows=self.fold.datasets.identify((self.target, *self.fold.source_names)),
    )
