"""Adapts a pretrained model to your own recording: python launch/adapt.py --recording=my.csv --labels=labels.csv --out=my_adapter."""

import collections
import os
import pathlib
import shutil
import sys

from absl import flags

from har_jax.cli import command, recording
from har_jax.errors import UserError

_read = recording.define_recording()
_LABELS = flags.DEFINE_string(
  'labels',
  None,
  'CSV of start, end, activity; if not given <recording>.labels.csv beside it, or its own column of labels',
)
_PRETRAINED = flags.DEFINE_string(
  'pretrained',
  None,
  "a base's folder, a pretraining's (<out>/<target>/pretrain), or an adapter's, whose base is taken; if not given the base "
  'that comes with the package, pretrained on MotionSense',
)
_METHOD = flags.DEFINE_string(
  'method', 'lora', "one of full, probe, lora, qlora, scratch (the base's architecture, drawn anew)"
)
_OUT = flags.DEFINE_string('out', 'adapter', 'a new folder, for adapter and base')
_RANK = flags.DEFINE_integer('rank', 32, "of lora's and qlora's pairs; they are scaled by 2", lower_bound=1)
_STEPS = flags.DEFINE_integer('steps', 300, 'to train', lower_bound=1)
_LEARNING_RATE = flags.DEFINE_float('learning_rate', 1e-3, 'at its peak')
_BATCH = flags.DEFINE_integer('batch', 64, 'windows a step', lower_bound=1)
_ROTATION = flags.DEFINE_float(
  'rotation',
  0.0,
  'degrees that windows are turned by at random; some 10 help with other people, who wear the device otherwise',
  lower_bound=0,
)
_SEED = flags.DEFINE_integer('seed', 0, 'draws head, adapters and order', lower_bound=0)
_VALIDATION = flags.DEFINE_float(
  'validation',
  0.2,
  'share of each activity, the last of it, kept apart to measure by and to calibrate on; 0 for none',
)
_PROGRESS = flags.DEFINE_bool('progress', True, 'show a progress bar')


def main() -> None:
  try:
    _adapt()
  except KeyboardInterrupt:
    print('interrupted; nothing was written', file=sys.stderr)
    sys.exit(130)


def _adapt() -> None:
  if not 0 <= _VALIDATION.value < 1:
    raise UserError(f'--validation={_VALIDATION.value}: give a share from 0 up to, without, 1')
  out = pathlib.Path(_OUT.value)
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise UserError(f'--out={out} is there already: give another one, or delete it')
  reading = _read(_LABELS.value)
  from har_jax.data import user_recordings as recordings

  recording.warn(reading.warnings + recordings.check(reading))
  dropped: collections.Counter = collections.Counter()
  windows = recordings.to_windows(reading, dropped=dropped)
  activities = sorted({window.activity for window in windows})
  if len(activities) < 2:
    held = f'of {activities[0]!r} alone' if activities else 'at all'
    raise UserError(
      f'no windows of two activities, but {held}: label two or more for 2.56 s at a stretch, in a column of the recording '
      'or with --labels='
    )
  for reason, count in dropped.items():
    print(f'Left out: {count} {reason}.')
  import numpy as np

  from har_jax.data.temporal_split import hold_out
  from har_jax.inference.calibration import calibrate
  from har_jax.inference.recognizer import Recognizer

  held_out, overlapping = hold_out(windows, _VALIDATION.value)
  signals = np.stack([window.signal for window in windows])[~overlapping]
  labels = np.array([window.activity for window in windows])[~overlapping]
  held_out = held_out[~overlapping]
  given = Recognizer.load(_PRETRAINED.value).base
  if given is None:
    raise UserError(
      f'--pretrained={_PRETRAINED.value} was trained from scratch and has no base: give another one'
    )
  recognizer = Recognizer(
    given,
    method=_METHOD.value,
    rank=_RANK.value,
    alpha=2.0 * _RANK.value,
    max_steps=_STEPS.value,
    learning_rate=_LEARNING_RATE.value,
    rotation_std_deg=_ROTATION.value,
    batch=_BATCH.value,
    random_state=_SEED.value,
    validation_fraction=_VALIDATION.value,
    verbose=_PROGRESS.value,
  ).fit(signals, labels, held_out=held_out)
  calibration = None
  if held_out.any():
    predicted = recognizer.predict(signals[held_out])
    calibration = calibrate(recognizer, signals[held_out], labels[held_out])
    _tell_held_out(labels, held_out, predicted, int(overlapping.sum()))
    (before, after), accuracy = calibration.confidence, calibration.accuracy
    print(
      f'Temperature {calibration.temperature:.2f}, fitted to these windows: mean confidence {before:.3f} before, {after:.3f} '
      f'after; accuracy {accuracy:.3f}.'
    )
  else:
    _tell_all(labels)
  _save(recognizer, out)
  print(out / 'adapter.json')


def _tell_held_out(labels, held_out, predicted, overlapping: int) -> None:
  """Figures of the windows kept apart, and what they are worth."""
  import numpy as np
  from tabulate import tabulate

  from har_jax.train.metrics import measure

  classes = np.unique(labels)
  true = labels[held_out]
  measured = measure(np.searchsorted(classes, true), np.searchsorted(classes, predicted), len(classes))
  rows = [
    (
      name,
      (labels[~held_out] == name).sum(),
      (true == name).sum(),
      ((true == name) & (predicted == name)).sum(),
    )
    for name in classes
  ]
  print(tabulate(rows, headers=('activity', 'learned from', 'kept apart', 'of these right')))
  print(
    f'Macro-F1 {measured["macro_f1"]:.3f}, accuracy {measured["accuracy"]:.3f}, on {len(true)} windows that were not learned '
    f'from: the last {_VALIDATION.value:.0%} of each activity ({overlapping} between were left out, as they overlap both).'
  )
  print('They are of the same recording: expect less on another day, and less on another person.')


def _tell_all(labels) -> None:
  import numpy as np
  from tabulate import tabulate

  print(
    tabulate(zip(*np.unique(labels, return_counts=True), strict=True), headers=('activity', 'learned from'))
  )
  print(
    'No figure, and no temperature: no windows were kept apart, since --validation=0 or an activity has fewer than 5. '
    'Confidences are those of the network, which is overconfident.'
  )


def _save(recognizer, out: pathlib.Path) -> None:
  """Base and adapter, both or neither."""
  partial = out.with_name(f'.{out.name}.{os.getpid()}.partial')
  try:
    recognizer.save(partial)
    os.rename(partial, out)
  except OSError as error:
    raise UserError(f'cannot write {out}: {error.strerror or error}; give another --out') from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)


if __name__ == '__main__':
  command.run(main)
