"""Training of a recognizer on labeled windows."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from har_jax import config, files, methods
from har_jax.baselines import BASELINES
from har_jax.baselines.installed import MAX_WINDOWS, evenly_spaced
from har_jax.datasets import normalization, splits
from har_jax.datasets.batches import Batch
from har_jax.datasets.normalization import Normalizer
from har_jax.errors import UserError
from har_jax.methods import Method, Prepared, Settings, Wrapped
from har_jax.model import head_input_widths
from har_jax.recognizer import validation
from har_jax.recognizer.parameters import Parameters
from har_jax.recordings import language
from har_jax.train import evaluation, loop, output_layer, side_encoder
from har_jax.train.head_prior import HeadPrior
from har_jax.train.objective import Classify, Objective
from har_jax.train.step import compiled_start
from har_jax.variables import Variables, resident


@dataclasses.dataclass(frozen=True)
class Fitted:
  """A trained model: its variables, its last step, and its metrics on the validation windows."""

  objective: Classify
  variables: Variables
  step: int
  metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Parts:
  """Labeled windows to train and to validate with, normalized by the former.

  split: how those for validation were chosen. 'none': they are all windows, and their metrics are not used.
  """

  train: Batch
  validation: Batch
  split: str
  normalizer: Normalizer

  @property
  def are_apart(self) -> bool:
    return self.split != 'none'

  @property
  def in_card(self) -> dict[str, Any]:
    """Their entries in an adapter's card."""
    validated = len(self.validation['label']) if self.are_apart else 0
    normalizer = self.normalizer
    return {
      'normalizer': {'mean': normalizer.mean.tolist(), 'deviation': normalizer.deviation.tolist()},
      # Counts only: adapters are shared, and the names of subjects are private.
      'split': {
        'by': self.split,
        'windows': {'train': len(self.train['label']), 'validation': validated},
      },
    }


def divide(
  parameters: Parameters,
  signals: Float[np.ndarray, 'w n 6'],
  labels: Int[np.ndarray, 'w'],
  groups: ArrayLike | None,
  held_out: ArrayLike | None,
  normalize: str,
) -> Parts:
  """Divides the windows of a fit. held_out: those to validate with; None: drawn, by subject or window.

  normalize: by `normalization.make`, but for a baseline, whose windows stay as they are.
  """
  subjects = None
  if groups is not None:
    _, subjects = np.unique(validation.one_per_window(groups, len(signals), 'group'), return_inverse=True)
  if held_out is None:
    fraction, seed = float(parameters.validation_fraction), int(parameters.random_state)
    is_held_out, split = splits.hold_out_at_random(labels, subjects, fraction, seed)
  else:
    is_held_out = validation.check_held_out(held_out, labels)
    split = 'held_out' if is_held_out.any() else 'none'
  is_baseline = parameters.method in BASELINES
  normalizer = normalization.make(signals[~is_held_out], normalization.AS_IS if is_baseline else normalize)
  windows = {'signal': normalizer(signals), 'label': labels}
  train = {name: array[~is_held_out] for name, array in windows.items()}
  train['origin'] = normalizer.origins(len(train['label']))
  if split != 'none':
    windows = {name: array[is_held_out] for name, array in windows.items()}
  return Parts(train, windows, split, normalizer)


@dataclasses.dataclass(frozen=True)
class Fit:
  """A training of a recognizer by one method."""

  objective: Classify
  method: Method
  settings: Settings
  prepared: Prepared
  training: config.Training
  parts: Parts
  seed: int
  progress: bool
  prior: HeadPrior | None = None

  def run(self) -> Fitted:
    """Trains on the labeled windows, then fits the linear head to them."""
    fitted = self.labeled()
    objective = self.final_objective
    if objective == self.objective:
      return fitted
    variables = _without_head(fitted.variables) | objective.init_new(jax.random.key(0))
    variables |= output_layer.fit(objective, variables, self.parts.train)
    metrics = evaluation.evaluate(objective.with_hidden, variables, self.parts.validation)
    return dataclasses.replace(fitted, objective=objective, variables=variables, metrics=scores(metrics))

  def labeled(self) -> Fitted:
    """Trains on the labeled windows."""
    prepared, validated = self.prepared, self.parts.validation
    parts = prepared.trainable, prepared.statistics, prepared.frozen
    # Minutes of training, which nothing resumes.
    run = loop.Run(*parts, self.parts.train, validated, self.seed, folder=None, title=self.method.name)
    fit_head = functools.partial(output_layer.train, prior=self.prior)
    train = fit_head if self.method.fits_head else loop.train
    training, progress = self.training, self.progress
    (trained,) = train(self.objective, [run], training=training, progress=progress, **self._by_method)
    variables = trained.variables | prepared.frozen
    return Fitted(self.objective, variables, trained.step, scores(trained.history[-1]))

  def card(self, fitted: Fitted, training: dict[str, Any]) -> dict[str, Any]:
    """Entries of the adapter's card: method, model, windows, metrics, and what is known of each class.

    training: parameters of the fit.
    """
    parts = self.parts
    return {
      **files.method_entries(self.method.name, self.settings, fitted.objective.model),
      **parts.in_card,
      'metrics': {'validation': fitted.metrics if parts.are_apart else None},
      'training': training | {'step': fitted.step},
      **class_entries(fitted.objective, fitted.variables, parts.train, is_frozen=self._is_frozen),
    }

  @property
  def final_objective(self) -> Classify:
    """The model that predicts after the fit: with a linear head, but for the paper's normalized windows."""
    model = self.objective.model
    model = methods.with_linear_head(model) if model.stem else model
    return dataclasses.replace(self.objective, model=model)

  def replace_steps(self, steps: int) -> 'Fit':
    """The same with another number of training steps."""
    return dataclasses.replace(self, training=self.training.fixed_length(steps))

  def seconds(self, steps: int) -> float:
    """Seconds to train so many steps; the weights are discarded."""
    begun_s = time.monotonic()
    dataclasses.replace(self.replace_steps(steps), progress=False).labeled()
    return time.monotonic() - begun_s

  def memory_bytes(self) -> int:
    """Bytes of a training step: weights, the optimizer's state, and what the compiler plans in addition.

    Where a head is fitted, of the weights and the larger of the head's inputs and the side encoder's step.
    """
    prepared, training, windows = self.prepared, self.training, self.parts.train
    if self.method.fits_head:
      fitting = 8 * len(windows['label']) * sum(head_input_widths(self.objective.model))
      if self.objective.model.side is not None:
        of_step = side_encoder.memory_bytes(self.objective, prepared.trainable, training, windows)
        fitting = max(fitting, of_step)
      return resident(prepared.variables) + fitting
    start = compiled_start(training, **self._by_method)
    state = jax.eval_shape(start, prepared.trainable, prepared.statistics)
    arrays = state, prepared.frozen, windows
    planned = loop.planned_bytes(self.objective, training, *arrays, **self._by_method)
    return resident(state) + resident(prepared.frozen) + planned

  def file_bytes(self) -> int:
    """Bytes of the arrays in the adapter's file."""
    head = jax.eval_shape(self.final_objective.init_new, jax.random.key(0))
    adapted = _without_head(self.prepared.variables) | head
    return resident(files.leaves_of(self.method, self.settings, adapted))

  @property
  def rank(self) -> int | None:
    """Rank of the low-rank pairs; None without pairs."""
    return self.settings.lora.rank if self.method.pairs else None

  @property
  def _is_frozen(self) -> bool:
    leaves = files.leaves_of(self.method, self.settings, self.prepared.variables)
    return not any(map(methods.in_encoder, leaves))

  @property
  def _by_method(self) -> dict[str, Any]:
    return {'pretrained': self.method.pretrained, 'wrap': Wrapped(self.method, self.settings)}


