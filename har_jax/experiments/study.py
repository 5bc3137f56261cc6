"""What to run: a study is turned into a list of runs, and a run carries all that it needs."""

import dataclasses
import itertools

from har_jax import config
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Fold
from har_jax.errors import UserError, counted
from har_jax.experiments import kinds
from har_jax.experiments.run_spec import RunSpec
from har_jax.storage import Place


@dataclasses.dataclass(frozen=True)
class Study:
  """Targets × methods × seeds of one experiment, over the same datasets; or a shard of them."""

  datasets: Datasets
  out: Place
  experiment: config.Experiment
  targets: tuple[str, ...]
  methods: tuple[str, ...]
  seeds: tuple[int, ...]
  sources: tuple[str, ...] = ()  # of pretraining; none: every dataset but the target
  pretrained_dir: Place | None = None  # shared masked pretrainings; None: under `out`
  shard: tuple[int, int] = (0, 1)  # number, count
  batch_runs: int = 1  # seeds of a method that train together, in one program

  def __post_init__(self) -> None:
    for name in self.methods:
      kinds.find(name).check(name, self.experiment)
    for seed in self.seeds:
      if not 0 <= seed < 2**32:  # NumPy's and scikit-learn's range
        raise UserError(f'seed {seed} is out of range; give integers in [0, 2³²)')
    for target in self.targets:
      if excluded := self.datasets.sharing_people(target).intersection(self.sources):
        names = ', '.join(sorted(excluded))
        raise UserError(f'sources {names} are the target {target} or its recordings: leave them out')
      if not self.sources_of(target):
        raise UserError(
          f'no sources to pretrain on for {target}: {self.datasets.folder} holds no other dataset'
        )
    used = {*self.targets, *(name for target in self.targets for name in self.sources_of(target))}
    self.datasets.check_windowing(sorted(used), self.experiment.model.windowing)
    number, shards = self.shard
    if not 0 <= number < shards:
      raise UserError(f'shard {number} of {shards}: the number must be in [0, {shards}), such as 0/4')
    if self.batch_runs < 1:
      raise UserError(f'lodo_batch_runs is {self.batch_runs}; it must be at least 1')
    if not self.runs:
      count = len(dataclasses.replace(self, shard=(0, 1)).runs)
      raise UserError(f'{shards} shards of {counted(count, "run")}; give at most {count}')

  @property
  def runs(self) -> list[RunSpec]:
    """The runs of this shard, finished or not.

    The shards partition all runs, and their sizes differ by at most one. A shard is one contiguous part of
    the list, target after target, so that few shards wait for the same pretraining. Each begins with another
    method: jobs that start together then compile different programs, and find the others' in the cache.
    """
    methods = list(dict.fromkeys(self.methods))
    every = list(dict.fromkeys(itertools.product(self.targets, self.seeds, methods)))
    number, shards = self.shard
    part = every[number * len(every) // shards : (number + 1) * len(every) // shards]
    first = number * len(methods) // shards
    order = methods[first:] + methods[:first]
    part.sort(key=lambda run: (self.targets.index(run[0]), self.seeds.index(run[1]), order.index(run[2])))
    return [
      RunSpec(
        fold=Fold(self.datasets, target, self.sources_of(target), self.experiment.protocol, seed),
        method=method,
        experiment=self.experiment,
        out=self.out / target,
        pretraining=(self.pretrained_dir or self.out) / target / 'pretrain',
      )
      for target, seed, method in part
    ]

  def sources_of(self, target: str) -> tuple[str, ...]:
    """The datasets to pretrain on: those asked for, or all without people of the target."""
    excluded = self.datasets.sharing_people(target)
    return self.sources or tuple(name for name in self.datasets.names if name not in excluded)
