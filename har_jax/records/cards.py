"""Cards: JSON files next to the arrays that they describe.

Users share adapters, bases and exports, so entries have bounds: a forged card cannot make a command run for
ever (docs/trust.md). Windows are the user's own, and have types alone.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from har_jax import config, config_fields
from har_jax.signal.summary import SignalSummary

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Text = Annotated[str, Meta(max_length=10_000)]
Count = Annotated[int, Meta(ge=0, le=10**15)]
Number = Annotated[float, Meta(ge=-1e30, le=1e30)]  # neither NaN nor infinite
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
Positive = Annotated[float, Meta(gt=0, le=1e12)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Sha256 = Annotated[str, Meta(pattern='^[0-9a-f]{64}$')]
# What a user calls activities: any names or numbers.
_Classes = Annotated[list[str | int | Number], Meta(min_length=2, max_length=10_000)]
_Counts = dict[str, Count]


class Card(Struct, kw_only=True, tag_field='format'):
  """A JSON file with a tag: its entry `format` names kind and schema version."""


class Normalizer(Struct):
  mean: Annotated[list[Number], Meta(min_length=2, max_length=2)]
  deviation: Annotated[list[Positive], Meta(min_length=2, max_length=2)]


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


# Mean logits of the training windows of each class, or mean inputs of the output layer.
ClassMeans = Annotated[list[list[Number]], Meta(max_length=10_000)]
# Sorted scores of held-out windows (recognizer.prediction_sets).
UnknownScores = Annotated[list[Number], Meta(max_length=1000)]
# Sorted scores of prediction sets (recognizer.prediction_sets).
SetScores = Annotated[list[Fraction], Meta(max_length=1000)]


class _Made(Card, kw_only=True):
  """What a model's card says of its maker and its input."""

  checksum: Sha256 = ''  # of the leaves
  har_jax: Text = ''
  rate_hz: Count = 0
  window: Count = 0  # samples
  units: list[Name] = []
  model: config.Model
  signals: SignalSummary | None = None


class _Source(Struct):
  archive: Name
  license: Text = 'unknown'
  checksum: Text = ''
  windows: Count = 0


class Base(_Made, kw_only=True, tag=f'har_jax base {config.SCHEMA_VERSION}'):
  """base.json, next to an encoder's leaves. pretraining: steps, scores and hyperparameters of its stages."""

  classes: Annotated[list[Name], Meta(max_length=10_000)] = []
  sources: Annotated[list[_Source], Meta(max_length=10_000)] = []
  normalization: Text = ''
  pretraining: dict[str, Any] = {}
  temperature: Positive = 1.0
  class_logits: ClassMeans | None = None
  set_scores: SetScores | None = None  # with this temperature

  def __post_init__(self) -> None:
    _check_class_logits(self)
    check_sorted('set_scores', self.set_scores)


def _check_class_logits(card: 'Base | Adapter') -> None:
  count = len(card.classes)
  if card.class_logits is not None and [len(row) for row in card.class_logits] != [count] * count:
    raise ValueError(f'class_logits is not {count} rows of {count} numbers')


def check_sorted(name: str, scores: list[float] | None) -> None:
  if scores is not None and sorted(scores) != scores:
    raise ValueError(f'{name} is not sorted')


class RecordingHead(Card, kw_only=True, tag=f'har_jax recording head {config.SCHEMA_VERSION}'):
  """recording_head.json, next to a base's files."""

  base: Sha256
  classes: Annotated[list[Name], Meta(min_length=2, max_length=1000)]
  members: Annotated[int, Meta(ge=1, le=100)]


class Training(Struct, omit_defaults=True):
  """Training of an adapter: parameters of a recognizer, or of a run. None: unknown."""

  max_steps: Count | None = None
  learning_rate: Seconds | None = None
  batch: Annotated[int, Meta(ge=1, le=10**6)] | None = None
  rotation_std_deg: Seconds | None = None
  random_state: Count | None = None
  validation_fraction: Fraction | None = None
  tta_shifts: Annotated[int, Meta(ge=1, le=config_fields.MOST_WINDOW_SAMPLES)] | None = None
  step: Count | None = None
  target: Name | None = None


class Round(Struct, kw_only=True, omit_defaults=True):
  """A round of a federation. Bytes are of one client's message: of its arrays, and as it is sent."""

  round: Count
  asked: Count  # clients
  clients: list[Count]  # that answered
  refused: list[str]
  loss: Number | None
  bytes_to_client: Count
  bytes_from_client: Count
  serialized_to_client: Count
  serialized_from_client: Count
  seconds: Seconds
  validation_macro_f1: Fraction | None = None  # if the server has validation windows


class ClientScores(Struct, kw_only=True):
  """Scores of a client on its own later windows."""

  macro_f1: Fraction
  accuracy: Fraction
  windows: Count
  client: Count


