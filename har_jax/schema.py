"""What the entries of cards and result files may be: the fields that code reads, and their types.

Cards that users share also have bounds: a forged one cannot make a command run for ever (docs/trust.md).
Results, windows and stages are the user's own, and have types alone.
Entries that no code reads are not described, and are free.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from har_jax import config, config_fields
from har_jax.errors import UserError, shorten

_Kind = TypeVar('_Kind')
_Name = Annotated[str, Meta(min_length=1, max_length=1000)]
_Text = Annotated[str, Meta(max_length=10_000)]
_Names = Annotated[list[_Name], Meta(min_length=1, max_length=100_000)]
_Count = Annotated[int, Meta(ge=0, le=10**15)]
Number = Annotated[float, Meta(ge=-1e30, le=1e30)]  # neither NaN nor infinite
_Seconds = Annotated[float, Meta(ge=0, le=1e12)]
_Positive = Annotated[float, Meta(gt=0, le=1e12)]
_Fraction = Annotated[float, Meta(ge=0, le=1)]
_Sha256 = Annotated[str, Meta(pattern='^[0-9a-f]{64}$')]
# What a user calls activities: any names or numbers.
_Classes = Annotated[list[str | int | Number], Meta(min_length=2, max_length=10_000)]
_Counts = dict[str, _Count]


class _Counted(Struct):
  windows: int
  recordings: int
  by_activity: dict[str, int]
  by_subject: dict[str, int]


class Windows(Struct):
  """meta.json of a windows folder."""

  rate_hz: Annotated[int, Meta(ge=1, le=config_fields.MOST_RATE_HZ)]
  activities: list[str]
  subjects: list[str]
  counts: _Counted
  position: str = ''
  positions: list[str] | None = None
  archive: str | None = None
  window_samples: Annotated[int, Meta(ge=1, le=config_fields.MOST_WINDOW_SAMPLES)] = config.Windowing.samples
  checksum: str = ''
  code_version: str = ''


class _Normalizer(Struct):
  mean: Annotated[list[Number], Meta(min_length=2, max_length=2)]
  deviation: Annotated[list[_Positive], Meta(min_length=2, max_length=2)]


class Base(Struct):
  model: config.Model
  checksum: _Sha256
  classes: Annotated[list[_Name], Meta(max_length=10_000)] = []


class RecordingHead(Struct):
  base: _Sha256
  classes: Annotated[list[_Name], Meta(min_length=2, max_length=1000)]
  members: Annotated[int, Meta(ge=1, le=100)]


class _TrainingOfAdapter(Struct):
  """Parameters of a recognizer."""

  max_steps: _Count = 1
  learning_rate: _Seconds = 0.0
  batch: Annotated[int, Meta(ge=1, le=10**6)] = 1
  rotation_std_deg: _Seconds = 0.0
  random_state: _Count = 0
  validation_fraction: _Fraction = 0.0
  tta_shifts: Annotated[int, Meta(ge=1, le=config_fields.MOST_WINDOW_SAMPLES)] = 1
  ensemble: bool = False


class _FederationOfAdapter(Struct):
  """The settings of a federation, and an entry for each of its rounds."""

  settings: dict[str, Any]
  history: Annotated[list[dict[str, Any]], Meta(max_length=100_000)]
  data: dict[str, Any] = msgspec.field(default_factory=dict)  # that it trained on, if the server knew it


class Adapter(Struct):
  method: _Name
  rank: Annotated[int, Meta(ge=1, le=config_fields.MOST_WIDTH)]
  alpha: _Positive
  targets: _Names
  model: config.Model
  precision: config.Precision
  classes: _Classes
  normalizer: _Normalizer
  checksum: _Sha256
  base: _Sha256 | None
  temperature: _Positive
  scaling: str = 'rank'  # these four are checked as hyperparameters
  start: str = 'zero'
  rate_ratio: float = 1.0
  methods: config.Methods = config.Methods()
  training: _TrainingOfAdapter = msgspec.field(default_factory=_TrainingOfAdapter)
  federated: _FederationOfAdapter | None = None
  corrections: _Count = 0  # of a stream's user, in the head

  def __post_init__(self):
    if len(set(self.classes)) < len(self.classes):
      raise ValueError('a class is named twice')


class Ensemble(Struct):
  """ensemble.json, next to an adapter's files."""

  adapter: _Sha256
  weights: dict[str, _Fraction]
  seconds: dict[str, _Seconds]
  temperature: _Positive
  versions: dict[str, _Text]

  def __post_init__(self):
    if abs(sum(self.weights.values()) - 1) > 1e-6:
      raise ValueError(f'the weights add up to {sum(self.weights.values())}, not to 1')


