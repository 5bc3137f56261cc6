"""Every knob of an experiment: frozen dataclasses that check themselves.

A field is a knob: its flag (`launch/command.py`), its help and its entry in the result file follow from it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from har_jax import knobs
from har_jax.errors import UserError

WINDOW_SAMPLES = 128  # 2.56 s at 50 Hz
CHANNELS = 6  # accelerometer x y z in m/s², gyroscope x y z in rad/s


@dataclasses.dataclass(frozen=True)
class Model(knobs.Checked):
  """The masked autoencoder and the classifier that shares its encoder."""

  patch: int = knobs.count(8, 'samples a token')
  deviations: bool = knobs.flag(
    True, 'a token is embedded from its samples and, of each channel, the logarithm of their deviation'
  )
  descriptors: bool = knobs.later(
    knobs.flag(
      False,
      "a token is also embedded from each sensor's magnitude and its parts along and across gravity, and from the logarithmic power spectrum of all",
    )
  )
  width: int = knobs.count(192, 'width of a token')
  ffn: int = knobs.count(576, 'hidden width of a feed-forward network')
  blocks: int = knobs.count(6, 'blocks of the encoder')
  decoder_blocks: int = knobs.count(2, 'blocks of the decoder, which is dropped after pretraining')
  heads: int = knobs.count(6, 'attention heads of a block, over all streams')
  streams: int = knobs.knob(
    1,
    '1: both sensors are embedded and attended together; 2: apart, each in its half of the width',
    lambda value: value in (1, 2),
    '1 or 2',
  )
  mask: float = knobs.share(0.75, 'share of the tokens that pretraining hides')
  spectrum: bool = knobs.flag(
    True, 'pretraining reconstructs, beside the samples of hidden tokens, their logarithmic power spectrum'
  )
  head: tuple[int, ...] = knobs.knob(
    (128,),
    'hidden widths of the classifier head',
    lambda value: len(value) > 0 and min(value) >= 1,
    'one width or more, each at least 1',
  )
  dropout: float = knobs.share(0.2, 'dropout rate in the classifier head')

  def __post_init__(self):
    super().__post_init__()
    for whole, part, name in (
      (WINDOW_SAMPLES, self.patch, f'patch must divide the window of {WINDOW_SAMPLES} samples'),
      (self.width, self.heads, 'width must be a multiple of heads'),
      (self.heads, self.streams, 'heads must be a multiple of streams'),
    ):
      if whole % part:
        raise UserError(f'model {name}; given patch {self.patch}, width {self.width}, heads {self.heads}')
    if self.descriptors and self.streams > 1:
      raise UserError(
        f'model descriptors are of both sensors at once; given streams {self.streams}, add --nomodel_descriptors or --model_streams=1'
      )
    if not 1 <= self.hidden < self.tokens:
      raise UserError(
        f'model mask {self.mask} hides {self.hidden} of {self.tokens} tokens; hide some and leave some'
      )

  @property
  def tokens(self) -> int:
    return WINDOW_SAMPLES // self.patch

  @property
  def hidden(self) -> int:
    """Tokens that pretraining hides."""
    return round(self.mask * self.tokens)


@dataclasses.dataclass(frozen=True)
class Lora(knobs.Checked):
  """Low-rank adapters, for LoRA and QLoRA alike."""

  rank: int = knobs.count(32, 'rank of each adapter')
  alpha: float = knobs.knob(64.0, 'adapters are scaled by alpha / rank', lambda v: v > 0, 'positive')
  targets: tuple[str, ...] = knobs.names(
    ('query', 'key', 'value', 'output', 'up', 'down'),
    'modules of the classifier to adapt; with `head` among them its own matrices stay frozen',
  )


@dataclasses.dataclass(frozen=True)
class Precision(knobs.Checked):
  """In what form numbers are held and multiplied."""

  dtype: str = knobs.choice(
    'float32', ('float32', 'bfloat16'), 'what matrix products are made in; all else stays in float32'
  )
  nf4_double: bool = knobs.flag(False, 'QLoRA holds the scales of its four-bit blocks in eight bits')
  nf4_kernel: str = knobs.choice(
    'auto',
    ('auto', 'reference', 'pallas'),
    'who multiplies four-bit weights; `auto` takes what was measured faster',
  )


# What pretraining may go on with, in this order: a stage's folder, and the knob of the protocol that counts its steps.
STAGES = {'continued': 'unlabelled_steps', 'contrasted': 'contrast_steps', 'labelled': 'source_label_steps'}


@dataclasses.dataclass(frozen=True)
class Protocol(knobs.Checked):
  """What is learned from, and what is measured."""

  split: str = knobs.choice(
    'subject',
    ('subject', 'window', 'official'),
    'what is kept apart; `window` leaks and is optimistic; `official` tests on the subjects that the archive says',
  )
  test_share: float = knobs.knob(
    0.3, 'share of the subjects or windows to test on', lambda v: 0 < v < 1, 'between 0 and 1'
  )
  validation_share: float = knobs.knob(
    0.1, 'share of the subjects or windows to validate on', lambda v: 0 < v < 1, 'between 0 and 1'
  )
  labels: str = knobs.knob(
    '0.7',
    'labels to fit and validate with: a share of all windows (0.1), or n a class in each part (10/class)',
    lambda value: _is_budget(value),
    'a share over 0 and up to 1 such as 0.1, or a number a class such as 10/class',
  )
  normalise: str = knobs.choice(
    'train', ('train', 'dataset'), 'windows that the mean and deviation are taken from'
  )
  classes: str = knobs.choice('locomotion', ('locomotion', 'all'), 'activities of the target to tell apart')
  unlabelled_steps: int = knobs.later(
    knobs.not_negative(
      0,
      "steps that pretraining goes on over the target's own train part, whose labels it does not see; before any adapting",
    )
  )
  contrast_steps: int = knobs.later(
    knobs.not_negative(
      0,
      "steps in which the encoder then learns to tell what follows a window in its recording from what the same person did at other times, over the target's own train part, labels unseen; before any adapting. Pays most where few are labelled",
    )
  )
  source_label_steps: int = knobs.later(
    knobs.not_negative(
      0,
      "steps that the encoder then takes to tell the sources' activities apart, whose labels it sees, as fine-tuning takes its own; before any adapting",
    )
  )
  self_training: int = knobs.later(
    knobs.not_negative(
      0,
      "times that a run's end labels its whole train part and the run is made again, from where it began, also on the windows it was surest of and on those of its sources that it takes for what they are labelled",
    )
  )
  test_shifts: int = knobs.later(
    knobs.count(
      1,
      'times that a window is tested on, each moved on by a part of a token, its end joined to its start; logits are averaged. 4 pay, for four times the time of testing',
    )
  )

  def __post_init__(self):
    super().__post_init__()
    if self.test_share + self.validation_share >= 1:
      raise UserError(
        f'test_share {self.test_share} and validation_share {self.validation_share} leave nothing to train on'
      )
    if isinstance(self.label_budget, float) and self.label_budget > 1 - self.test_share + 1e-9:
      raise UserError(
        f'labels {self.labels} is more than the {1 - self.test_share:.2g} that test_share {self.test_share} leaves'
      )

  @property
  def stages(self) -> tuple[str, ...]:
    """Those of `STAGES` that are asked for."""
    return tuple(stage for stage, knob in STAGES.items() if getattr(self, knob))

  @property
  def label_budget(self) -> float | int:
    """A share of all windows (float), or labels a class (int)."""
    number, per_class, _ = self.labels.partition('/class')
    return int(number) if per_class else float(number)


def _is_budget(text: str) -> bool:
  number, per_class, rest = text.partition('/class')
  try:
    return not rest and (int(number) >= 1 if per_class else 0 < float(number) <= 1)
  except ValueError:
    return False


@dataclasses.dataclass(frozen=True)
class Training(knobs.Checked):
  """One run of the loop, in pretraining or fine-tuning: AdamW, linear warm-up, cosine down to nought."""

  epochs: float = knobs.knob(50.0, 'passes over the training windows', lambda value: value > 0, 'positive')
  max_steps: int = knobs.not_negative(0, 'steps at most, whatever the epochs; 0: no limit')
  batch: int = knobs.count(64, 'windows a step')
  learning_rate: float = knobs.not_negative(
    1e-3, 'peak rate of newly started weights: head, adapters, pretraining'
  )
  pretrained_learning_rate: float = knobs.not_negative(5e-4, 'peak rate of pretrained weights under `full`')
  weight_decay: float = knobs.not_negative(0.01, 'AdamW decay of matrices')
  warmup: float = knobs.share(0.1, 'share of the steps with a rising rate')
  clip: float = knobs.not_negative(1.0, 'largest norm of a gradient; 0: no limit')
  roll: bool = knobs.flag(
    False, 'each window of a step begins at a sample drawn at random, and goes on from its end to its start'
  )
  rotation: float = knobs.later(
    knobs.not_negative(
      0.0,
      'each window of a step is turned, about each axis by an angle of this deviation, in degrees; 0: never',
    )
  )
  evaluations: int = knobs.count(10, 'validations, evenly over the run, each with a checkpoint')
  patience: int = knobs.not_negative(
    0,
    'validations without gain before the run ends early, with the best of them kept; 0: never, and the last step is kept',
  )


@dataclasses.dataclass(frozen=True)
class Experiment:
  """All that a result depends on, apart from the windows, the target, the method and the seed."""

  model: Model = Model(descriptors=True)
  lora: Lora = Lora()
  precision: Precision = Precision()
  protocol: Protocol = Protocol()
  pretrain: Training = Training(epochs=20.0, batch=256, evaluations=10)
  finetune: Training = Training(roll=True, rotation=10.0, patience=4)

  @classmethod
  def paper(cls) -> 'Experiment':
    """The configuration that gives the paper's parameter counts exactly, and its protocol."""
    return cls(
      model=Model(
        patch=16,
        deviations=False,
        spectrum=False,
        ffn=384,
        decoder_blocks=6,
        streams=2,
        head=(1024, 512, 256),
        dropout=0.5,
      ),
      lora=Lora(alpha=32.0, targets=('embed_acc', 'embed_gyro', 'output', 'up', 'down', 'head')),
      protocol=Protocol(split='window', normalise='dataset'),
      finetune=Training(patience=4),
    )


# Each part of an experiment, and what its flags begin with: --model_width, --split, --finetune_epochs.
FLAG_PREFIXES = {
  'model': 'model_',
  'lora': 'lora_',
  'precision': '',
  'protocol': '',
  'pretrain': 'pretrain_',
  'finetune': 'finetune_',
}

PRESETS: dict[str, Callable[[], Experiment]] = {'base': Experiment, 'paper': Experiment.paper}


def filled(experiment: dict[str, Any]) -> dict[str, Any]:
  """An experiment's JSON with the knobs that `knobs.to_json` left out, at their defaults."""
  parts: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(Experiment)}
  left_out = {
    part: {knob.name: knob.default for knob in dataclasses.fields(kind) if knob.metadata.get('later')}
    for part, kind in parts.items()
  }
  return {
    part: values | {k: v for k, v in left_out.get(part, {}).items() if k not in values}
    for part, values in experiment.items()
  }
