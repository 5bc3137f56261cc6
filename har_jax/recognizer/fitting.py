"""Training of a recognizer: on the labeled windows, then once more with pseudo-labels of unlabeled ones."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from har_jax import config, files, methods
from har_jax.datasets import balancing, self_training
from har_jax.datasets.batches import Batch
from har_jax.methods import Method, Prepared, Settings, Wrapped
from har_jax.recognizer.parameters import Parameters
from har_jax.records import SelfTraining
from har_jax.train import evaluation, loop, output_layer
from har_jax.train.objective import Classify
from har_jax.train.step import compiled_start
from har_jax.variables import Variables, resident


@dataclasses.dataclass(frozen=True)
class Fitted:
  """A trained model: its variables, its last step, and its metrics on the validation windows."""

  variables: Variables
  step: int
  metrics: dict[str, float]
  self_training: SelfTraining | None = None


@dataclasses.dataclass(frozen=True)
class Fit:
  """A training of a recognizer by one method. `train` and `validation` are normalized and labeled."""

  objective: Classify
  method: Method
  settings: Settings
  prepared: Prepared
  training: config.Training
  train: Batch
  validation: Batch
  seed: int
  progress: bool

  def labeled(self) -> Fitted:
    """Trains on the labeled windows."""
    return self._on(self.train, 'labeled windows')

  def with_unlabeled(
    self, teacher: Fitted, unlabeled: Float[np.ndarray, 'w n 6'], *, tta_shifts: int, validated: bool
  ) -> Fitted:
    """One self-training round: trains anew, also on the windows that the teacher is most confident of.

    Keeps the teacher where the student has a lower macro-F1 on the validation windows, if `validated`.
    """
    windows = {'signal': unlabeled, 'origin': self.train['origin'][:1].repeat(len(unlabeled), axis=0)}
    logits = evaluation.predict(
      self.objective,
      teacher.variables,
      {'signal': unlabeled, 'label': np.zeros(len(unlabeled), np.int32)},  # as in a validation: one program
      tta_shifts=tta_shifts,
      sizes=evaluation.ONE_SIZE,
    )
    pseudo_labeled = self_training.pseudo_labeled(windows, logits, seed=self.seed)
    student = self._on(balancing.concatenate_equally([self.train, pseudo_labeled]), 'with pseudo-labels')
    is_better = not validated or student.metrics['macro_f1'] >= teacher.metrics['macro_f1']
    entry = SelfTraining(
      unlabeled_windows=len(unlabeled),
      kept=is_better,
      before=teacher.metrics['macro_f1'] if validated else None,
      after=student.metrics['macro_f1'] if validated else None,
    )
    return dataclasses.replace(student if is_better else teacher, self_training=entry)

  def replace_steps(self, steps: int, **changed: Any) -> 'Fit':
    """The same with another number of training steps."""
    training = dataclasses.replace(self.training, epochs=float(steps), max_steps=steps, **changed)
    return dataclasses.replace(self, training=training)

  def seconds(self, steps: int) -> float:
    """Seconds to train so many steps; the weights are discarded."""
    begun_s = time.monotonic()
    dataclasses.replace(self.replace_steps(steps), progress=False).labeled()
    return time.monotonic() - begun_s

  def memory_bytes(self) -> int:
    """Bytes of a training step: weights, the optimizer's state, and what the compiler plans in addition."""
    wrap = Wrapped(self.method, self.settings)
    start = compiled_start(self.training, pretrained=self.method.pretrained, wrap=wrap)
    state = jax.eval_shape(start, self.prepared.trainable, self.prepared.statistics)
    planned = loop.planned_bytes(
      self.objective,
      self.training,
      state,
      self.prepared.frozen,
      self.train,
      pretrained=self.method.pretrained,
      wrap=wrap,
    )
    return resident(state) + resident(self.prepared.frozen) + planned

  def file_bytes(self) -> int:
    """Bytes of the arrays in the adapter's file."""
    return resident(files.leaves_of(self.method, self.settings, self.prepared.variables))

  @property
  def rank(self) -> int | None:
    """Rank of the low-rank pairs; None without pairs."""
    return self.settings.lora.rank if self.method.pairs else None

  def _on(self, windows: Batch, title: str) -> Fitted:
    prepared = self.prepared
    run = loop.Run(
      prepared.trainable,
      prepared.statistics,
      prepared.frozen,
      windows,
      self.validation,
      self.seed,
      folder=None,  # minutes of training, which nothing resumes
      title=f'{self.method.name}, {title}',
    )
    train = output_layer.train if self.method.fits_head else loop.train
    (trained,) = train(
      self.objective,
      [run],
      training=self.training,
      pretrained=self.method.pretrained,
      wrap=Wrapped(self.method, self.settings),
      progress=self.progress,
    )
    metrics = {name: trained.history[-1][name] for name in ('macro_f1', 'accuracy')}
    return Fitted(trained.variables | prepared.frozen, trained.step, metrics)


FitOf = Callable[..., Fit]  # (method's name, rank=the parameters') → what it trains


def fits(
  parameters: Parameters,
  base: files.Base | None,
  experiment: config.Experiment,
  classes: Sequence[Any],
  train: Batch,
  validation: Batch,
) -> FitOf:
  """Returns a function from the name of a method, and a rank if it is another, to its fit.

  base, experiment: of `parameters.check`.
  """
  lora, training = experiment.lora, experiment.finetune
  seed, progress = int(parameters.random_state), bool(parameters.verbose)

  def fit_of(name: str, rank: int = lora.rank) -> Fit:
    method, alpha = methods.METHODS[name], lora.alpha * rank / lora.rank
    settings = Settings.from_experiment(
      dataclasses.replace(experiment, lora=dataclasses.replace(lora, rank=rank, alpha=alpha))
    )
    objective = Classify(method.model(experiment.model), len(classes), experiment.precision)
    of_head = None if method.fits_head else classes
    prepared = files.prepare(base, objective, method, settings, seed, classes=of_head)
    return Fit(objective, method, settings, prepared, training, train, validation, seed, progress)

  return fit_of