class Export(Struct):
  """model.json of an exported model."""

  runtime: _Name
  precision: _Name
  file: Annotated[str, Meta(pattern=r'^[\w-]+(\.[\w-]+)+$', max_length=100)]  # a name, not a path
  classes: _Classes
  temperature: _Positive
  normalizer: _Normalizer
  model: config.Model


class _IdentifiedWindows(Struct):
  """What an identity holds of a dataset's windows."""

  checksum: str
  position: str
  windows: int
  sum: str
  code_version: str | None = None


class _Validation(Struct):
  step: int
  macro_f1: float | None = None
  accuracy: float | None = None
  loss: float | None = None


def _check_step(step: int, history: list[_Validation]) -> None:
  if [entry.step for entry in history].count(step) != 1:
    raise ValueError(f'not one validation is of step {step}')


class _StageIdentity(Struct):
  stage: Literal['pretraining', 'continued', 'contrastive', 'supervised']
  windows: dict[str, _IdentifiedWindows]
  model: dict[str, Any] | None = None
  classes: list[str] | None = None


class Stage(Struct):
  """pretrained.json of a finished stage."""

  identity: _StageIdentity
  step: int
  seconds: float
  history: list[_Validation]

  def __post_init__(self):
    _check_step(self.step, self.history)


class _Measured(Struct):
  macro_f1: float
  accuracy: float


class _LearnedDomain(Struct):
  """Scores on all domains after one more was learned; None: of a strategy that has no model yet."""

  domain: str
  start: _Measured | None
  macro_f1: list[float | None]
  accuracy: list[float | None]
  bytes: int
  seconds: float


class Continual(Struct):
  """continual.json, next to what the strategy keeps."""

  identity: dict[str, Any]
  history: list[_LearnedDomain]


class _Tested(Struct):
  macro_f1: float
  accuracy: float
  precision: float
  recall: float
  confusion: list[list[int]]


class _Identity(Struct):
  target: str
  method: str
  seed: int
  experiment: config.Experiment
  windows: dict[str, _IdentifiedWindows]

  def __post_init__(self):
    if self.target not in self.windows:
      raise ValueError(f'windows of {self.target}, the target, are missing')


class _Parts(Struct):
  train: int
  validation: int
  test: int


class _TestSubjects(Struct):
  test: list[str]


class _Data(Struct):
  split: str
  subjects: _TestSubjects
  classes: list[str]
  normalizer: _Normalizer
  windows: _Parts


class _Parameters(Struct):
  trainable: int
  total: int


class _Bytes(Struct):
  frozen: dict[str, int]
  trainable: dict[str, int]
  statistics: dict[str, int]
  optimizer: dict[str, int]


class _Device(Struct):
  kind: str
  count: int
  machine: str
  host_cores: int


class Result(Struct):
  """seed<k>.json of a finished run."""

  identity: _Identity
  test: _Tested
  test_by_subject: dict[str, _Measured]
  data: _Data
  collections: list[str] | None
  starts_from: str | None
  validation: list[_Validation]
  step: int
  batch_runs: int
  parameters: _Parameters
  bytes: _Bytes
  seconds: dict[str, float]
  versions: dict[str, str]
  device: _Device
  signals: dict[str, Any] | None = None  # none in results that are older, and of baselines

  def __post_init__(self):
    _check_step(self.step, self.validation)
    if 'training' not in self.seconds:
      raise ValueError('the seconds of training are missing')
    classes = len(self.data.classes)
    if [len(row) for row in self.test.confusion] != [classes] * classes:
      raise ValueError(f'the confusion matrix is not of {classes} classes')


class _PersonalIdentity(_Identity):
  personal_labels: int


class _TrainAndTest(Struct):
  train: int
  test: int


class _Personal(Struct):
  windows: _TrainAndTest
  before: _Measured
  after: _Measured


class Personalization(Struct):
  """labels-<n>-per-class.json next to a run."""

  identity: _PersonalIdentity
  by_subject: dict[str, _Personal]
  seconds: float
  versions: dict[str, str]
  device: _Device


def check(entries: Any, kind: type[_Kind], where: object, *, to_do: str) -> _Kind:
  """The entries as a Struct or dataclass.

  Raises UserError, with the entry and what it must be, where the entries are not of this kind.
  """
  try:
    return msgspec.convert(entries, kind)
  except (msgspec.ValidationError, RecursionError, UnicodeError, UserError) as error:
    raise UserError(f'{where}: {shorten(error)}; {to_do}') from error
