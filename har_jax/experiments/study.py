"""What to run, and where each result lies."""

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

from har_jax import config, config_fields
from har_jax.data import windows as store
from har_jax.errors import UserError
from har_jax.methods import METHODS
from har_jax.storage import Place

# The same people's recordings under two names: neither may be a source where the other is the target.
_TWINS = (frozenset({'hapt', 'ucihar'}),)


@dataclasses.dataclass(frozen=True)
class Study:
  """What to run: targets × methods × seeds of one experiment, over the windows of one folder; or a shard of them."""

  windows: pathlib.Path
  out: Place
  experiment: config.Experiment
  targets: tuple[str, ...]
  methods: tuple[str, ...]
  seeds: tuple[int, ...]
  sources: tuple[str, ...] = ()  # of pretraining; none: every archive but the target
  pretrained: Place | None = None  # where pretrainings lie, done or to be done; none: under `out`
  shard: tuple[int, int] = (0, 1)  # which, of how many
  batch_runs: int = 1  # so many seeds of a method train side by side, in one program

  def __post_init__(self):
    known = available(self.windows)
    for name in (*self.targets, *self.sources):
      if name not in known:
        raise UserError(f'no windows of {name!r} under {self.windows}; there are {", ".join(known)}')
    for name in self.methods:
      if name not in METHODS:
        raise UserError(f'unknown method {name!r}; one of {", ".join(METHODS)}')
    for seed in self.seeds:
      if not 0 <= seed < 2**32:  # NumPy's and scikit-learn's range
        raise UserError(f'seed {seed} is out of range; give whole numbers from 0 up')
    for target in self.targets:
      if left_out := _left_out(target).intersection(self.sources):
        raise UserError(
          f'{", ".join(sorted(left_out))} among the sources is the target {target}, or its recordings'
        )
      if not self.sources_of(target):
        raise UserError(f'nothing to pretrain on for {target}: {self.windows} holds no other archive')
    number, shards = self.shard
    if not 0 <= number < shards:
      raise UserError(f'shard {number} of {shards}; they are counted from 0 to n-1, such as 0/4')
    if self.batch_runs < 1:
      raise UserError(f'lodo_batch_runs is {self.batch_runs}; give 1 (one run after the other) or more')
    if not self.runs:
      every = len(dataclasses.replace(self, shard=(0, 1)).runs)
      raise UserError(f'{every} runs cannot be dealt to {shards} shards; give at most {every}')

  @property
  def runs(self) -> list[tuple[str, int, str]]:
    """The target, seed and method of each run of this shard, whether finished or not.

    Together the shards are everything, each run in one of them, and none has more than one run more than another. A
    shard is one stretch of all runs, target after target, so that few shards wait for the same pretraining.
    """
    every = list(dict.fromkeys(itertools.product(self.targets, self.seeds, self.methods)))
    number, shards = self.shard
    return every[number * len(every) // shards : (number + 1) * len(every) // shards]

  def sources_of(self, target: str) -> tuple[str, ...]:
    return self.sources or tuple(name for name in available(self.windows) if name not in _left_out(target))


def available(windows: pathlib.Path) -> list[str]:
  """The datasets of a folder of windows. Raises UserError where there is none."""
  names = sorted(path.parent.name for path in windows.glob('[!.]*/meta.json'))
  if not names:
    raise UserError(f'no windows under {windows}; make some with launch/prepare.py')
  return names


def _left_out(target: str) -> frozenset[str]:
  return frozenset({target}).union(*(twins for twins in _TWINS if target in twins))


def pretrained_path(study: Study, target: str) -> Place:
  return (study.pretrained or study.out) / target / 'pretrain' / 'pretrained.json'


def stage_path(study: Study, target: str, stage: str, seed: int) -> Place:
  """Of a stage of `config.STAGES`; every method and label budget of a split and seed starts from it."""
  split = study.experiment.protocol.split
  return study.out / target / stage / split / f'seed{seed}' / 'pretrained.json'


def result_path(study: Study, target: str, method: str, seed: int) -> Place:
  protocol = study.experiment.protocol
  budget = protocol.label_budget.replace('/', '-per-')
  return study.out / target / method / protocol.split / f'labels-{budget}' / f'seed{seed}.json'


def identity(study: Study, target: str, method: str, seed: int) -> dict[str, Any]:
  """All that decides a result's numbers; a result file made with another is not taken for this one."""
  return {
    'target': target,
    'method': method,
    'seed': seed,
    'experiment': config_fields.to_json(study.experiment),
    'windows': checksums(study.windows, (target, *study.sources_of(target))),
  }


def checksums(windows: pathlib.Path, names: Sequence[str]) -> dict[str, Any]:
  metas = {name: store.read_meta(windows / name) for name in names}
  kept = ('checksum', 'position', 'code_version')
  return {
    name: {k: meta[k] for k in kept} | {'windows': meta['counts']['windows']} for name, meta in metas.items()
  }
