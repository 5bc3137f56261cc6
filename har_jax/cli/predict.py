"""Predict the activities of a recording: a timeline of bouts, and minutes per activity.

har-jax predict day.csv --out=answers
har-jax predict day.csv --adapter=my_adapter --out=answers
"""

import dataclasses
from typing import Any

from har_jax import config
from har_jax.cli import command, outputs, recording
from har_jax.cli.command import HELP
from har_jax.errors import shorten

POSITIONAL = ('recording',)
COMMON = 'recording adapter labels out unknown_below mean_bout_s columns frame time_zone overwrite'
FLAGS = command.new_flags(with_json=True)
_define = command.definer(FLAGS)
_read = recording.define_recording(FLAGS)
_correct = recording.define_frame(FLAGS)
_load = outputs.define_recognizer(FLAGS)
_LABELS = _define(
  'labels', None, f'{HELP["labels"]} (default: no score; labels never change the predictions)'
)
_OUT = _define(
  'out', 'timeline', 'folder or bucket for windows.csv, bouts.csv, summary.json and timeline.svg'
)
_check_out = outputs.define_overwrite(FLAGS)
_UNKNOWN_BELOW = _define('unknown_below', 0.0, 'predict `unknown` where the confidence is below this')
_MEAN_BOUT_S = _define(
  'mean_bout_s',
  5.0,
  'bouts: mean time between changes, for a hidden Markov model over windows; 0: each window alone',
)
_NOT_WORN_MIN = _define('not_worn_min', 30.0, 'a device at rest for so many minutes is not worn; 0: never')
_TTA_SHIFTS = _define(
  'tta_shifts',
  None,
  f"{config.Protocol.help_text('tta_shifts')} (default: the adapter's)",
  kind=int,
  lower_bound=1,
)
_PROGRESS = _define('progress', True)


def main() -> dict[str, Any]:
  from har_jax import storage, timeline

  rules = timeline.Rules(_MEAN_BOUT_S.value, _UNKNOWN_BELOW.value, _NOT_WORN_MIN.value)
  out = storage.place(_OUT.value)
  _check_out(out)
  path = FLAGS['adapter'].value
  folder, routed = storage.place(path or ''), None
  if path and (folder / 'continual.json').exists() and not (folder / 'adapter.json').exists():
    from har_jax.continual import routing

    routed = routing.Routed(folder)  # a run with --strategy=router, which has an adapter for each domain
  recognizer = _load(None if routed is None else routed.first)
  if path is None:
    _print_trust(recognizer)
  reading, frame = _correct(recognizer, _read(_LABELS.value))
  if routed is not None:
    folder, domain = routed.nearest(recognizer, reading)
    print(f'The features of this recording are nearest to those of {domain}: its adapter {folder} answers.')
    recognizer = _load(folder)
  recognizer.set_params(tta_shifts=_TTA_SHIFTS.value or recognizer.tta_shifts)
  from har_jax import recordings

  labeled = reading.recordings
  # Without labels: they must not change predictions, and too few of them are no reason to warn.
  reading = dataclasses.replace(
    reading, recordings=[dataclasses.replace(part, spans=()) for part in reading.recordings]
  )
  doubts = recordings.check(reading, recognizer.windowing) + timeline.warnings_for(recognizer, reading)
  recording.warn(reading.warnings + doubts)
  predictions = timeline.predict(recognizer, reading, progress=_PROGRESS.value)
  recording.warn(predictions.warnings)
  reading.warnings.extend(predictions.warnings)
  bouts = timeline.find_bouts(predictions, rules)
  scored = None
  if _LABELS.value is not None:
    if unknown := timeline.unknown_labels(predictions, labeled):
      recording.warn(
        [
          f'The model has no class {shorten(", ".join(unknown))}, so these labels count as errors. Its '
          f'classes are {", ".join(predictions.classes)}.'
        ]
      )
    scored = timeline.score(predictions, labeled, unknown_below=rules.unknown_below)
  adapter: dict[str, Any] = {'method': recognizer.adapter_.card.method, 'classes': list(predictions.classes)}
  adapter |= {'temperature': recognizer.temperature, 'checksum': recognizer.adapter_.card.checksum}
  adapter['ensemble'] = recognizer.ensemble_.weights if recognizer.ensemble else None
  summary = timeline.write(out, predictions, bouts, rules, reading, adapter, scored, frame)
  _print_summary(summary)
  if scored is not None:
    _print_score(scored)
  print(out / 'summary.json')
  return {'out': out, **summary}


def _print_trust(recognizer: Any) -> None:
  """Prints how well the bundled base does on people that it was not trained on."""
  if measured := recognizer.base_.card.pretraining.get('head_validation_macro_f1'):
    print(
      f'Macro-F1 {measured:.3f} on people held out from its datasets. Expect less with another device, or '
      'worn otherwise. `har-jax adapt` with ten labeled windows of each activity does better.'
    )


def _print_summary(summary: dict[str, Any]) -> None:
  from tabulate import tabulate

  rows = [
    *summary['minutes'].items(),
    *([] if 'unknown' in summary['minutes'] else [('unknown', summary['unknown_minutes'])]),
    ('not worn', summary['not_worn_minutes']),
    ('no signal', summary['gap_minutes']),
    ('recorded', summary['recorded_minutes']),
  ]
  print(tabulate(rows, headers=('', 'minutes'), floatfmt='.1f'))
  print(f'{summary["bouts"]} bouts: {summary["rules"]}.')
  if summary['compared_with_walking']:
    print('Each window was compared with the walking in this recording.')
  elif summary['compared_with_walking'] is not None:
    print(
      'Hardly any walking was found, so each window was answered alone. Some walking makes answers better.'
    )


def _print_score(scored: Any) -> None:
  from tabulate import tabulate

  rows = [(name, *row) for name, row in zip(scored.names, scored.confusion, strict=True) if sum(row)]
  print('Confusion matrix, rows: labels, columns: predictions; windows within one label only:')
  print(tabulate(rows, headers=('', *scored.names)))
  print(f'Macro-F1 {scored.macro_f1:.3f}, accuracy {scored.accuracy:.3f}, {scored.windows} windows.')
