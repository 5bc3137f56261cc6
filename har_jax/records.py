"""Records of all that is written: cards of shared files, and the user's own results, windows and stages.

Reading a file checks its entries and returns a record, whose attributes code uses. Entries that are None are
left out of the file, and entries of a file that no code reads are dropped.
Cards that users share also have bounds: a forged one cannot make a command run for ever (docs/trust.md).
Results, windows and stages are the user's own, and have types alone.
"""

import dataclasses
import typing
from collections.abc import Mapping
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


class Card(Struct, kw_only=True, tag_field='format'):
  """A JSON file next to others. Its tag, the entry `format`, names kind and schema version."""


class WindowCounts(Struct, omit_defaults=True):
  windows: int
  recordings: int
  by_activity: dict[str, int]
  by_subject: dict[str, int]
  by_position: dict[str, int] | None = None


class Windows(Card, kw_only=True, tag='har_jax windows 2'):
  """meta.json of a windows folder. positions: None if there is one only, which is `position`."""

  archive: str | None = None
  title: str | None = None
  position: str = ''
  license: str | None = None
  source: str | None = None
  checksum: str = ''
  code_version: str = ''
  recordings_read: int | None = None
  dropped: dict[str, int] = {}
  positions: list[str] | None = None
  window_samples: Annotated[int, Meta(ge=1, le=config_fields.MOST_WINDOW_SAMPLES)] = config.Windowing.samples
  rate_hz: Annotated[int, Meta(ge=1, le=config_fields.MOST_RATE_HZ)]
  channels: list[str] | None = None
  units: list[str] | None = None
  activities: list[str]
  subjects: list[str]
  counts: WindowCounts

  @property
  def all_positions(self) -> list[str]:
    return [self.position] if self.positions is None else self.positions

  @property
  def windowing(self) -> config.Windowing:
    return config.Windowing(self.window_samples, self.rate_hz)


class Normalizer(Struct):
  mean: Annotated[list[Number], Meta(min_length=2, max_length=2)]
  deviation: Annotated[list[_Positive], Meta(min_length=2, max_length=2)]


class _Made(Card, kw_only=True):
  """What a model's card says of its maker and its input."""

  checksum: _Sha256 = ''  # of the leaves
  har_jax: _Text = ''
  rate_hz: _Count = 0
  window: _Count = 0  # samples
  units: list[_Name] = []
  model: config.Model
  signals: dict[str, Any] | None = None  # of `signal_summary`


class _Source(Struct):
  archive: _Name
  license: _Text = 'unknown'
  checksum: _Text = ''
  windows: _Count = 0


class Base(_Made, kw_only=True, tag=f'har_jax base {config.SCHEMA_VERSION}'):
  """base.json, next to an encoder's leaves. pretraining: steps, scores and hyperparameters of its stages."""

  classes: Annotated[list[_Name], Meta(max_length=10_000)] = []
  sources: Annotated[list[_Source], Meta(max_length=10_000)] = []
  normalization: _Text = ''
  pretraining: dict[str, Any] = {}


class RecordingHead(Card, kw_only=True, tag=f'har_jax recording head {config.SCHEMA_VERSION}'):
  """recording_head.json, next to a base's files."""

  base: _Sha256
  classes: Annotated[list[_Name], Meta(min_length=2, max_length=1000)]
  members: Annotated[int, Meta(ge=1, le=100)]


class Training(Struct, omit_defaults=True):
  """Training of an adapter: parameters of a recognizer, or of a run. None: unknown."""

  max_steps: _Count | None = None
  learning_rate: _Seconds | None = None
  batch: Annotated[int, Meta(ge=1, le=10**6)] | None = None
  rotation_std_deg: _Seconds | None = None
  random_state: _Count | None = None
  validation_fraction: _Fraction | None = None
  tta_shifts: Annotated[int, Meta(ge=1, le=config_fields.MOST_WINDOW_SAMPLES)] | None = None
  ensemble: bool | None = None
  step: _Count | None = None
  target: _Name | None = None
  self_training: dict[str, Any] | None = None


