"""Tells what was done when: python launch/predict.py --recording=day.csv --adapter=my_adapter --out=day."""

import dataclasses
import importlib.util
import sys
from typing import Any

from absl import flags

from har_jax.cli import command, recording
from har_jax.errors import UserError

_read = recording.define_recording()
_ADAPTER = flags.DEFINE_string('adapter', None, "folder of launch/adapt.py, or a run's seed<k>.json")
_BASE = flags.DEFINE_string('base', None, 'folder of its base, where that lies elsewhere')
_LABELS = flags.DEFINE_string(
  'labels', None, 'CSV of start, end, activity to score the answers by; labels are heeded in no other way'
)
_OUT = flags.DEFINE_string(
  'out', 'timeline', 'folder or bucket for windows.csv, bouts.csv, summary.json and timeline.svg'
)
_UNKNOWN_BELOW = flags.DEFINE_float(
  'unknown_below', 0.0, 'confidence, calibrated where the adapter is, below which the answer is unknown'
)
_SMOOTH_S = flags.DEFINE_float(
  'smooth_s', 10.0, 'bouts: probabilities are averaged over so many seconds; 0 for each window alone'
)
_NOT_WORN_MIN = flags.DEFINE_float(
  'not_worn_min', 30.0, 'a device that lies still for so many minutes is not worn; 0 for never'
)
_SHIFTS = flags.DEFINE_integer(
  'shifts',
  None,
  'each window is looked at so many times, moved on by parts of a token; 4 help with people whom the adapter never saw, for four times the time; '
  'as the adapter was made if not given',
  lower_bound=1,
)
_PROGRESS = flags.DEFINE_bool('progress', True, 'show a progress bar')


def main() -> None:
  try:
    _predict()
  except KeyboardInterrupt:
    print('interrupted; nothing was written', file=sys.stderr)
    sys.exit(130)


def _predict() -> None:
  if _ADAPTER.value is None:
    raise UserError('--adapter= a folder that launch/adapt.py made')
  from har_jax import storage
  from har_jax.inference import timeline
  from har_jax.inference.recognizer import Recognizer

  rules = timeline.Rules(_SMOOTH_S.value, _UNKNOWN_BELOW.value, _NOT_WORN_MIN.value)
  out = storage.place(_OUT.value)
  recognizer = Recognizer.load(_ADAPTER.value, _BASE.value)
  if not hasattr(recognizer, 'adapter_'):
    raise UserError(
      f'--adapter={_ADAPTER.value} is a base, which knows no activity: adapt it with launch/adapt.py'
    )
  recognizer.set_params(tta_shifts=_SHIFTS.value or recognizer.tta_shifts)
  reading = _read(_LABELS.value)
  from har_jax.data import user_recordings as recordings

  labeled = reading.recordings
  # Whatever labels it has are not looked at, nor whether they are enough.
  reading = dataclasses.replace(
    reading, recordings=[dataclasses.replace(each, spans=()) for each in reading.recordings]
  )
  recording.warn(reading.warnings + recordings.check(reading) + timeline.warnings_for(recognizer, reading))
  predictions = timeline.predict(recognizer, reading, progress=_PROGRESS.value)
  bouts = timeline.find_bouts(predictions, rules)
  scored = None
  if _LABELS.value is not None:
    scored = timeline.score(predictions, labeled, unknown_below=rules.unknown_below)
  told = timeline.write(out, predictions, bouts, rules, reading, recognizer.adapter_.card, scored)
  _tell(told)
  if scored is not None:
    _tell_score(scored)
  if importlib.util.find_spec('matplotlib') is None:
    print('no timeline.svg: pip install matplotlib draws it', file=sys.stderr)
  print(out / 'summary.json')


def _tell(told: dict[str, Any]) -> None:
  from tabulate import tabulate

  rows = [
    *told['minutes'].items(),
    ('unknown', told['unknown_minutes']),
    ('not worn', told['not_worn_minutes']),
    ('no signal', told['gap_minutes']),
    ('recorded', told['recorded_minutes']),
  ]
  print(tabulate(rows, headers=('', 'minutes'), floatfmt='.1f'))
  print(f'{told["bouts"]} bouts: {told["rules"]}.')


def _tell_score(scored: Any) -> None:
  from tabulate import tabulate

  rows = [(name, *row) for name, row in zip(scored.names, scored.confusion, strict=True) if sum(row)]
  print('Windows within one label, by what was done (rows) and what was answered:')
  print(tabulate(rows, headers=('', *scored.names)))
  print(f'Macro-F1 {scored.macro_f1:.3f}, accuracy {scored.accuracy:.3f}, {scored.windows} windows.')


if __name__ == '__main__':
  command.run(main)
