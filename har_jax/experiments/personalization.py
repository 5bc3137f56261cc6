"""Personalization: a new output layer for each test subject of a finished run.

<run's folder>/personal/labels-<n>-per-class.json

w windows, f features, y classes.
"""

import time

import msgspec
import numpy as np
from jaxtyping import Float, Int

from har_jax import records, runtime
from har_jax.datasets import splits
from har_jax.errors import UserError
from har_jax.experiments import job_lock
from har_jax.experiments.adaptation import prepare_run
from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.stages import TrainOptions, run_stages, stages_of
from har_jax.methods import METHODS
from har_jax.storage import Place
from har_jax.stream import head_update
from har_jax.train import metrics
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.evaluation import predict

# Weight of the penalty on squared weights, against the sum of the windows' cross-entropies. Chosen on the
# validation people of four targets: a smaller one hurts the worst person more, three times as much hurts one
# target.
_PENALTY = 10.0


def personalize(spec: RunSpec, labels: int) -> tuple[Place, records.Personalization]:
  """The result file and its content: for each test subject, measures on the same windows before and after.

  The first `labels` windows of each activity are for training, as a new user would record them. The next one
  is left out, since it overlaps them; the others are for testing. A subject with fewer than two activities to
  test on is excluded and listed.
  Raises UserError where the method is a baseline or the ensemble, the split is window-wise, the run is not
  finished, or no subject is left.
  """
  if spec.method not in METHODS:
    raise UserError(f'{spec.method} has no output layer to personalize; leave it out of --methods')
  if spec.experiment.protocol.split == 'window':
    raise UserError(
      'a run with a window-wise split was trained on all subjects it is tested on; give --split=subject'
    )
  run = job_lock.finished(spec.result, spec.identity, records.Result)
  if run is None:
    raise UserError(f'{spec.result} is missing; run --phase=all before --phase=personalize')
  path = spec.folder / 'personal' / f'labels-{labels}-per-class.json'
  identity = records.PersonalIdentity(
    **msgspec.structs.asdict(spec.identity), personal_labels=labels, personal_penalty=_PENALTY
  )
  if (earlier := job_lock.finished(path, identity, records.Personalization)) is not None:
    return path, earlier
  base = run_stages(stages_of(spec), TrainOptions(may_train=False)) if METHODS[spec.method].pretrained else {}
  prepared = prepare_run(spec, base)
  data = prepared.data
  parts = {
    str(subject): splits.split_first(
      data.test['label'], np.flatnonzero(data.test_subjects == subject), labels
    )
    for subject in np.unique(data.test_subjects)
  }
  included = {name: part for name, part in parts.items() if len(np.unique(data.test['label'][part[1]])) > 1}
  if not included:
    raise UserError(
      f'{spec.target}: no test subject has windows of two activities left to test on; '
      'give fewer --personal_labels'
    )
  changed = prepared.run.trainable | prepared.run.statistics
  trained = Checkpoints(spec.folder / 'checkpoints').variables(run.step, changed) | prepared.run.frozen
  # The output layer's inputs on the test part, with a 1 for the bias, and its logits.
  outputs = predict(prepared.objective.with_hidden, trained, data.test).astype(np.float64)
  hidden, logits = np.split(outputs, [-prepared.objective.classes], axis=1)
  start_s = time.monotonic()
  by_subject = {
    name: _before_and_after(hidden, logits, data.test['label'], *part) for name, part in included.items()
  }
  result = records.Personalization(
    identity=identity,
    by_subject=by_subject,
    excluded=sorted(parts.keys() - included.keys()),
    seconds=time.monotonic() - start_s,
    versions=runtime.versions(),
    device=runtime.device(),
  )
  job_lock.write(path, result)
  return path, result


def _before_and_after(
  hidden: Float[np.ndarray, 'w f'],
  logits: Float[np.ndarray, 'w y'],
  labels: Int[np.ndarray, 'w'],
  train_at: Int[np.ndarray, 'a'],
  test_at: Int[np.ndarray, 'b'],
) -> records.BeforeAndAfter:
  is_label = np.eye(logits.shape[1])[labels[train_at]]
  added = head_update.fit(hidden[train_at], logits[train_at], is_label, penalty=_PENALTY)
  before = logits[test_at]
  after = before + hidden[test_at] @ added
  return records.BeforeAndAfter(
    records.PersonalWindows(train=len(train_at), test=len(test_at)),
    *(metrics.measure(labels[test_at], scores.argmax(axis=1), logits.shape[1]) for scores in (before, after)),
  )