class Federated(Struct):
  """The settings of a federation, what it trained on if the server knew it, and an entry for each round.

  later: each client's measures on its own later windows, once it is over.
  """

  settings: dict[str, Any] = {}
  history: Annotated[list[dict[str, Any]], Meta(max_length=100_000)] = []
  data: dict[str, Any] = {}
  later: Annotated[list[dict[str, Any]], Meta(max_length=100_000)] | None = None


class Split(Struct):
  """Hold-out of validation windows, and the number of windows of each part."""

  by: _Name
  windows: _Counts


class Adapter(_Made, kw_only=True, tag=f'har_jax adapter {config.SCHEMA_VERSION}'):
  """adapter.json, next to what an adaptation adds to its base.

  metrics: `validation` and `test`, None without windows of that part; `comparison` with baselines.
  """

  method: _Name
  rank: Annotated[int, Meta(ge=1, le=config_fields.MOST_WIDTH)]
  alpha: _Positive
  targets: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=100_000)]
  scaling: str = 'rank'  # these three are checked as hyperparameters
  start: str = 'zero'
  rate_ratio: float = 1.0
  methods: config.Methods = config.Methods()
  precision: config.Precision
  classes: _Classes
  normalizer: Normalizer
  temperature: _Positive = 1.0
  base: _Sha256 | None = None
  metrics: dict[str, Any] = {}
  split: Split | None = None
  training: Training = msgspec.field(default_factory=Training)
  federated: Federated | None = None
  corrections: _Count = 0  # of a stream's user, in the head

  def __post_init__(self):
    if len(set(self.classes)) < len(self.classes):
      raise ValueError('a class is named twice')

  @property
  def lora(self) -> config.Lora:
    """Raises UserError if a hyperparameter is not valid."""
    return config.Lora(self.rank, self.alpha, self.targets, self.scaling, self.start, self.rate_ratio)


class Ensemble(Card, kw_only=True, tag=f'har_jax ensemble {config.SCHEMA_VERSION}'):
  """ensemble.json, next to an adapter's files."""

  adapter: _Sha256
  weights: dict[str, _Fraction]
  seconds: dict[str, _Seconds]
  temperature: _Positive
  versions: dict[str, _Text] = {}  # of the packages that its baselines are made with

  def __post_init__(self):
    if abs(sum(self.weights.values()) - 1) > 1e-6:
      raise ValueError(f'the weights add up to {sum(self.weights.values())}, not to 1')


class Export(Card, kw_only=True, tag=f'har_jax export {config.SCHEMA_VERSION}'):
  """model.json of an exported model. The dictionaries tell another runtime what our own knows."""

  runtime: _Name
  precision: _Name
  file: Annotated[str, Meta(pattern=r'^[\w-]+(\.[\w-]+)+$', max_length=100)]  # a name, not a path
  classes: _Classes
  input: dict[str, Any] = {}
  output: dict[str, Any] = {}
  stream: dict[str, float] = {}
  signals: dict[str, Any] | None = None  # of `signal_summary`
  adapter: dict[str, Any] = {}
  model: config.Model
  temperature: _Positive
  normalizer: Normalizer
  made_with: dict[str, str] = {}
  measured: dict[str, Any] | None = None  # latency, and difference from the recognizer


class IdentifiedWindows(Struct, omit_defaults=True):
  """What an identity holds of a dataset's windows. Length and rate: None if they are the usual ones."""

  checksum: str
  position: str
  windows: int
  sum: str
  code_version: str | None = None
  window_samples: int | None = None
  rate_hz: int | None = None


class Validation(Struct):
  step: int
  macro_f1: float | None = None
  accuracy: float | None = None
  loss: float | None = None


def _check_step(step: int, history: list[Validation]) -> None:
  if [entry.step for entry in history].count(step) != 1:
    raise ValueError(f'not one validation is of step {step}')


