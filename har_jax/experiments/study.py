"""What to run: a study is turned into a list of runs, and a run carries all that it needs."""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from har_jax import config, config_fields
from har_jax.baselines import BASELINES
from har_jax.datasets import windows as store
from har_jax.errors import UserError
from har_jax.methods import METHODS
from har_jax.storage import Place

ENSEMBLE = 'ensemble'  # of a run of _ENCODER_METHOD and of the baselines
_ENCODER_METHOD = 'lora'
# Without a label of the target: by the head of supervised pretraining alone, and with a recording head.
ZERO_SHOT_RECORDING = 'zero_shot_recording'
ZERO_SHOT = ('zero_shot', ZERO_SHOT_RECORDING)


@dataclasses.dataclass(frozen=True)
class RunSpec:
  """One run: adapt to one target by one method with one seed, and test once."""

  windows: pathlib.Path  # folder with one folder of windows per dataset
  target: str
  sources: tuple[str, ...]  # datasets of pretraining
  method: str
  seed: int
  experiment: config.Experiment
  out: Place  # folder of the target: results, and the stages of each split and seed
  pretraining: Place  # folder of the target's masked pretraining, which all its runs share

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
  def is_baseline(self) -> bool:
    return self.method in BASELINES

  @property
  def is_pretrained(self) -> bool:
    return self.method in ZERO_SHOT or (self.method in METHODS and METHODS[self.method].pretrained)

  @property
  def encoder(self) -> 'RunSpec':
    """Of an ensemble: the run whose encoder it has."""
    return dataclasses.replace(self, method=_ENCODER_METHOD)

  @property
  def title(self) -> str:
    return f'{self.target}: {self.method}, {self.experiment.protocol.split} split, seed {self.seed}'

  @functools.cached_property  # it reads a file of each dataset
  def identity(self) -> dict[str, Any]:
    """All that decides a result's numbers. A result file with another identity is refused."""
    return {
      'target': self.target,
      'method': self.method,
      'seed': self.seed,
      'experiment': config_fields.to_json(self.experiment),
      'windows': checksums(self.windows, (self.target, *self.sources)),
    }


@dataclasses.dataclass(frozen=True)
class Study:
  """Targets × methods × seeds of one experiment, over the windows of one folder; or a shard of them."""

  windows: pathlib.Path
  out: Place
  experiment: config.Experiment
  targets: tuple[str, ...]
  methods: tuple[str, ...]
  seeds: tuple[int, ...]
  sources: tuple[str, ...] = ()  # of pretraining; none: every dataset but the target
  pretrained_dir: Place | None = None  # shared masked pretrainings; None: under `out`
  shard: tuple[int, int] = (0, 1)  # number, count
  batch_runs: int = 1  # seeds of a method that train together, in one program

  def __post_init__(self):
    known = available(self.windows)
    for name in (*self.targets, *self.sources):
      if name not in known:
        raise UserError(f'no windows of {name!r} under {self.windows}; there are {", ".join(known)}')
    for name in self.methods:
      if name not in (choices := [*METHODS, *BASELINES, ENSEMBLE, *ZERO_SHOT]):
        raise UserError(f'unknown method {name!r}; one of {", ".join(choices)}')
      for baseline in BASELINES:
        if name in (baseline, ENSEMBLE):
          BASELINES[baseline](0)  # a missing package shows now, not after hours of other runs
    without_labels = [name for name in self.methods if name in ZERO_SHOT]
    if without_labels and not self.experiment.protocol.supervised_pretraining_steps:
      raise UserError(
        f'{without_labels[0]} needs the head of supervised pretraining; '
        'add --supervised_pretraining_steps=3000'
      )
    for seed in self.seeds:
      if not 0 <= seed < 2**32:  # NumPy's and scikit-learn's range
        raise UserError(f'seed {seed} is out of range; give integers in [0, 2³²)')
    for target in self.targets:
      if excluded := _excluded(self.windows, target).intersection(self.sources):
        raise UserError(f'sources {", ".join(sorted(excluded))} are the target {target} or its recordings')
      if not self.sources_of(target):
        raise UserError(f'no sources to pretrain on for {target}: {self.windows} holds no other dataset')
    number, shards = self.shard
    if not 0 <= number < shards:
      raise UserError(f'shard {number} of {shards}: the number must be in [0, {shards}), such as 0/4')
    if self.batch_runs < 1:
      raise UserError(f'lodo_batch_runs is {self.batch_runs}; it must be at least 1')
    if not self.runs:
      every = len(dataclasses.replace(self, shard=(0, 1)).runs)
      raise UserError(f'{every} runs are too few for {shards} shards; give at most {every}')

  @property
  def runs(self) -> list[RunSpec]:
    """The runs of this shard, finished or not.

    The shards partition all runs, and their sizes differ by at most one. A shard is one contiguous part of
    the list, target after target, so that few shards wait for the same pretraining. Each begins with another
    method: jobs that start together then compile different programs, and find the others' in the cache.
    """
    methods = list(dict.fromkeys(self.methods))
    every = list(dict.fromkeys(itertools.product(self.targets, self.seeds, methods)))
    sources = {target: self.sources_of(target) for target in self.targets}  # each reads files
    number, shards = self.shard
    part = every[number * len(every) // shards : (number + 1) * len(every) // shards]
    first = number * len(methods) // shards
    order = methods[first:] + methods[:first]
    places = (self.targets.index, self.seeds.index, order.index)
    return [
      RunSpec(
        windows=self.windows,
        target=target,
        sources=sources[target],
        method=method,
        seed=seed,
        experiment=self.experiment,
        out=self.out / target,
        pretraining=(self.pretrained_dir or self.out) / target / 'pretrain',
      )
      for target, seed, method in sorted(
        part, key=lambda run: [at(x) for at, x in zip(places, run, strict=True)]
      )
    ]

  def sources_of(self, target: str) -> tuple[str, ...]:
    excluded = _excluded(self.windows, target)
    return self.sources or tuple(name for name in available(self.windows) if name not in excluded)


def available(windows: pathlib.Path) -> list[str]:
  """The datasets of a folder of windows. Raises UserError where there is none."""
  names = sorted(path.parent.name for path in windows.glob('[!.]*/meta.json'))
  if not names:
    raise UserError(f'no windows under {windows}; har-jax prepare --out={windows} makes them')
  return names


def _excluded(windows: pathlib.Path, target: str) -> frozenset[str]:
  """The datasets that have the target's people, whatever their folder's name."""
  people = store.same_people(windows, target)
  return frozenset(name for name in available(windows) if people & store.same_people(windows, name))


def checksums(windows: pathlib.Path, names: Sequence[str]) -> dict[str, Any]:
  """What identifies each dataset's windows: where they are from, and their sum."""
  kept = ('checksum', 'position', 'code_version')
  identified = {}
  for name in names:
    meta = store.read_meta(windows / name)
    identified[name] = {entry: meta.get(entry, '') for entry in kept} | {
      'windows': meta['counts']['windows'],
      'sum': store.sum_of(windows / name),
    }
  return identified


def check_unchanged(windows: pathlib.Path, identified: Mapping[str, Any]) -> None:
  """Raises UserError where `checksums` has changed since a run began, so that it read two sets of windows."""
  now = checksums(windows, list(identified))
  if changed := [name for name in identified if now[name] != identified[name]]:
    raise UserError(
      f'the windows of {", ".join(changed)} in {windows} have changed while they were in use; '
      'run again, with another --out'
    )
