"""The paper's tables: the runs that each of them needs, under two protocols, from the same pretrainings.

<out>/pretrained/<target>/pretrain/   shared by everything below
<out>/base/...                        the experiment as it is: Tables II to V and VII, the gap from leakage
<out>/rank-<r>/...                    the same with adapters of another rank: Table VI
<out>/turned/...                      the same with windows turned in fine-tuning, by subject: what that is worth
Below these, paths are those of `har_jax.experiments`.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from har_jax import config, experiments
from har_jax.errors import UserError
from har_jax.storage import Place

# Table VI's ranks and Table VII's shares, then what the paper left out: fewer labels, and so many a class.
RANKS = (8, 16, 20, 32, 48, 64)
SHARES = ('0.7', '0.6', '0.5', '0.4', '0.3')
FEW_LABELS = (
  '0.1',
  '0.05',
  '0.01',
  '100/class',
  '50/class',
  '25/class',
  '10/class',
  '5/class',
  '2/class',
  '1/class',
)
# Where pretraining must pay, on every target.
SCARCE = ('0.1', '10/class')
ROTATION = config.Experiment().finetune.rotation_std_deg  # degrees
# Tables VI and VII are of UCI HAR; where that is not at hand, of its people's other recordings; else of the first target.
_SWEPT = ('ucihar', 'hapt')
_PROTOCOLS = {
  'paper': {'split': 'window', 'normalize': 'dataset'},
  'subject': {'split': 'subject', 'normalize': 'train'},
}
TABLES = ('2', '3', '4', '5', '6', '7', 'pretraining', 'rotation')
_METHODS = ('full', 'lora', 'qlora', 'probe', 'scratch')


@dataclasses.dataclass(frozen=True)
class Paper:
  """Which tables, over which windows."""

  windows: pathlib.Path
  out: Place
  experiment: config.Experiment
  seeds: tuple[int, ...]
  targets: tuple[str, ...]
  tables: tuple[str, ...] = TABLES
  shard: tuple[int, int] = (0, 1)  # which of each table's runs, of how many parts

  def __post_init__(self):
    for name in self.tables:
      if name not in TABLES:
        raise UserError(f'no table {name!r}; of {", ".join(TABLES)}')

  @property
  def swept(self) -> str:
    """The target of Tables VI and VII."""
    return next((name for name in _SWEPT if name in self.targets), self.targets[0])

  def studies(self) -> Iterator[experiments.Study]:
    """What to run, in the order that makes each table whole soonest. Runs that two tables need occur in both."""
    if set('2345').intersection(self.tables):
      yield from self._under_both(self.targets, _METHODS)
    if '6' in self.tables:
      for rank in RANKS:
        yield from self._under_both((self.swept,), ('lora',), rank=rank)
    if 'pretraining' in self.tables:
      for labels in SCARCE:
        yield self._study('subject', self.targets, ('full', 'lora', 'qlora', 'scratch'), labels=labels)
    if 'rotation' in self.tables:
      yield self._study('subject', self.targets, _METHODS, rotation_std_deg=ROTATION)
      for labels in SCARCE:
        yield self._study(
          'subject',
          self.targets,
          ('full', 'lora', 'qlora', 'scratch'),
          labels=labels,
          rotation_std_deg=ROTATION,
        )
    if '7' in self.tables:
      for labels in (*FEW_LABELS, *SHARES):
        yield from self._under_both((self.swept,), ('full', 'lora', 'scratch'), labels=labels)

  def shown(self, target: str) -> list[experiments.Study]:
    """Those of which pictures tell, of this target: of the experiment as it is, with LoRA; none where a sweep has only others."""
    labels, lora = self.experiment.protocol.label_budget, self.experiment.lora
    return [
      study
      for study in self.studies()
      if target in study.targets
      and 'lora' in study.methods
      and (study.experiment.protocol.label_budget, study.experiment.lora) == (labels, lora)
      and study.experiment.finetune == self.experiment.finetune
    ]

  def _under_both(
    self,
    targets: Sequence[str],
    methods: Sequence[str],
    *,
    rank: int | None = None,
    labels: str | None = None,
  ) -> Iterator[experiments.Study]:
    for protocol in _PROTOCOLS:
      yield self._study(protocol, targets, methods, rank=rank, labels=labels)

  def _study(
    self,
    protocol: str,
    targets: Sequence[str],
    methods: Sequence[str],
    *,
    rank: int | None = None,
    labels: str | None = None,
    rotation_std_deg: float | None = None,
  ) -> experiments.Study:
    experiment, folder = self.experiment, 'base'
    own = _PROTOCOLS[protocol]
    changed = dataclasses.replace(experiment.protocol, split=own['split'], normalize=own['normalize'])
    experiment = dataclasses.replace(experiment, protocol=changed)
    if labels is not None:
      experiment = dataclasses.replace(experiment, protocol=dataclasses.replace(changed, label_budget=labels))
    if rank is not None and rank != experiment.lora.rank:
      experiment = dataclasses.replace(experiment, lora=dataclasses.replace(experiment.lora, rank=rank))
      folder = f'rank-{rank}'
    if rotation_std_deg is not None and rotation_std_deg != experiment.finetune.rotation_std_deg:
      experiment = dataclasses.replace(
        experiment, finetune=dataclasses.replace(experiment.finetune, rotation_std_deg=rotation_std_deg)
      )
      folder = 'turned'
    return experiments.Study(
      windows=self.windows,
      out=self.out / folder,
      experiment=experiment,
      targets=tuple(targets),
      methods=tuple(methods),
      seeds=self.seeds,
      pretrained=self.out / 'pretrained',
      shard=self.shard,
    )
