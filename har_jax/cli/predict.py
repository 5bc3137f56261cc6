"""Predict the activities of a recording: a timeline of bouts, and minutes per activity.

har-jax predict day.csv --out=answers
har-jax predict day.csv --adapter=my_adapter --out=answers
"""

from typing import Any

from har_jax.cli import command, user_files
from har_jax.errors import counted, shorten

POSITIONAL = ('recording',)
COMMON = 'recording adapter labels activities second out unknown_below columns frame overwrite'
FLAGS, _define = command.new_flags(with_json=True)
_read = user_files.define_recording(FLAGS, 'no score; labels never change the predictions')
_adapter = user_files.define_adapter(FLAGS)
_options = command.define_table(
  FLAGS,
  activities=(
    [],
    'activities that answers may have, such as walking,running,still=sitting+standing: the last two count as '
    'one (default: all)',
  ),
  second=(
    None,
    'recording of another device that the same person wore: both are answered together. Flags of columns, '
    'units and axes are of both',
  ),
  second_adapter=(
    None,
    'folder of an adapter of the second device, of the same activities (default: --adapter)',
  ),
  unknown_below=(0.0, 'predict `unknown` where the confidence is below this'),
  refusal_rate=(
    0.0,
    'predict `unknown` where a window is unlike all activities of the adapter. Of windows of these '
    'activities, this fraction, such as 0.05, is refused, too; 0: none',
  ),
  mean_bout_s=(
    5.0,
    'bouts: mean time between changes, for a hidden Markov model over windows; 0: each window alone',
  ),
  not_worn_min=(30.0,),
  progress=(True,),
)
_OUT = _define(
  'out', 'timeline', 'folder or bucket for windows.csv, bouts.csv, summary.json and timeline.svg'
)
_OVERWRITE = _define('overwrite', False)


def main() -> dict[str, object]:
  from har_jax import storage, timeline
  from har_jax.recognizer.recognizer import Recognizer

  out = storage.place(_OUT.value)
  storage.refuse_used(out, overwrite=_OVERWRITE.value)
  adapter: Any
  adapter, base = _adapter()
  source, options = _read()
  if adapter is None and base is None:
    adapter = Recognizer.load()
    print(f'No --adapter: the bundled base recognizes {", ".join(adapter.classes_)}.')
    if measured := adapter.base_.card.pretraining.get('head_validation_macro_f1'):
      print(
        f'Macro-F1 {measured:.3f} on people held out from its datasets. Expect less with another device, or '
        'worn otherwise. `har-jax adapt` with ten labeled windows of each activity does better.'
      )
  answers = timeline.recognize(source, adapter, base=base, **_options(), **options)
  answers.save(out, overwrite=_OVERWRITE.value)
  _print_summary(answers)
  if answers.score is not None:
    _print_score(answers.score)
  print(out / 'summary.json')
  return {'out': out, **answers.summary}


def _print_summary(answers: Any) -> None:
  from tabulate import tabulate

  from har_jax.timeline import movement

  summary = answers.summary
  # An adapter of others may have any names.
  minutes = answers.minutes['minutes'].rename(shorten)
  rows = [*minutes.items(), ('recorded', summary['recorded_minutes'])]
  print(tabulate(rows, headers=('', 'minutes'), floatfmt='.1f'))
  print(f'{counted(summary["bouts"], "bout")}: {summary["rules"]}.')
  for sentence in movement.sentences(summary['movement']):
    print(sentence)
  if len(summary['days']) > 1:
    print(tabulate(answers.days.rename(columns=shorten), headers='keys', floatfmt='.1f'))
  if summary['compared_with_walking']:
    print('Each window was compared with the walking in this recording.')
  elif summary['compared_with_walking'] is not None:
    print(
      'Hardly any walking was found, so each window was answered alone. Some walking makes answers better.'
    )


def _print_score(scored: Any) -> None:
  import pandas as pd
  from tabulate import tabulate

  table = pd.DataFrame(scored.confusion, scored.names, scored.names)
  table = table[table.sum(axis=1) > 0]
  others = table.drop(columns=table.index)
  table = table[table.index]
  if len(others.columns):
    table = pd.concat([table, others.sum(axis=1).rename('others')], axis=1)
  print('Confusion matrix, rows: labels, columns: predictions; windows within one label only:')
  print(tabulate(table, headers=('', *table.columns)))
  print(
    f'Macro-F1 {scored.macro_f1:.3f}, accuracy {scored.accuracy:.3f}, {counted(scored.windows, "window")}.'
  )
