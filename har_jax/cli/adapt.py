"""Adapt a pretrained model to your own labeled recording.

har-jax adapt my.csv labels.csv --out=my_adapter
har-jax adapt my.csv labels.csv --method=qlora --noensemble
"""

import collections
import dataclasses
import pathlib
import time
from typing import Any

from har_jax.cli import command, outputs, recording
from har_jax.cli.command import HELP
from har_jax.errors import UserError, advice, shorten
from har_jax.recognizer.parameters import Parameters

POSITIONAL = ('recording', 'labels')
COMMON = 'recording labels out base method max_minutes ensemble use_unlabeled time_zone overwrite'
FLAGS = command.new_flags(with_json=True)
_define = command.definer(FLAGS)
# What an adapter's folder holds; --overwrite deletes nothing else.
_OURS = (
  *('adapter.json', 'adapter.safetensors', 'base.json', 'base.safetensors'),
  *('ensemble.json', 'ensemble.skops'),
)
_read = recording.define_recording(FLAGS)
_correct = recording.define_frame(FLAGS)
_LABELS = _define(
  'labels', None, f'{HELP["labels"]} (default: <recording>.labels.csv, or a label column of the recording)'
)
_BASE = _define('base', None, f'{HELP["base"]} (default: the bundled base)')
_OUT = _define('out', 'adapter', 'new folder for the adapter and its base')
_check_out = outputs.define_overwrite(FLAGS)
_parameters = command.define_fields(FLAGS, Parameters)
_VALIDATION_FRACTION = _define(
  'validation_fraction',
  0.2,
  'fraction of each activity, its last part, to validate and calibrate on; 0: none; more than elsewhere, '
  'since one recording has few windows',
)
_ENSEMBLE = _define(
  'ensemble',
  None,
  'predict by the weighted mean of the adapted encoder and the baselines forest and rocket (default: where '
  'the extra `baselines` is installed)',
  kind=bool,
)
_USE_UNLABELED = _define(
  'use_unlabeled',
  True,
  'self-training: train once more, also on confident pseudo-labels of the unlabeled rest of the recording. '
  'The result is kept if it recognizes the held-out windows at least as well',
)
_PROGRESS = _define('progress', True)


def main() -> dict[str, Any]:
  if not 0 <= _VALIDATION_FRACTION.value < 1:
    raise UserError(f'--validation_fraction={_VALIDATION_FRACTION.value}: give a number in [0, 1)')
  out = pathlib.Path(_OUT.value)
  _check_out(out)
  _check_replaceable(out)
  outputs.check_given('base', _BASE.value)
  reading = _read(_LABELS.value)
  from har_jax import recordings
  from har_jax.recognizer.recognizer import Recognizer
  from har_jax.timeline import rate_check

  pretrained = Recognizer.load(_BASE.value)
  if pretrained.base is None:
    raise UserError(f'--base={_BASE.value} was trained from scratch and has no base: give another folder')
  reading, _ = _correct(pretrained, reading)
  windowing = pretrained.windowing
  recording.warn(reading.warnings + recordings.check(reading, windowing))
  dropped: collections.Counter = collections.Counter()
  windows = recordings.to_windows(reading, windowing, dropped=dropped)
  activities = sorted({window.activity for window in windows})
  if len(activities) < 2:
    raise UserError(
      f'labeled windows of {len(activities)} activities ({", ".join(activities) or "none"}), two are needed: '
      f'label them for {windowing.seconds:g} s or more at a time, in a column of the recording or with '
      '--labels='
    )
  for reason, count in dropped.items():
    print(f'Left out: {count} {reason}.')
  import numpy as np

  from har_jax.datasets import splits
  from har_jax.recognizer import ensemble
  from har_jax.recognizer.calibration import calibrate

  held_out, overlapping = splits.hold_out_last(windows, _VALIDATION_FRACTION.value, windowing)
  signals = np.stack([window.signal for window in windows])[~overlapping]
  labels = np.array([window.activity for window in windows])[~overlapping]
  held_out = held_out[~overlapping]
  unlabeled = recordings.unlabeled_windows(reading, windowing) if _USE_UNLABELED.value else []
  is_ensemble = ensemble.is_installed() if _ENSEMBLE.value is None else _ENSEMBLE.value
  start_s = time.monotonic()
  options: dict[str, Any] = _parameters()
  recognizer = Recognizer(
    pretrained.base,
    alpha=2.0 * options['rank'],
    validation_fraction=_VALIDATION_FRACTION.value,
    ensemble=is_ensemble,
    verbose=_PROGRESS.value,
    **options,
  ).fit(
    signals,
    labels,
    held_out=held_out,
    unlabeled=np.stack([window.signal for window in unlabeled]) if unlabeled else None,
  )
  seconds = time.monotonic() - start_s
  if (summary := recognizer.adapter_.signals) is not None:
    summary = dataclasses.replace(summary, rates_hz=rate_check.rates_hz(reading))
    recognizer.adapter_ = recognizer.adapter_.with_card(signals=summary)
  if recognizer.plan_ is not None:
    _print_plan(recognizer.plan_)
  if unlabeled:
    _print_self_training(recognizer.adapter_.card.training.self_training)
  if held_out.any():
    predicted = recognizer.predict(signals[held_out])
    calibration = calibrate(recognizer, signals[held_out], labels[held_out])
    _print_validation(labels, held_out, predicted, int(overlapping.sum()))
    _compare(recognizer, signals, labels, held_out, seconds)
    before, after = calibration.confidence
    print(
      f'Temperature {calibration.temperature:.2f}, fitted to these windows: mean confidence {before:.3f} '
      f'before and {after:.3f} after, accuracy {calibration.accuracy:.3f}.'
    )
  else:
    _print_counts(labels)
  _save(recognizer, out)
  print(out / 'adapter.json')
  from har_jax import records

  entries = records.to_json(recognizer.adapter_.card)
  return {'out': out} | {name: entries[name] for name in ('classes', 'split', 'metrics')}


