"""Every hyperparameter of an experiment, as frozen dataclasses that check themselves.

The command-line flag, its help and the entry in the result file follow from the field (`cli/training.py`).
"""

import dataclasses
from collections.abc import Callable

from har_jax import config_fields as field
from har_jax.errors import UserError
from har_jax.signal import DEFAULT_WINDOWING as DEFAULT_WINDOWING
from har_jax.signal import Windowing

SCHEMA_VERSION = 3  # of result files and of the cards next to adapters and bases
CHANNELS = 6  # accelerometer x y z in m/s², gyroscope x y z in rad/s


@dataclasses.dataclass(frozen=True)
class Model(field.Checked):
  """The masked autoencoder, and the classifier that shares its encoder."""

  patch_size: int = field.count(8, 'samples per token')
  stem: tuple[int, ...] = field.widths(
    (),
    'widths of the convolutions before the blocks, each of which halves the time axis; '
    'none: a linear embedding of patches',
  )
  log_std: bool = field.flag(True, 'embed the log standard deviation of each channel with the samples')
  invariant_features: bool = field.flag(
    False, 'embed features that hardly change with device orientation: norms, parts along gravity, spectrum'
  )
  width: int = field.count(192, 'token width', most=field.MOST_WIDTH)
  mlp_dim: int = field.count(576, 'hidden width of the feed-forward layers', most=field.MOST_WIDTH)
  depth: int = field.count(6, 'encoder blocks', least=0, most=field.MOST_LAYERS)
  decoder_depth: int = field.count(
    2, 'decoder blocks; the decoder is dropped after pretraining', most=field.MOST_LAYERS
  )
  num_heads: int = field.count(6, 'attention heads per block, over all streams')
  streams: int = field.field(
    1,
    '1: attention over both sensors together; 2: one attention per sensor, each on half of the width',
    lambda value: value in (1, 2),
    '1 or 2',
  )
  mask_ratio: float = field.fraction(0.75, 'fraction of tokens that pretraining hides')
  reconstruct_spectrum: bool = field.flag(
    True, 'pretraining reconstructs the log power spectrum of hidden tokens, as well as their samples'
  )
  pooling: str = field.choice(
    'mean',
    {'mean': 'their mean', 'statistics': 'their mean, maximum and standard deviation'},
    'head input, from the tokens',
  )
  head: tuple[int, ...] = field.widths(
    (128,), 'hidden widths of the classifier head; none: a linear layer on standardized inputs'
  )
  window_statistics: bool = field.flag(
    False, 'the head also takes statistics of the whole window: moments, quantiles, spectrum, correlations'
  )
  side_width: int = field.count(
    0,
    'token width of a second, small encoder, whose features the head takes, too; 0: none',
    least=0,
    most=field.MOST_WIDTH,
  )
  dropout: float = field.fraction(0.2, 'dropout rate in the classifier head')
  window_samples: int = field.count(Windowing.samples, 'samples per window', most=field.MOST_WINDOW_SAMPLES)
  rate_hz: int = field.count(
    Windowing.rate_hz, 'sampling rate of the windows, in Hz', most=field.MOST_RATE_HZ
  )

  def __post_init__(self) -> None:
    super().__post_init__()
    stem_patch = 2 ** len(self.stem)
    mistakes = {
      f'patch_size must divide the window of {self.window_samples} samples': self.window_samples
      % self.patch_size,
      'width must be a multiple of num_heads': self.width % self.num_heads,
      'num_heads must be a multiple of streams': self.num_heads % self.streams,
      'invariant_features need both sensors in one stream; add --nomodel_invariant_features or '
      '--model_streams=1': self.invariant_features and self.streams > 1,
      f'stem of {len(self.stem)} widths needs patch_size {stem_patch} and streams 1': self.stem
      and (self.patch_size != stem_patch or self.streams > 1),
      'window_statistics are of signals in g and rad/s, which a stem takes; give a stem, or '
      '--nomodel_window_statistics': self.window_statistics and not self.stem,
      f'mask_ratio {self.mask_ratio} hides {self.hidden} of {self.tokens} tokens; hide at least one and '
      'leave at least one visible': not 1 <= self.hidden < self.tokens,
    }
    for mistake in filter(mistakes.get, mistakes):
      raise UserError(
        f'model {mistake}; given patch_size {self.patch_size}, width {self.width}, '
        f'num_heads {self.num_heads}, streams {self.streams}'
      )

  @property
  def windowing(self) -> Windowing:
    return Windowing(self.window_samples, self.rate_hz)

  @property
  def side(self) -> 'Model | None':
    """The model of the side encoder: no blocks, and half of the stem's widths."""
    if not self.side_width:
      return None
    return dataclasses.replace(
      self,
      stem=tuple(max(width // 2, 1) for width in self.stem),
      width=self.side_width,
      num_heads=self.streams,  # of no blocks
      depth=0,
      side_width=0,
    )

  @property
  def tokens(self) -> int:
    return self.window_samples // self.patch_size

  @property
  def hidden(self) -> int:
    """Tokens that pretraining hides."""
    return round(self.mask_ratio * self.tokens)


@dataclasses.dataclass(frozen=True)
class Lora(field.Checked):
  """Low-rank adapters, for LoRA and QLoRA alike."""

  rank: int = field.count(32, 'adapter rank', most=field.MOST_WIDTH)
  alpha: float = field.positive(64.0, 'adapters are scaled by alpha / rank')
  targets: tuple[str, ...] = field.names(
    ('embed', 'query', 'key', 'value', 'output', 'up', 'down'),
    'modules to adapt; `embed`: the stem or linear embedding; with `head`, its own kernels stay frozen',
  )
  scaling: str = field.choice(
    'rank',
    {'rank': 'the rank', 'root': 'its square root (rsLoRA)'},
    'divisor of alpha in the scale of adapters',
  )
  start: str = field.choice(
    'zero',
    {
      'zero': 'product of zero',
      'pissa': 'largest singular values of the kernel (PiSSA)',
      'loftq': 'error of the four-bit kernel (LoftQ)',
    },
    'initial adapters',
  )
  rate_ratio: float = field.positive(1.0, 'rate of the second matrix over that of the first (LoRA+)')

  @property
  def scale(self) -> float:
    """Factor of the adapters' products."""
    return self.alpha / (self.rank if self.scaling == 'rank' else self.rank**0.5)


@dataclasses.dataclass(frozen=True)
class Methods(field.Checked):
  """Sizes of the fine-tuning methods other than LoRA."""

  partial_blocks: int = field.count(1, 'blocks that `partial` trains, at most all', most=field.MOST_LAYERS)
  adapter_width: int = field.count(32, 'hidden width of `adapter` and `pfeiffer`', most=field.MOST_WIDTH)
  prompt_tokens: int = field.count(8, 'tokens per block of `prompt`', most=field.MOST_WIDTH)
  vera_rank: int = field.count(256, 'rank of `vera`', most=field.MOST_WIDTH)


@dataclasses.dataclass(frozen=True)
class Precision(field.Checked):
  """Number formats of weights and products."""

  dtype: str = field.choice(
    'float32', ('float32', 'bfloat16'), 'dtype of matrix products; everything else is float32'
  )
  nf4_double: bool = field.flag(False, 'double quantization: 8-bit scales for the NF4 blocks of QLoRA')
  nf4_kernel: str = field.choice(
    'auto',
    {'auto': 'the one measured to be faster', 'reference': 'plain JAX', 'pallas': 'fused'},
    'kernel for products with NF4 weights',
  )


@dataclasses.dataclass(frozen=True)
class Protocol(field.Checked):
  """Splits, label budget, and the training stages around adaptation."""

  split: str = field.choice(
    'subject',
    {
      'subject': 'subject-wise',
      'window': 'window-wise (leaks, so it is optimistic)',
      'official': 'the test subjects that the authors name',
      'five_fold': 'subject-wise cross-validation, in which seeds 0 to 4 test each subject once',
    },
    'split of the target',
  )
  test_fraction: float = field.share(0.3, 'fraction of the subjects or windows to test on')
  validation_fraction: float = field.share(0.1, 'fraction of the subjects or windows to validate on')
  label_budget: str = field.label_budget(
    '0.7',
    'labels to train and validate with: a fraction of all windows (0.1), or n per class and part (10/class)',
  )
  normalize: str = field.choice(
    'train',
    {
      'train': 'by mean and standard deviation of the training part',
      'dataset': 'by those of all windows',
      'none': 'signals in g and rad/s',
    },
    'normalization of the windows',
  )
  classes: str = field.choice('locomotion', ('locomotion', 'all'), 'activities to classify')
  continued_pretraining_steps: int = field.not_negative(
    0, "stage 'continued': steps of masked pretraining on the target's unlabeled training part"
  )
  supervised_pretraining_steps: int = field.not_negative(
    0, "stage 'supervised': steps of classifying the sources' activities, with their labels"
  )
  self_training: int = field.not_negative(
    0, 'self-training rounds: retrain with confident pseudo-labels of the training part'
  )
  tta_shifts: int = field.count(
    1,
    'test-time augmentation: average the logits over so many circular shifts, at so many times the cost',
    most=field.MOST_WINDOW_SAMPLES,
  )

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.test_fraction + self.validation_fraction >= 1:
      raise UserError(
        f'test_fraction {self.test_fraction} and validation_fraction {self.validation_fraction} '
        'leave nothing to train on'
      )
    if isinstance(self.budget, float) and self.budget > 1 - self.test_fraction + 1e-9:
      raise UserError(
        f'label_budget {self.label_budget} is more than the {1 - self.test_fraction:.2g} '
        f'that test_fraction {self.test_fraction} leaves'
      )

  @property
  def budget(self) -> float | int:
    """The label budget: a fraction of all windows (float), or labels per class (int)."""
    number, per_class, _ = self.label_budget.partition('/class')
    return int(number) if per_class else float(number)


@dataclasses.dataclass(frozen=True)
class Training(field.Checked):
  """One training run: AdamW, linear warm-up, cosine decay to zero."""

  epochs: float = field.positive(50.0, "passes over the target's training windows")
  max_steps: int = field.not_negative(0, 'upper limit on the steps, whatever the epochs; 0: no limit')
  batch: int = field.count(64, 'windows per step', most=field.MOST_BATCH)
  learning_rate: float = field.not_negative(
    1e-3,
    'peak learning rate of new weights: head and adapters; of all weights under `scratch` and in the stage '
    "'supervised'",
  )
  encoder_learning_rate: float = field.not_negative(
    5e-4, "peak learning rate of a pretrained encoder's own weights, where the method trains them"
  )
  weight_decay: float = field.not_negative(0.01, 'AdamW weight decay of matrices')
  warmup: float = field.fraction(0.1, 'fraction of the steps with a rising learning rate')
  grad_clip_norm: float = field.not_negative(1.0, 'largest gradient norm; 0: no limit')
  circular_shift: bool = field.flag(
    False, 'circular shift augmentation: each window starts at a random sample and wraps around'
  )
  rotation_std_deg: float = field.not_negative(
    0.0, 'rotation augmentation: standard deviation of the angle about each axis, in degrees; 0: none'
  )
  amplitude_std: float = field.not_negative(
    0.0, 'amplitude augmentation: standard deviation of the log factor of movements; 0: none'
  )
  time_warp_std: float = field.not_negative(
    0.0, 'time warp augmentation: standard deviation of the log factor of speed; 0: none'
  )
  device_errors: float = field.not_negative(
    0.0,
    "device augmentation: the accelerometer's bias, gain and noise, as multiples of those of phones and "
    'watches; some windows also have a lower rate, or no gyroscope; 0: none',
  )
  num_evals: int = field.count(10, 'evenly spaced validations, each with a checkpoint')
  patience: int = field.not_negative(
    0,
    'stop after so many validations without improvement and keep the best; 0: never stop, keep the last step',
  )

  def fixed_length(self, steps: int) -> 'Training':
    """The same training in so many steps, whose one validation is after the last one."""
    # At least one step per epoch, so that max_steps decides.
    return dataclasses.replace(self, epochs=float(steps), max_steps=steps, num_evals=1, patience=0)


@dataclasses.dataclass(frozen=True)
class Experiment:
  """Everything that a result depends on, apart from windows, target, method and seed."""

  model: Model = Model(patch_size=16, stem=(64, 96, 128, 128), log_std=False, pooling='statistics', depth=2)
  lora: Lora = Lora()
  methods: Methods = Methods()
  precision: Precision = Precision()
  protocol: Protocol = Protocol(normalize='none')
  pretrain: Training = Training(epochs=20.0, batch=256, num_evals=10)
  finetune: Training = Training(
    circular_shift=True, rotation_std_deg=10.0, amplitude_std=0.15, time_warp_std=0.1, patience=4
  )

  def __post_init__(self) -> None:
    if bool(self.model.stem) != (self.protocol.normalize == 'none'):
      raise UserError(
        f'the stem takes signals in g and rad/s, the linear embedding normalized ones; given model_stem '
        f'{list(self.model.stem)} and normalize {self.protocol.normalize}, add '
        + ('--normalize=none' if self.model.stem else '--normalize=train')
      )
    for part, training in ('pretrain', self.pretrain), ('finetune', self.finetune):
      if training.device_errors and self.protocol.normalize != 'none':
        raise UserError(
          f'{part} device_errors are of signals in g and rad/s; given normalize {self.protocol.normalize}, '
          f'add --{part}_device_errors=0'
        )
    if (shifts := self.protocol.tta_shifts) > (most := self.model.window_samples):
      raise UserError(f'protocol tta_shifts is {shifts}; it must be at most {most}, the samples of a window')

  @classmethod
  def paper(cls) -> 'Experiment':
    """The configuration with exactly the paper's parameter counts, and its protocol."""
    return cls(
      model=Model(
        patch_size=16,
        log_std=False,
        reconstruct_spectrum=False,
        mlp_dim=384,
        decoder_depth=6,
        streams=2,
        head=(1024, 512, 256),
        dropout=0.5,
      ),
      lora=Lora(alpha=32.0, targets=('embed_acc', 'embed_gyro', 'output', 'up', 'down', 'head')),
      protocol=Protocol(split='window', normalize='dataset'),
      finetune=Training(patience=4),
    )


# Flag → part and name of each hyperparameter: 'model_width' → ('model', 'width').
HYPERPARAMETERS: dict[str, tuple[str, str]] = {
  ('' if part.name in ('methods', 'precision', 'protocol') else f'{part.name}_') + name: (part.name, name)
  for part in dataclasses.fields(Experiment)
  for name in vars(part.default)
}

PRESETS: dict[str, Callable[[], Experiment]] = {'base': Experiment, 'paper': Experiment.paper}
