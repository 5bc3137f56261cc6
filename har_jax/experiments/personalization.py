"""Personalization: from a run's end, one adapter for each person that it was tested on, all trained side by side.

<run's folder>/personal/labels-<n>-per-class.json
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from har_jax import config, runtime, storage
from har_jax.data.batches import Batch
from har_jax.errors import UserError
from har_jax.experiments import job_lock
from har_jax.experiments.adaptation import prepare_run
from har_jax.experiments.pretraining import pretrained_encoder
from har_jax.experiments.study import Study, identity, result_path
from har_jax.methods import METHODS
from har_jax.storage import Place
from har_jax.train import metrics
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.loop import predict, train

FORMAT = 'har_jax personal 1'
# From so few windows there is none to choose by: the length is fixed, and the rates are gentle enough not to need a choice.
_STEPS, _RATE_SHARE = 60, 0.3


def personalize(
  study: Study,
  target: str,
  method: str,
  seed: int,
  labels: int,
  *,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> tuple[Place, dict[str, Any]]:
  """The result's file and what is in it: for each test subject, figures on the same windows before and after.

  Of each of a subject's activities the first `labels` windows are learned from, as a new owner would record them; the next is
  left out, as it shares samples with the last of these, and the others are tested on. An activity without a window left to
  test on is only learned. A subject with less than two activities to test on is left out and named.
  Raises UserError: split by window, where the subject was learned from already; the run is not done; nobody is left.
  """
  if study.experiment.protocol.split == 'window':
    raise UserError(
      'split by window, the run has learned from everyone it is tested on; give --split=subject'
    )
  result = result_path(study, target, method, seed)
  if not job_lock.exists(result):
    raise UserError(f'{result} is missing; run --stage=all before --stage=personalize')
  asked_for = identity(study, target, method, seed)
  step = (job_lock.finished(result, asked_for) or {})['step']
  path = result.with_suffix('') / 'personal' / f'labels-{labels}-per-class.json'
  if job_lock.exists(path):
    return path, storage.read(path)
  base = pretrained_encoder(study, target, seed, may_train=False)
  prepared = prepare_run(study, target, METHODS[method], base, seed)
  run, test = prepared.run, prepared.data.test
  trained = Checkpoints(run.folder / 'checkpoints').variables(step, run.trainable | run.statistics)
  before = predict(prepared.objective, trained | run.frozen, test).argmax(axis=1)
  parts = {
    str(subject): _parts(prepared.data, subject, labels) for subject in np.unique(prepared.data.test_subjects)
  }
  people = {
    subject: (learned, tested)
    for subject, (learned, tested) in parts.items()
    if len(np.unique(test['label'][tested])) > 1
  }
  if not people:
    raise UserError(
      f'{target}: no test subject has windows left of two activities; give fewer --personal_labels'
    )
  runs = [
    dataclasses.replace(
      run,
      trainable={name: trained[name] for name in run.trainable},
      statistics={name: trained[name] for name in run.statistics},
      windows=_of(test, learned),
      validation=_of(test, learned),  # heeded by nobody: the last step is taken
      folder=path.with_suffix('') / subject,
      title=f'{run.title}, for subject {subject}',
    )
    for subject, (learned, _) in people.items()
  ]
  ends = train(
    prepared.objective,
    runs,
    training=_gently(study.experiment.finetune),
    pretrained=True,
    progress=progress,
    stop=stop,
  )
  by_subject = {}
  for (subject, (learned, tested)), end in zip(people.items(), ends, strict=True):
    after = predict(prepared.objective, end.variables | run.frozen, _of(test, tested)).argmax(axis=1)
    truth = test['label'][tested]
    by_subject[subject] = {
      'windows': {'learned': len(learned), 'tested': len(tested)},
      'before': metrics.measure(truth, before[tested], len(prepared.data.classes)),
      'after': metrics.measure(truth, after, len(prepared.data.classes)),
    }
  made = {
    'format': FORMAT,
    'identity': asked_for | {'personal_labels': labels},
    'by_subject': by_subject,
    'left_out': sorted(parts.keys() - people.keys()),
    'side_by_side': len(runs),
    'seconds': ends[0].seconds,
  } | runtime.describe()
  job_lock.write(path, made)
  return path, made


def _parts(data: Any, subject: str, labels: int) -> tuple[Int[np.ndarray, 'a'], Int[np.ndarray, 'b']]:
  """Places of a subject's windows to learn from and to test on, in the order of recording."""
  learned, tested = [], []
  own = np.flatnonzero(data.test_subjects == subject)
  for activity in np.unique(data.test['label'][own]):
    places = own[data.test['label'][own] == activity]
    learned.append(places[:labels])
    tested.append(places[labels + 1 :])
  return np.sort(np.concatenate(learned)), np.sort(np.concatenate(tested))


def _of(windows: Batch, places: Int[np.ndarray, 'p']) -> Batch:
  return {name: array[places] for name, array in windows.items()}


def _gently(training: config.Training) -> config.Training:
  return dataclasses.replace(
    training,
    epochs=float(_STEPS),
    max_steps=_STEPS,
    learning_rate=_RATE_SHARE * training.learning_rate,
    encoder_learning_rate=_RATE_SHARE * training.encoder_learning_rate,
    num_evals=1,
    patience=0,
  )
