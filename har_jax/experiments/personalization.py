"""Personalization: one adapter for each test subject of a finished run, all trained together.

<run's folder>/personal/labels-<n>-per-class.json
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Int

from har_jax import config, runtime, storage
from har_jax.config import SCHEMA_VERSION
from har_jax.data.batches import Batch
from har_jax.data.folds import TargetWindows
from har_jax.errors import UserError
from har_jax.experiments import job_lock
from har_jax.experiments.adaptation import prepare_run
from har_jax.experiments.stages import DEFAULT, TrainOptions, run_stages, stages_of
from har_jax.experiments.study import RunSpec
from har_jax.methods import METHODS
from har_jax.storage import Place
from har_jax.train import metrics
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.evaluation import predict
from har_jax.train.loop import train

FORMAT = f'har_jax personal {SCHEMA_VERSION}'
# So few windows leave none to validate on: the length is fixed, and the learning rates are low enough to need
# no choice.
_STEPS, _RATE_FRACTION = 60, 0.3


def personalize(spec: RunSpec, labels: int, options: TrainOptions = DEFAULT) -> tuple[Place, dict[str, Any]]:
  """The result file and its content: for each test subject, measures on the same windows before and after.

  The first `labels` windows of each activity are for training, as a new user would record them. The next one
  is left out, since it overlaps them; the others are for testing. A subject with fewer than two activities to
  test on is excluded and listed.
  Raises UserError where the method is a baseline or the ensemble, the split is window-wise, the run is not
  finished, or no subject is left.
  """
  if spec.method not in METHODS:
    raise UserError(f'{spec.method} has no adapter to personalize; leave it out of --methods')
  if spec.experiment.protocol.split == 'window':
    raise UserError(
      'a run with a window-wise split was trained on all subjects it is tested on; give --split=subject'
    )
  if not job_lock.exists(spec.result):
    raise UserError(f'{spec.result} is missing; run --stage=all before --stage=personalize')
  step = (job_lock.finished(spec.result, spec.identity) or {})['step']
  path = spec.folder / 'personal' / f'labels-{labels}-per-class.json'
  if job_lock.exists(path):
    return path, storage.read(path)
  base = run_stages(stages_of(spec), TrainOptions(may_train=False)) if spec.is_pretrained else {}
  prepared = prepare_run(spec, base)
  run, test, classes = prepared.run, prepared.data.test, len(prepared.data.classes)
  trained = Checkpoints(run.folder / 'checkpoints').variables(step, run.trainable | run.statistics)
  before = predict(prepared.objective, trained | run.frozen, test).argmax(axis=1)
  parts = {
    str(subject): _split(prepared.data, subject, labels) for subject in np.unique(prepared.data.test_subjects)
  }
  included = {
    subject: (train_at, test_at)
    for subject, (train_at, test_at) in parts.items()
    if len(np.unique(test['label'][test_at])) > 1
  }
  if not included:
    raise UserError(
      f'{spec.target}: no test subject has windows of two activities left to test on; '
      'give fewer --personal_labels'
    )
  train_origin = prepared.data.train['origin'][:1]
  runs = [
    dataclasses.replace(
      run,
      trainable={name: trained[name] for name in run.trainable},
      statistics={name: trained[name] for name in run.statistics},
      # Equal rows: the normalized value of a zero reading.
      windows=_select(test, train_at) | {'origin': train_origin.repeat(len(train_at), axis=0)},
      validation=_select(test, train_at),  # of no effect: the last step is kept
      folder=path.with_suffix('') / subject,
      title=f'{run.title}, subject {subject}',
    )
    for subject, (train_at, _) in included.items()
  ]
  ends = train(
    prepared.objective,
    runs,
    training=_short_training(spec.experiment.finetune),
    pretrained=True,
    progress=options.progress,
    stop=options.stop,
  )
  by_subject = {}
  for (subject, (train_at, test_at)), end in zip(included.items(), ends, strict=True):
    after = predict(prepared.objective, end.variables | run.frozen, _select(test, test_at)).argmax(axis=1)
    labels_at = test['label'][test_at]
    by_subject[subject] = {
      'windows': {'train': len(train_at), 'test': len(test_at)},
      'before': metrics.measure(labels_at, before[test_at], classes),
      'after': metrics.measure(labels_at, after, classes),
    }
  result = {
    'format': FORMAT,
    'identity': spec.identity | {'personal_labels': labels},
    'by_subject': by_subject,
    'excluded': sorted(parts.keys() - included.keys()),
    'batch_runs': len(runs),
    'seconds': ends[0].seconds,
  } | runtime.describe()
  job_lock.write(path, result)
  return path, result


def _split(
  data: TargetWindows, subject: str, labels: int
) -> tuple[Int[np.ndarray, 'a'], Int[np.ndarray, 'b']]:
  """Indices of a subject's windows to train and to test on, in recording order."""
  train_at, test_at = [], []
  of_subject = np.flatnonzero(data.test_subjects == subject)
  for activity in np.unique(data.test['label'][of_subject]):
    indices = of_subject[data.test['label'][of_subject] == activity]
    train_at.append(indices[:labels])
    test_at.append(indices[labels + 1 :])
  return np.sort(np.concatenate(train_at)), np.sort(np.concatenate(test_at))


def _select(windows: Batch, indices: Int[np.ndarray, 'p']) -> Batch:
  return {name: array[indices] for name, array in windows.items()}


def _short_training(training: config.Training) -> config.Training:
  return dataclasses.replace(
    training,
    epochs=float(_STEPS),
    max_steps=_STEPS,
    learning_rate=_RATE_FRACTION * training.learning_rate,
    encoder_learning_rate=_RATE_FRACTION * training.encoder_learning_rate,
    num_evals=1,
    patience=0,
  )