def class_entries(
  objective: Classify, variables: Variables, windows: Batch, *, is_frozen: bool
) -> dict[str, Any]:
  """Entries of a card: each class's mean logits and mean inputs of the output layer, and the inputs' spread.

  is_frozen: whether the encoder is the base's. After others, or a hidden layer, the spread is too small.
  """
  indices = evenly_spaced(windows['label'], MAX_WINDOWS)
  windows = {name: array[indices] for name, array in windows.items()}
  outputs = evaluation.predict(objective.with_hidden, variables, windows)
  logits, labels = outputs[:, -objective.classes :], windows['label']
  hidden = objective.hidden(outputs)
  spread = evaluation.class_spread(hidden, labels) if is_frozen and not objective.model.head else None
  return {
    'class_logits': evaluation.class_means(logits, labels),
    'class_means': evaluation.class_means(hidden, labels, digits=4),
    'class_spread': spread,
  }


def predict(
  objective: Objective, variables: Variables, signals: Float[np.ndarray, 'w n 6'], tta_shifts: int
) -> np.ndarray:
  """The outputs for normalized windows, one row each. Raises UserError if they are not finite."""
  windows, sizes = {'signal': signals}, evaluation.ONE_SIZE
  outputs = evaluation.predict(objective, variables, windows, tta_shifts=tta_shifts, sizes=sizes)
  if not np.isfinite(outputs).all():
    raise UserError(
      'the model answers with values that are not finite: fetch its files again, or adapt again'
    )
  return outputs


def _without_head(variables: Variables) -> Variables:
  return {path: leaf for path, leaf in variables.items() if '/head/' not in path}


def scores(metrics: Mapping[str, Any]) -> dict[str, float]:
  """The entries of an objective's metrics that a card has."""
  return {name: metrics[name] for name in ('macro_f1', 'accuracy')}


def prior_of(base: files.Base | None, classes: Sequence[Any]) -> HeadPrior | None:
  """What the base's head tells of these classes; None if it has no head on the encoder's features alone."""
  if base is None or not base.classes or any(head_input_widths(base.model)[1:]):
    return None
  is_same = [[language.is_same(str(name), known) for known in base.classes] for name in classes]
  objective = Classify(base.model, len(base.classes))
  return HeadPrior(objective, base.variables, base.card.temperature, np.array(is_same))


FitOf = Callable[..., Fit]  # (method's name, rank=the parameters') → what it trains


def fits(
  parameters: Parameters,
  base: files.Base | None,
  experiment: config.Experiment,
  classes: Sequence[Any],
  parts: Parts,
) -> FitOf:
  """Returns a function from the name of a method, and a rank if it is another, to its fit.

  base, experiment: of `parameters.check`.
  """
  training = experiment.finetune
  seed, progress = int(parameters.random_state), bool(parameters.verbose)
  prior = prior_of(base, classes)

  def fit_of(name: str, rank: int = experiment.lora.rank) -> Fit:
    method, alpha = methods.METHODS[name], experiment.lora.alpha * rank / experiment.lora.rank
    lora = dataclasses.replace(experiment.lora, rank=rank, alpha=alpha)
    settings = Settings.from_experiment(dataclasses.replace(experiment, lora=lora))
    objective = Classify(method.model(experiment.model), len(classes), experiment.precision)
    prepared = files.prepare(base, objective, method, settings, seed, classes=classes)
    return Fit(objective, method, settings, prepared, training, parts, seed, progress, prior)

  return fit_of
