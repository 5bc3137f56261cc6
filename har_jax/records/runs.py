"""Records of the user's own runs: what a run depends on, its stages, its result.

Every entry of the files is here, in their order. The identity of a file is compared with that of the run that
is asked for. Hyperparameters that an older identity lacks have their defaults; an entry that this version
does not know is refused, since numbers may depend on it.
"""

import dataclasses
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Struct

from har_jax import config
from har_jax.records.cards import Card, Device, Normalizer
from har_jax.signal.summary import SignalSummary

_Entry = TypeVar('_Entry')


class IdentifiedWindows(Struct, kw_only=True, omit_defaults=True):
  """What an identity holds of a dataset's windows. Length and rate: None if they are the usual ones."""

  checksum: str
  position: str
  code_version: str | None = None
  window_samples: int | None = None
  rate_hz: int | None = None
  windows: int
  sum: str


class Identity(Struct, kw_only=True, forbid_unknown_fields=True):
  """All that decides a run's numbers."""

  target: str
  method: str
  seed: int
  experiment: config.Experiment
  windows: dict[str, IdentifiedWindows]

  def __post_init__(self) -> None:
    if self.target not in self.windows:
      raise ValueError(f'windows of {self.target}, the target, are missing')


class PersonalIdentity(Identity, kw_only=True):
  personal_labels: int  # per class
  personal_penalty: float


@dataclasses.dataclass(frozen=True)
class Encoder(config.Model):
  """Hyperparameters of a model without those of its head, which masked pretraining does not have."""

  head: ClassVar[Any]  # type: ignore[misc]
  dropout: ClassVar[Any]  # type: ignore[misc]

  @classmethod
  def part(cls, model: config.Model) -> 'Encoder':
    """The encoder and decoder of a model."""
    return cls(**{field.name: getattr(model, field.name) for field in dataclasses.fields(cls)})

  @property
  def with_head(self) -> config.Model:
    """The model, with the default head."""
    return config.Model(**dataclasses.asdict(self))


class _StageIdentity(Struct, kw_only=True, tag_field='stage', forbid_unknown_fields=True, omit_defaults=True):
  """What a stage of pretraining depends on. before: the identity of the stage that it starts from."""

  before: 'StageIdentity | None' = msgspec.field(default=None, name='from')

  @property
  def name(self) -> str:
    return str(self.__struct_config__.tag)

  @property
  def stages(self) -> 'list[StageIdentity]':
    """This stage and those before it, the first one first."""
    return [*(self.before.stages if self.before else ()), self]  # type: ignore[list-item]


class Pretraining(_StageIdentity, kw_only=True, tag='pretraining'):
  """Masked pretraining on the sources. validation: fraction of subjects."""

  model: Encoder
  dtype: str
  training: config.Training
  validation: float
  normalize: str
  windows: dict[str, IdentifiedWindows]


class Splitting(Struct):
  """The part of a protocol that a target's training part follows from. Label budgets share it."""

  split: str
  test_fraction: float
  validation_fraction: float
  normalize: str
  classes: str


class Continued(_StageIdentity, kw_only=True, tag='continued'):
  protocol: Splitting
  training: config.Training
  seed: int
  windows: dict[str, IdentifiedWindows]


class Supervised(_StageIdentity, kw_only=True, tag='supervised'):
  model: config.Model
  classes: list[str]
  windows_per_source: int
  training: config.Training
  seed: int
  windows: dict[str, IdentifiedWindows]


StageIdentity = Pretraining | Continued | Supervised


class Validation(Struct, kw_only=True, omit_defaults=True):
  """Scores of a step. score: the higher, the better. seconds: of training so far."""

  step: int
  score: float | None = None
  loss: float | None = None
  macro_f1: float | None = None
  accuracy: float | None = None
  seconds: float | None = None


def _find_step(step: int, history: list[Validation]) -> Validation:
  """The validation of the step that was kept. Raises ValueError if there is not one."""
  entries = [entry for entry in history if entry.step == step]
  if len(entries) != 1:
    raise ValueError(f'not one validation is of step {step}')
  return entries[0]


class Stage(Struct, kw_only=True):
  """pretrained.json of a finished stage. windows: to train on."""

  identity: StageIdentity
  step: int
  seconds: float
  history: list[Validation]
  windows: int
  versions: dict[str, str]
  device: Device

  def __post_init__(self) -> None:
    _ = self.validated

  @property
  def validated(self) -> Validation:
    return _find_step(self.step, self.history)


