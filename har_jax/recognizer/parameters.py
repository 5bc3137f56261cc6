"""Parameters of a recognizer: their defaults, their checks, and the hyperparameters that follow from them.

The command line takes its defaults from here: nothing that is slow to import is imported at the top.
"""

import dataclasses
import numbers
import os
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from har_jax import config, config_fields
from har_jax.errors import UserError

if TYPE_CHECKING:
  from har_jax import files

Base: TypeAlias = 'files.Base | str | os.PathLike[str] | None'

AUTO = 'auto'  # in place of a method: one is chosen within a budget
SCRATCH = 'scratch'  # the method without a base
LIMITS = ('max_memory_mb', 'max_minutes', 'max_adapter_kb')  # the fields of `budget.Budget`
# Parameters in an adapter's card.
IN_CARD = (
  *('max_steps', 'learning_rate', 'batch', 'rotation_std_deg', 'random_state', 'validation_fraction'),
  'tta_shifts',
)
# What a parameter must be, by the type of its default.
_KINDS: dict[type, tuple[type, str]] = {
  int: (numbers.Integral, 'a whole number'),
  float: (numbers.Real, 'a number'),
}


@dataclasses.dataclass(eq=False)
class Parameters:
  """Parameters of `Recognizer`, whose docstring explains each. `fit` checks them, as scikit-learn asks.

  The fields with a help text have a flag of `har-jax adapt`.
  """

  base: Base = None
  _: dataclasses.KW_ONLY
  method: str = config_fields.field(
    AUTO,
    'fine-tuning method: {methods}; or forest or rocket, the baselines, whose adapter holds your training '
    'windows; other than elsewhere, since auto takes side, or what the limits allow',
  )
  rank: int = config_fields.count(
    8,
    'rank of LoRA and QLoRA; alpha is twice the rank; less than elsewhere, since more was not better here',
  )
  alpha: float | int = 16.0
  max_steps: int = config_fields.count(300, 'training steps')
  learning_rate: float | int = config_fields.not_negative(1e-3, 'peak learning rate')
  batch: int = config_fields.count(32, 'windows per step', most=config_fields.MOST_BATCH)
  rotation_std_deg: float | int = config_fields.not_negative(
    10.0, 'rotation augmentation: standard deviation of the angle about each axis, in degrees; 0: none'
  )
  random_state: int = config_fields.seed('seed of head, adapter and batch order')
  validation_fraction: float | int = 0.0
  tta_shifts: int = 1
  verbose: bool = False
  max_memory_mb: float | int | None = config_fields.field(
    None, 'limit on the megabytes of a training step: weights, optimizer, temporaries, for --method=auto'
  )
  max_minutes: float | int | None = config_fields.field(
    None, 'limit on the minutes of training and compiling, for --method=auto'
  )
  max_adapter_kb: float | int | None = config_fields.field(
    None, "limit on the kilobytes of the adapter's file, for --method=auto"
  )

  def load_base(self) -> 'files.Base | None':
    """The base to adapt; None: training starts from scratch."""
    return None if self.base is None and self.method == SCRATCH else load_base(self.base)


def from_settings(settings: Any, base: Base, steps: int) -> Parameters:
  """Parameters by the settings that continual adaptation and a federation share: alpha is twice the rank."""
  names = ('method', 'rank', 'learning_rate', 'batch')
  shared = {name: getattr(settings, name) for name in names}
  return Parameters(base, alpha=2.0 * settings.rank, max_steps=steps, random_state=settings.seed, **shared)


class TrainingChanges(TypedDict, total=False):
  """Parameters of training that `har-jax adapt` has too, where some are given by name."""

  method: str
  rank: int
  max_steps: int
  learning_rate: float | int
  batch: int
  rotation_std_deg: float | int
  random_state: int
  max_memory_mb: float | int | None
  max_minutes: float | int | None
  max_adapter_kb: float | int | None


class ParameterChanges(TrainingChanges, total=False):
  """All parameters, where some are given by name."""

  base: Base
  alpha: float | int
  validation_fraction: float | int
  tta_shifts: int
  verbose: bool


def check(parameters: Parameters) -> tuple['files.Base | None', config.Experiment]:
  """Base, and the hyperparameters of model and training. Raises UserError if a parameter is invalid.

  The one validation of a training is after its last step, whose variables are kept.
  """
  from har_jax import methods
  from har_jax.baselines import BASELINES

  names = (*methods.METHODS, *BASELINES, AUTO)
  if (name := parameters.method) not in names:
    raise UserError(f'unknown method {name!r}; one of {", ".join(names)}')
  limits = [limit for limit in LIMITS if getattr(parameters, limit) is not None]
  if name != AUTO and limits:
    raise UserError(
      f'method={name} has no limits, and {limits[0]} is given: give method={AUTO}, which chooses within it'
    )
  base = parameters.load_base()
  fraction, seed = parameters.validation_fraction, parameters.random_state
  rule = 'give a number in [0, 1)'
  config_fields.check_value('validation_fraction', fraction, rule, lambda value: 0 <= value < 1)
  for field in dataclasses.fields(Parameters):
    if (kind := _KINDS.get(type(field.default))) is not None:
      value = getattr(parameters, field.name)
      config_fields.check_value(field.name, value, f'give {kind[1]}', kind=kind[0])
  rule = 'give a whole number in [0, 2³²)'  # scikit-learn's range
  config_fields.check_value('random_state', seed, rule, lambda value: 0 <= value < 2**32)
  steps = int(parameters.max_steps)
  config_fields.check_value('max_steps', steps, 'give 1 or more', lambda value: value >= 1)
  check_shifts(parameters.tta_shifts)
  default = config.Experiment()
  model, rate = (base or default).model, float(parameters.learning_rate)
  experiment = config.Experiment(
    model=model,
    lora=config.Lora(rank=int(parameters.rank), alpha=float(parameters.alpha)),
    protocol=config.Protocol(normalize='none' if model.stem else 'train'),
    finetune=dataclasses.replace(
      default.finetune.fixed_length(steps),
      batch=int(parameters.batch),
      learning_rate=rate,
      encoder_learning_rate=rate / 2,
      rotation_std_deg=float(parameters.rotation_std_deg),
    ),
  )
  return base, experiment


def check_shifts(shifts: Any) -> None:
  """Raises UserError if this is no number of shifts. It may have been changed since the fit."""
  rule = 'give 1 or more'
  config_fields.check_value('tta_shifts', shifts, rule, lambda value: value >= 1, kind=numbers.Integral)


def in_card(parameters: Parameters) -> dict[str, int | float]:
  """The card's parameters. A search sets them to NumPy numbers, which JSON does not have."""
  return {name: type(getattr(Parameters, name))(getattr(parameters, name)) for name in IN_CARD}


def load_base(base: Base) -> 'files.Base':
  """A base itself, the one in a folder, or the bundled one. Raises UserError if there is none."""
  from har_jax import files, storage

  if base is None:
    return files.bundled_base()
  if isinstance(base, files.Base):
    return base
  place = storage.place(base)
  if not place.exists():
    raise UserError(f'no such folder: {base}')
  return files.load_base(place)