class StageIdentity(Struct, rename={'before': 'from'}):
  """What a stage of pretraining depends on. before: the identity of the stage that it starts from."""

  stage: Literal['pretraining', 'continued', 'contrastive', 'supervised']
  windows: dict[str, IdentifiedWindows]
  model: config.Model | None = None
  classes: list[str] | None = None
  dtype: str = 'float32'
  training: dict[str, Any] | None = None
  before: typing.Optional['StageIdentity'] = None

  @property
  def stages(self) -> list['StageIdentity']:
    """This stage and those before it, the first one first."""
    return [*(self.before.stages if self.before else ()), self]


class Stage(Struct):
  """pretrained.json of a finished stage."""

  identity: StageIdentity
  step: int
  seconds: float
  history: list[Validation]

  def __post_init__(self):
    _check_step(self.step, self.history)

  @property
  def validated(self) -> Validation:
    """The validation of the step that was kept."""
    return next(entry for entry in self.history if entry.step == self.step)


class Measured(Struct):
  macro_f1: float
  accuracy: float


class LearnedDomain(Struct):
  """Scores on all domains after one more was learned; None: of a strategy that has no model yet."""

  domain: str
  start: Measured | None
  macro_f1: list[float | None]
  accuracy: list[float | None]
  bytes: int
  seconds: float


class Continual(Card, kw_only=True, tag=f'har_jax continual {config.SCHEMA_VERSION}'):
  """continual.json, next to what the strategy keeps."""

  identity: dict[str, Any]  # as `continual.run` makes it: it is compared, entry by entry
  history: list[LearnedDomain]
  macro_f1: dict[str, float | None] = {}  # these five once the stream has ended
  accuracy: dict[str, float | None] = {}
  bytes: int = 0
  seconds: float = 0.0
  unseen: Measured | None = None  # on windows of none of the domains


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
  windows: dict[str, IdentifiedWindows]

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
  normalizer: Normalizer
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
  test_by_subject: dict[str, Measured]
  data: _Data
  collections: list[str] | None
  starts_from: str | None
  validation: list[Validation]
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

  @property
  def validated(self) -> Validation:
    """The validation of the step that was kept."""
    return next(entry for entry in self.validation if entry.step == self.step)


class _PersonalIdentity(_Identity):
  personal_labels: int


class _TrainAndTest(Struct):
  train: int
  test: int


class _Personal(Struct):
  windows: _TrainAndTest
  before: Measured
  after: Measured


class Personalization(Struct):
  """labels-<n>-per-class.json next to a run."""

  identity: _PersonalIdentity
  by_subject: dict[str, _Personal]
  seconds: float
  versions: dict[str, str]
  device: _Device


def check(entries: Any, kind: type[_Kind], where: object, *, to_do: str) -> _Kind:
  """The entries as a record or dataclass.

  Raises UserError, with the entry and what it must be, if the entries are not of this kind. Also if a part
  of hyperparameters has an entry that this version does not know.
  """
  try:
    for name, part in typing.get_type_hints(kind).items() if isinstance(entries, dict) else ():
      if isinstance(part, type) and dataclasses.is_dataclass(part) and name in entries:
        config_fields.check_names(part, entries[name])
    return msgspec.convert(entries, kind)
  except (msgspec.ValidationError, RecursionError, UnicodeError, UserError) as error:
    raise UserError(f'{where}: {shorten(error)}; {to_do}') from error


def to_json(record: Struct | Mapping[str, Any]) -> dict[str, Any]:
  """The entries of a record that are not None, as JSON has them; those of a mapping as they are."""
  if isinstance(record, Mapping):
    return dict(record)
  return {name: value for name, value in msgspec.to_builtins(record).items() if value is not None}


def format_of(kind: type[Card]) -> str:
  """The entry `format` of a card of this kind."""
  return str(kind.__struct_config__.tag)
