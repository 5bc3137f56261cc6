"""A budget instead of a method: the best-ranked method whose memory, time and file fit.

Memory and time are measured on this machine, with the windows that are to be learned.
"""

import dataclasses
import math
import time

import jax

from har_jax import config_fields
from har_jax.errors import UserError
from har_jax.methods import METHODS
from har_jax.recognizer.fitting import Fit, FitOf

# From the best on, by mean macro-F1 on kinds of recordings never seen (docs/results/unseen.md, ablations.md).
# One over four bits follows its float form. `full` costs more and is within the spread of `lora`.
_PLACES = {name: method.budget_place for name, method in METHODS.items() if method.budget_place is not None}
RANKED = tuple(sorted(_PLACES, key=_PLACES.__getitem__))
# Labeled windows of the median activity. With fewer, a linear head on the frozen encoder alone is better than
# training the encoder: with 10 on PDIoT's pocket, SPAR and LIARA, but not with 30 on PDIoT's pocket and HAPT.
FEW_LABELS = 25
MIN_STEPS = 50  # with fewer, the learning rate is hardly warm
_TRIAL_STEPS = (16, 48)  # whose times give that of a step, and that of starting


@dataclasses.dataclass(frozen=True)
class Cost:
  """Costs of a fit: megabytes of arrays in training, minutes (0: not measured), kilobytes of the file."""

  memory_mb: float
  minutes: float
  adapter_kb: float

  def __str__(self) -> str:
    minutes = f'{self.minutes:.2f} min' if self.minutes else 'time not measured'
    return f'{self.memory_mb:.1f} MB in training, {minutes}, file of {self.adapter_kb:.0f} kB'


@dataclasses.dataclass(frozen=True)
class Budget:
  """Upper limits; None: no limit."""

  max_memory_mb: float | int | None = None
  max_minutes: float | int | None = None
  max_adapter_kb: float | int | None = None

  def __post_init__(self) -> None:
    for name, value in dataclasses.asdict(self).items():
      if value is not None:
        config_fields.check_value(name, value, 'give a positive number', lambda value: value > 0)

  def __str__(self) -> str:
    return ', '.join(f'{name}={value:g}' for name, value in dataclasses.asdict(self).items() if value)


@dataclasses.dataclass(frozen=True)
class Plan:
  """A method, its training steps, their predicted cost, and the better-ranked methods that cost more."""

  method: str
  rank: int | None  # of its low-rank pairs
  max_steps: int
  predicted: Cost
  begun_s: float  # on the monotonic clock
  passed_over: tuple['Plan', ...] = ()
  actual: Cost | None = None

  def ended(self) -> 'Plan':
    """The plan with what it has cost. Without a device that counts its bytes, memory is that predicted."""
    stats = jax.local_devices()[0].memory_stats() or {}
    memory_mb = stats.get('peak_bytes_in_use', 1e6 * self.predicted.memory_mb) / 1e6
    minutes = (time.monotonic() - self.begun_s) / 60
    return dataclasses.replace(self, actual=Cost(memory_mb, minutes, self.predicted.adapter_kb))

  def __str__(self) -> str:
    rank = '' if self.rank is None else f' of rank {self.rank}'
    steps = f' with {self.max_steps} steps' if METHODS[self.method].takes_steps else ''
    return f'{self.method}{rank}{steps}: {self.predicted}'


def choose(fit_of: FitOf, budget: Budget, *, max_steps: int, labels: float | int) -> tuple[Fit, Plan]:
  """The first method in `RANKED` that fits, and its plan; with few labels, those that fit a head come first.

  It has as many steps up to `max_steps` as the time allows, and its rank is halved until the file fits.
  Where the time is limited, measures that of a few steps. A method that takes steps is not tried where
  another took too long.
  fit_of: the fit of a method. labels: windows of the median activity.
  Raises UserError where nothing fits, with the method that is nearest to it.
  """
  begun_s = time.monotonic()
  misses: list[tuple[float, Plan]] = []
  is_training_too_slow = False
  is_first = {name: METHODS[name].fits_head and labels < FEW_LABELS for name in RANKED}
  for name in sorted(RANKED, key=lambda name: not is_first[name]):
    fit, limit_kb = fit_of(name), budget.max_adapter_kb or math.inf
    while fit.rank is not None and fit.rank > 1 and fit.file_bytes() > 1e3 * limit_kb:
      fit = fit_of(name, fit.rank // 2)
    if is_training_too_slow and METHODS[name].takes_steps:
      continue
    cost = Cost(fit.memory_bytes() / 1e6, 0.0, fit.file_bytes() / 1e3)
    plan = Plan(name, fit.rank, max_steps if METHODS[name].takes_steps else 1, cost, begun_s)
    if _excess(plan.predicted, budget) <= 1 and budget.max_minutes is not None:
      plan = _timed(fit, plan, budget, max_steps=max_steps)
      is_training_too_slow = METHODS[name].takes_steps and _excess(plan.predicted, budget) > 1
    if _excess(plan.predicted, budget) <= 1:
      plan = dataclasses.replace(plan, passed_over=tuple(missed for _, missed in misses))
      return fit.replace_steps(plan.max_steps), plan
    misses.append((_excess(plan.predicted, budget), plan))
  _, nearest = min(misses, key=lambda miss: miss[0])
  raise UserError(f'no method fits {budget}; the nearest is {nearest}')


def _timed(fit: Fit, plan: Plan, budget: Budget, *, max_steps: int) -> Plan:
  """The plan with its steps, and with the minutes since the choice began, which include these trials.

  Of a method that takes no steps, only its own minutes count: trials before it are spent in any case.
  """
  few, more = _TRIAL_STEPS
  if plan.max_steps == 1:
    steps, minutes = 1, fit.seconds(1) / 60
  elif (spent_s := fit.seconds(few)) > 60 * (budget.max_minutes or math.inf):  # compiles
    steps, minutes = MIN_STEPS, spent_s / 60
  else:
    few_s, more_s = fit.seconds(few), fit.seconds(more)
    step_s = max((more_s - few_s) / (more - few), 1e-6)
    start_s = max(few_s - few * step_s, 0.0)
    spent_s = time.monotonic() - plan.begun_s
    affordable = (60 * (budget.max_minutes or math.inf) - spent_s - start_s) / step_s
    steps = int(min(max_steps, max(affordable, MIN_STEPS)))
    minutes = (spent_s + start_s + steps * step_s) / 60
  predicted = dataclasses.replace(plan.predicted, minutes=minutes)
  return dataclasses.replace(plan, max_steps=steps, predicted=predicted)


def _excess(cost: Cost, budget: Budget) -> float:
  """The largest cost over its limit, as a ratio; at most 1 where everything fits."""
  pairs = zip(dataclasses.astuple(cost), dataclasses.astuple(budget), strict=True)
  return max((spent / limit for spent, limit in pairs if limit), default=0.0)