class Federated(Struct):
  """The settings of a federation, what it trained on if the server knew it, and its rounds.

  later: of each client, once it is over.
  """

  settings: dict[str, Any] = {}
  history: Annotated[list[Round], Meta(max_length=100_000)] = []
  data: dict[str, Any] = {}
  later: Annotated[list[ClientScores], Meta(max_length=100_000)] | None = None


class Split(Struct):
  """Hold-out of validation windows, and the number of windows of each part."""

  by: Name
  windows: _Counts


class Adapter(_Made, kw_only=True, tag=f'har_jax adapter {config.SCHEMA_VERSION}'):
  """adapter.json, next to what an adaptation adds to its base.

  metrics: `validation` and `test`, None without windows of that part; `comparison` with baselines.
  fitted_with: package → version, of a baseline, which is fitted again when it is loaded.
  """

  method: Name
  rank: Annotated[int, Meta(ge=1, le=config_fields.MOST_WIDTH)]
  alpha: Positive
  targets: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100_000)]
  scaling: str = 'rank'  # these three are checked as hyperparameters
  start: str = 'zero'
  rate_ratio: float = 1.0
  methods: config.Methods = config.Methods()
  precision: config.Precision
  classes: _Classes
  normalizer: Normalizer
  temperature: Positive = 1.0
  base: Sha256 | None = None
  metrics: dict[str, Any] = {}
  split: Split | None = None
  training: Training = msgspec.field(default_factory=Training)
  fitted_with: Annotated[dict[Name, Name], Meta(max_length=100)] = {}
  federated: Federated | None = None
  corrections: Count = 0  # of a stream's user, in the head
  class_logits: ClassMeans | None = None
  adaptation_temperature: Positive = 1.0  # of the logits that adapt to a recording
  set_scores: SetScores | None = None  # with this temperature
  class_means: ClassMeans | None = None
  class_spread: Positive | None = None  # mean squared distance of training windows from these
  unknown_scores: UnknownScores | None = None
  unknown_by_base: bool = False  # whether these scores count the base's answers

  def __post_init__(self) -> None:
    if len(set(self.classes)) < len(self.classes):
      raise ValueError('a class is named twice')
    _check_class_logits(self)
    check_sorted('set_scores', self.set_scores)
    check_sorted('unknown_scores', self.unknown_scores)
    means = self.class_means
    if means is not None and (len(means) != len(self.classes) or len({*map(len, means)}) != 1):
      raise ValueError(f'class_means is not {len(self.classes)} rows of one length')

  @property
  def lora(self) -> config.Lora:
    """Raises UserError if a hyperparameter is not valid."""
    return config.Lora(self.rank, self.alpha, self.targets, self.scaling, self.start, self.rate_ratio)


class Device(Struct):
  """count: of JAX devices. machine: the processor's architecture."""

  platform: str
  kind: str
  count: int
  host_cores: int
  machine: str

  def __str__(self) -> str:
    many = f'{self.count} × ' if self.count > 1 else ''
    cores = f'{self.host_cores} core{"" if self.host_cores == 1 else "s"}'
    return f'{many}{self.kind} ({self.machine} host, {cores})'


class ExportInput(Struct, kw_only=True):
  """What the model takes. shape: windows, samples, channels."""

  name: Name
  dtype: Name
  shape: list[int | Name]
  channels: list[Name]
  rate_hz: Count
  window: Count
  units: list[Name]
  gravity: Name
  rotation: Name
  normalization: Name


class ExportOutput(Struct, kw_only=True):
  name: Name
  dtype: Name
  shape: list[int | Name]
  values: Text


class ExportedAdapter(Struct, kw_only=True):
  checksum: Sha256
  base: Sha256 | None
  method: Name
  metrics: dict[str, Any]


class MeasuredExport(Struct, kw_only=True, omit_defaults=True):
  """Bytes and latency of an export, and differences from its recognizer if windows were given."""

  format: Name
  precision: Name
  bytes: Count
  ms: Seconds
  ms_quartiles: list[Seconds]
  repeats: Count
  device: Device
  windows: Count | None = None
  max_difference: Number | None = None
  changed_predictions: Count | None = None
  macro_f1_before: Number | None = None
  macro_f1: Number | None = None
  macro_f1_loss: Number | None = None  # before minus after


class Export(Card, kw_only=True, tag=f'har_jax export {config.SCHEMA_VERSION}'):
  """model.json of an exported model: it tells another runtime what our own knows."""

  runtime: Name
  precision: Name
  file: Annotated[str, Meta(pattern=r'^[\w-]+(\.[\w-]+)+$', max_length=100)]  # a name, not a path
  classes: _Classes
  input: ExportInput
  output: ExportOutput
  stream: dict[str, Number]
  signals: SignalSummary | None = None
  adapter: ExportedAdapter
  model: config.Model
  temperature: Positive
  class_logits: ClassMeans | None = None
  adaptation_temperature: Positive = 1.0
  set_scores: SetScores | None = None  # of `probabilities`
  normalizer: Normalizer
  made_with: dict[str, str] = {}
  measured: MeasuredExport | None = None

  def __post_init__(self) -> None:
    check_sorted('set_scores', self.set_scores)