def _print_plan(plan) -> None:
  for missed in plan.passed_over:
    print(f'Too much for the limits: {missed}.')
  print(f'Chosen: {plan}.')
  print(f'It took {plan.actual}.')


def _print_validation(labels, held_out, predicted, overlapping: int) -> None:
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
  print(tabulate(rows, headers=('activity', 'training', 'validation', 'correct')))
  if few := [name for name, _, validated, _ in rows if not validated]:
    print(f'Too few windows to validate: {", ".join(few)}; label at least 5 windows of an activity.')
  print(
    f'Validation on {len(true)} windows, the last {_VALIDATION_FRACTION.value:.0%} of each activity: '
    f'macro-F1 {measured.macro_f1:.3f}, accuracy {measured.accuracy:.3f}. '
    f'{overlapping} windows that overlap them were left out.\n'
    'They come from the same recording: expect less on another day, and less on another person.'
  )


def _print_self_training(entry) -> None:
  text = f'Self-training with {entry.unlabeled_windows} unlabeled windows: '
  if entry.after is None:
    print(text + 'not validated.')
    return
  outcome = 'kept' if entry.kept else 'not kept, because it is lower'
  print(text + f'macro-F1 {entry.before:.3f} before, {entry.after:.3f} after; {outcome}.')


def _compare(recognizer, signals, labels, held_out, seconds: float) -> None:
  """Prints the recognizer and the baselines on the held-out windows, and adds their figures to the card."""
  from tabulate import tabulate

  from har_jax.recognizer import comparison

  adapted, baselines, missing = comparison.compare(recognizer, signals, labels, held_out, seconds)
  scores = [*adapted, *baselines]
  rows = [(score.model, score.macro_f1, score.accuracy, score.seconds) for score in scores]
  headers = ('model', 'macro-F1', 'accuracy', 'seconds')
  print('The same windows, by models that were fitted to the same training windows:')
  print(tabulate(rows, headers=headers, floatfmt=('', '.3f', '.3f', '.1f')))
  print(*missing, comparison.verdict(adapted[0], baselines), sep='\n')
  if not recognizer.ensemble and max(baseline.macro_f1 for baseline in baselines) > adapted[0].macro_f1:
    print('--ensemble averages the adapter and the baselines.')
  if recognizer.ensemble:
    weights = ', '.join(f'{name} {weight:.2f}' for name, weight in recognizer.ensemble_.weights.items())
    print(f'Weights of the ensemble, fitted to these windows: {weights}. Expect less on other windows.')
  recognizer.adapter_.card.metrics['comparison'] = comparison.as_metrics(scores)


def _print_counts(labels) -> None:
  import numpy as np
  from tabulate import tabulate

  print(tabulate(zip(*np.unique(labels, return_counts=True), strict=True), headers=('activity', 'training')))
  print(
    'No validation, no calibration and no baselines to compare with: --validation_fraction=0, or fewer '
    'than two activities have 5 windows. '
    'Expect overconfident predictions.'
  )


def _check_replaceable(out: pathlib.Path) -> None:
  """Raises UserError, before training, where the folder holds files of someone else."""
  if out.is_dir() and (foreign := sorted(path.name for path in out.iterdir() if path.name not in _OURS)):
    raise UserError(f'--out={out} holds {shorten(foreign[0])}, which is of no adapter: give another folder')


def _save(recognizer, out: pathlib.Path) -> None:
  """Writes base and adapter, both or neither; what an earlier run wrote is replaced."""
  from har_jax import replacing

  try:
    with replacing.folder(out, _OURS) as partial:
      recognizer.save(partial)
  except OSError as error:
    raise UserError(f'cannot write {out}: {error.strerror or error}; {advice(error)}') from error
