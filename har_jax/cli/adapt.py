"""Adapt a pretrained model to your own labeled recording.

har-jax adapt my.csv labels.csv --out=my_adapter
har-jax adapt my.csv labels.csv --method=qlora
har-jax adapt my.csv --suggest=20 --out=to_label
"""

import pathlib
from typing import TYPE_CHECKING

from har_jax.cli import command, user_files
from har_jax.cli.command import HELP
from har_jax.errors import UserError, advice, counted, shorten
from har_jax.recognizer.parameters import Parameters

if TYPE_CHECKING:
  from har_jax.timeline import Adapted

POSITIONAL = ('recording', 'labels')
COMMON = 'recording labels out suggest base method max_minutes time_zone overwrite'
FLAGS, _define = command.new_flags(with_json=True)
# What an adapter's folder holds; --overwrite deletes nothing else.
_OURS = ('adapter.json', 'adapter.safetensors', 'base.json', 'base.safetensors')
_read = user_files.define_recording(FLAGS)
_BASE = _define('base', None, f'{HELP["base"]} (default: the bundled base)')
_OUT = _define('out', 'adapter', 'new folder for the adapter and its base, or for the suggestions')
_OVERWRITE = _define('overwrite', False)
_parameters = command.define_fields(FLAGS, Parameters)
_VALIDATION_FRACTION = _define(
  'validation_fraction',
  0.2,
  'fraction of each activity, its last part, to validate and calibrate on; 0: none; more than elsewhere, '
  'since one recording has few windows',
)
_PROGRESS = _define('progress', True)
_SUGGEST = _define(
  'suggest',
  None,
  'train nothing: write so many stretches of the recording that are most worth a label to suggestions.csv, '
  'and mark them in timeline.svg. Fill in their activities, and give the table as --labels',
  kind=int,
  lower_bound=1,
)


def main() -> dict[str, object]:
  from har_jax import storage

  out = pathlib.Path(_OUT.value)
  storage.refuse_used(out, overwrite=_OVERWRITE.value)
  foreign = sorted(path.name for path in out.iterdir() if path.name not in _OURS) if out.is_dir() else []
  if _SUGGEST.value is None and foreign:  # refused now, not after training
    raise UserError(f'--out={out} holds {shorten(foreign[0])}, which is of no adapter: give another folder')
  user_files.check_given('base', _BASE.value)
  source, options = _read()
  from har_jax import records, replacing, timeline

  if _SUGGEST.value is not None:
    return _suggest(source, options, out)
  print(
    'Compiling and training the adapter, then fitting the baselines that it is compared with. Of these, '
    'rocket is compiled at its first fit on a machine, for a minute or two.',
    flush=True,
  )
  adapted = timeline.adapt(
    source,
    base=_BASE.value,
    validation_fraction=_VALIDATION_FRACTION.value,
    progress=_PROGRESS.value,
    **options,
    **_parameters(),
  )
  overlapping = adapted.left_out.pop(timeline.OVERLAPPING)
  for reason, count in adapted.left_out.items():
    print(f'Left out: {reason} ({count}).')
  recognizer, card = adapted.recognizer, adapted.recognizer.adapter_.card
  if recognizer.plan_ is not None:
    for missed in recognizer.plan_.passed_over:
      print(f'Too much for the limits: {missed}.')
    print(f'Chosen: {recognizer.plan_}.')
    print(f'It took {recognizer.plan_.actual}.')
  if adapted.comparison is not None:
    _print_validation(adapted, overlapping)
  else:
    _print_counts(adapted)
  storage.refuse_used(out, overwrite=_OVERWRITE.value)  # another command may have written it meanwhile
  try:
    with replacing.folder(out, _OURS) as partial:  # base and adapter, both or neither
      recognizer.save(partial)
  except OSError as error:
    raise UserError(f'cannot write {out}: {error.strerror or error}; {advice(error)}') from error
  print(out / 'adapter.json')
  entries = records.to_json(card)
  return {'out': out} | {name: entries[name] for name in ('classes', 'split', 'metrics')}


def _suggest(source, options, out: pathlib.Path) -> dict[str, object]:
  from har_jax import timeline

  suggestions = timeline.suggest(
    source, _SUGGEST.value, base=_BASE.value, progress=_PROGRESS.value, **options
  )
  suggestions.save(out, overwrite=_OVERWRITE.value)
  print('Write the activity of each stretch into the table, or delete its row; then adapt to it as --labels.')
  print(out / 'suggestions.csv')
  return {'out': out, 'stretches': len(suggestions.stretches)}


def _print_validation(adapted: 'Adapted', overlapping: int) -> None:
  from tabulate import tabulate

  table, score = adapted.validation, adapted.scores.iloc[0]
  print(tabulate(table, headers=('activity', *table.columns)))
  if few := table.index[table['validation'] == 0].tolist():
    print(f'Too few windows to validate: {", ".join(few)}; label at least 5 windows of an activity.')
  validated = counted(table['validation'].sum(), 'window')
  print(
    f'Validation on {validated}, the last {_VALIDATION_FRACTION.value:.0%} of each '
    f'activity: macro-F1 {score["macro_f1"]:.3f}, accuracy {score["accuracy"]:.3f}. '
    f'Left out, since they overlap: {counted(overlapping, "window")}.'
  )
  print(
    'They are of files without a window to train on: expect less on another device, or worn otherwise.'
    if adapted.are_files_apart
    else 'They come from the same recordings: expect less on another day, and less on another person.'
  )
  comparison, calibration = adapted.comparison, adapted.calibration
  assert comparison is not None
  assert calibration is not None
  headers = ('model', 'macro-F1', 'accuracy', 'seconds')
  print('The same windows, by models that were fitted to the same training windows:')
  print(tabulate(adapted.scores, headers=headers, floatfmt=('', '.3f', '.3f', '.1f')))
  print(*map(command.with_dashes, comparison.sentences), sep='\n')
  before, after = calibration.confidence
  print(
    f'Temperature {calibration.temperature:.2f}, fitted to these {calibration.windows} windows, and '
    f'closer to what is usual if they are few: mean confidence {before:.3f} before and {after:.3f} after, '
    f'accuracy {calibration.accuracy:.3f}.'
  )
  from har_jax.recognizer import prediction_sets  # late: --help needs no NumPy

  sentence = prediction_sets.shortage(adapted.recognizer.set_scores, prediction_sets.COVERAGE)
  print(sentence or 'Sets of possible activities: column `set` of `har-jax predict`.')
  if adapted.recognizer.adapter_.is_fitted_at_once:
    windows = table[['training', 'validation']].to_numpy().sum() + overlapping
    part = 'output layer' if adapted.recognizer.adapter_.baseline is None else 'baseline'
    print(f'After that, the {part} was fitted anew, to all {windows} labeled windows: test it on others.')


def _print_counts(adapted: 'Adapted') -> None:
  from tabulate import tabulate

  print(tabulate(adapted.validation[['training']], headers=('activity', 'training')))
  print(
    'No validation, no calibration and no baselines to compare with: --validation_fraction=0, or fewer '
    'than two activities have 5 windows. '
    'Confidences are what is usual with so many labels.'
  )