class Measures(Struct):
  """Fractions of one; rows of the confusion matrix are true classes, columns predicted ones."""

  accuracy: float
  macro_f1: float
  precision: float
  recall: float
  confusion: list[list[int]]


class Selective(Struct):
  """Error rates among the most confident windows.

  aurc: the mean over all coverages, the fractions of windows that are answered. risk: at a tenth to all.
  """

  aurc: float
  risk: list[float]


class Parts(Struct, Generic[_Entry]):
  """Something of each part of a target's windows."""

  train: _Entry
  validation: _Entry
  test: _Entry


class TargetData(Struct, kw_only=True):
  """A target's windows. by_class: counts, in the order of the classes."""

  split: str
  classes: list[str]
  windows: Parts[int]
  by_class: Parts[list[int]]
  subjects: Parts[list[str]]
  normalizer: Normalizer
  position: str


class Counted(Struct):
  """Numbers of parameters."""

  trainable: int
  total: int


class Bytes(Struct):
  """Bytes held, by collection."""

  frozen: dict[str, int] = {}
  trainable: dict[str, int] = {}
  statistics: dict[str, int] = {}
  optimizer: dict[str, int] = {}


class EnsembleFit(Struct):
  """weights: member → its part of the mean."""

  weights: dict[str, float]
  encoder_temperature: float


class Result(Card, kw_only=True, omit_defaults=True, tag=f'har_jax result {config.SCHEMA_VERSION}'):
  """seed<k>.json of a finished run.

  collections: of the method; None for a baseline. starts_from: the last stage's folder, from this file's.
  seconds: of `training`, and of each stage before it.
  """

  identity: Identity
  test: Measures
  test_by_subject: dict[str, Measures]
  data: TargetData
  versions: dict[str, str]
  device: Device
  signals: SignalSummary | None = None  # none in results that are older, and of baselines
  selective: Selective | None = None  # none in results that are older
  collections: list[str] | None
  starts_from: str | None
  ensemble: EnsembleFit | None = None
  validation: list[Validation]
  step: int
  parameters: Counted
  bytes: Bytes
  seconds: dict[str, float]
  batch_runs: int

  def __post_init__(self) -> None:
    _ = self.validated
    if 'training' not in self.seconds:
      raise ValueError('the seconds of training are missing')
    classes = len(self.data.classes)
    if [len(row) for row in self.test.confusion] != [classes] * classes:
      raise ValueError(f'the confusion matrix is not of {classes} classes')

  @property
  def validated(self) -> Validation:
    return _find_step(self.step, self.validation)


class PersonalWindows(Struct):
  train: int
  test: int


class BeforeAndAfter(Struct):
  """Measures of one subject, with the run's output layer and with a new one."""

  windows: PersonalWindows
  before: Measures
  after: Measures


class Personalization(Card, kw_only=True, tag=f'har_jax personal {config.SCHEMA_VERSION}'):
  """labels-<n>-per-class.json next to a run. excluded: subjects with too few activities to test on."""

  identity: PersonalIdentity
  by_subject: dict[str, BeforeAndAfter]
  excluded: list[str]
  seconds: float
  versions: dict[str, str]
  device: Device


class Scores(Struct):
  """Fractions of one."""

  macro_f1: float
  accuracy: float


class LearnedDomain(Struct):
  """Scores on all domains after one more was learned; None: of a strategy that has no model yet."""

  domain: str
  start: Scores | None
  macro_f1: list[float | None]
  accuracy: list[float | None]
  bytes: int
  seconds: float


class Continual(Card, kw_only=True, tag=f'har_jax continual {config.SCHEMA_VERSION}'):
  """continual.json, next to what the strategy keeps."""

  identity: dict[str, Any]  # as `continual.run` makes it: it is compared, entry by entry
  history: list[LearnedDomain]
  # These five once the stream has ended.
  macro_f1: dict[str, float | None] = msgspec.field(default_factory=dict)
  accuracy: dict[str, float | None] = msgspec.field(default_factory=dict)
  bytes: int = 0
  seconds: float = 0.0
  unseen: Scores | None = None  # on windows of none of the domains
