"""The paper's tables: the runs that each of them needs, under two protocols, from the same pretrainings.

<out>/pretrained/<target>/pretrain/   shared by everything below
<out>/base/...                        the experiment unchanged: Tables II to V and VII, the gap from leakage
<out>/rank-<r>/...                    the same with another adapter rank: Table VI
<out>/rotation/...                    the same with rotation augmentation, subject-wise split; with supervised
                                      pretraining, which is rotated too, also pretrainings of its own
Below these, paths are those of `har_jax.experiments`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from har_jax import config, config_fields
from har_jax.baselines import BASELINES
from har_jax.datasets.datasets import Datasets
from har_jax.errors import UserError
from har_jax.experiments.study import Study
from har_jax.storage import Place

# Table VI's ranks and Table VII's label fractions; then budgets that the paper lacks: fewer labels, and some
# per class.
RANKS = (8, 16, 20, 32, 48, 64)
LABEL_FRACTIONS = ('0.7', '0.6', '0.5', '0.4', '0.3')
FEW_LABELS = (
  *('0.1', '0.05', '0.01'),
  *('100/class', '50/class', '25/class', '10/class', '5/class', '2/class', '1/class'),
)
# The budgets at which pretraining is compared with training from scratch, on every target.
SCARCE = ('0.1', '10/class')
ROTATION_STD_DEG = config.Experiment().finetune.rotation_std_deg
# Tables VI and VII are of UCI HAR; without it, of the same people's other recordings; else of the first
# target.
_SWEPT = ('ucihar', 'hapt')
_PROTOCOLS = {'paper': ('window', 'dataset'), 'subject': ('subject', 'train')}  # split and normalization
TABLES = ('2', '3', '4', '5', '6', '7', 'pretraining', 'rotation')
_METHODS = ('full', 'lora', 'qlora', 'probe', 'scratch')
_COMPARED_METHODS = ('full', 'lora', 'qlora', 'scratch')


@dataclasses.dataclass(frozen=True)
class Paper:
  """Tables to make, and the windows that their runs are on."""

  datasets: Datasets
  out: Place
  experiment: config.Experiment
  seeds: tuple[int, ...]
  targets: tuple[str, ...]
  tables: tuple[str, ...] = TABLES
  shard: tuple[int, int] = (0, 1)  # number and count, of each table's runs

  def __post_init__(self) -> None:
    for name in self.tables:
      if name not in TABLES:
        raise UserError(f'no table {name!r}; one of {", ".join(TABLES)}')

  @property
  def swept(self) -> str:
    """The target of Tables VI and VII."""
    return next((name for name in _SWEPT if name in self.targets), self.targets[0])

  def studies(self) -> Iterator[Study]:
    """What to run, in the order that completes each table soonest.

    Runs that two tables need occur in both.
    """
    if set('2345').intersection(self.tables):
      yield from self._under_both(self.targets, (*_METHODS, *BASELINES))
    if '6' in self.tables:
      for rank in RANKS:
        yield from self._under_both((self.swept,), ('lora',), lora_rank=rank)
    if 'pretraining' in self.tables:
      for budget in SCARCE:
        yield self._study('subject', self.targets, (*_COMPARED_METHODS, *BASELINES), label_budget=budget)
    if 'rotation' in self.tables:
      rotation = {'finetune_rotation_std_deg': ROTATION_STD_DEG}
      yield self._study('subject', self.targets, _METHODS, **rotation)
      for budget in SCARCE:
        yield self._study('subject', self.targets, _COMPARED_METHODS, label_budget=budget, **rotation)
    if '7' in self.tables:
      for budget in (*FEW_LABELS, *LABEL_FRACTIONS):
        methods = ('full', 'lora', 'scratch', *BASELINES)
        yield from self._under_both((self.swept,), methods, label_budget=budget)

  def _under_both(self, targets: Sequence[str], methods: Sequence[str], **flags: Any) -> Iterator[Study]:
    for protocol in _PROTOCOLS:
      yield self._study(protocol, targets, methods, **flags)

  def _study(self, protocol: str, targets: Sequence[str], methods: Sequence[str], **flags: Any) -> Study:
    """Makes a study of the experiment with these hyperparameters, by their flags."""
    split, normalize = _PROTOCOLS[protocol]
    if self.experiment.model.stem:  # takes physical units under both
      normalize = 'none'
    flags |= {'split': split, 'normalize': normalize}
    changes = {config.HYPERPARAMETERS[flag]: value for flag, value in flags.items()}
    experiment = config_fields.replace(self.experiment, changes)
    folder, pretrained = 'base', self.out / 'pretrained'
    if experiment.lora != self.experiment.lora:
      folder = f'rank-{experiment.lora.rank}'
    if experiment.finetune != self.experiment.finetune:
      folder = 'rotation'
      if experiment.protocol.supervised_pretraining_steps:  # a stage that augments as fine-tuning does
        pretrained = self.out / folder / 'pretrained'
    return Study(
      datasets=self.datasets,
      out=self.out / folder,
      experiment=experiment,
      targets=tuple(targets),
      methods=tuple(methods),
      seeds=self.seeds,
      pretrained_dir=pretrained,
      shard=self.shard,
    )
