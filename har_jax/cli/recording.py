"""Flags that say how to read a user's own recording."""

import sys
from collections.abc import Callable
from typing import Any

from absl import flags

from har_jax.cli import command
from har_jax.errors import UserError


def define_recording(values: flags.FlagValues) -> Callable[..., Any]:
  """Defines --recording and the flags around it; returns a function that reads it.

  That function takes the path of the labels, or None, and prints what was inferred: columns, units, clock.
  """
  define = command.definer(values)
  recording = define(
    'recording', None, 'what the app exported: a file, a zip or a folder (docs/formats.md lists the formats)'
  )
  columns = define(
    'columns',
    [],
    'names of columns that are not inferred, as role=column; roles: time, ax, ay, az, gx, gy, gz, label',
  )
  options = {
    'acc_unit': define('acc_unit', 'auto', 'unit of acceleration: auto, m/s2, g or mg'),
    'gyro_unit': define('gyro_unit', 'auto', 'unit of angular velocity: auto, rad/s or deg/s'),
    'time_unit': define('time_unit', 'auto', 'unit of time: auto, s, ms, us, ns or iso'),
    'rate_hz': define('rate_hz', None, 'sampling rate of a recording without a time column', kind=float),
    'time_zone': define(
      'time_zone',
      '',
      'time zone of times that do not say it, and of the timeline, such as Europe/Berlin (default: that of '
      'the export, or UTC)',
    ),
  }

  def read(labels: str | None = None) -> Any:
    if recording.value is None:
      raise UserError('--recording= what the app exported: a file, a zip or a folder')
    pairs = [entry.partition('=') for entry in columns.value]
    if wrong := [''.join(pair) for pair in pairs if not (pair[0] and pair[2])]:
      raise UserError(f'--columns={wrong[0]}: give role=column, such as time=timestamp,ax=acc_1')
    from har_jax import recordings  # imports pandas

    roles = {role.strip(): column for role, _, column in pairs}
    values = {name: option.value for name, option in options.items()}
    reading = recordings.read(recording.value, labels=labels, columns=roles, **values)
    print('Inferred from the recording; flags override it:')
    for note in reading.notes:
      print(f'  {note}')
    sys.stdout.flush()
    return reading

  return read


def define_frame(values: flags.FlagValues) -> Callable[[Any, Any], tuple[Any, list[dict[str, Any]]]]:
  """Defines --frame; returns a function that checks a reading and puts it right before it is used.

  That function takes the recognizer and the reading. It prints what it changed, and returns the reading and
  the entries of a summary.
  """
  define = command.definer(values)
  frame = define(
    'frame',
    'auto',
    'axes and signs of the recording. auto: compare with what the model was trained on, correct what is '
    'certain, and warn of the rest. as_is: change nothing. flip: acceleration of the opposite sign. -x,-y,z: '
    "measured axes that stand for x, y, z; angular velocity follows. y,x,z,y,x,z: each sensor's own",
  )

  def correct(recognizer: Any, reading: Any) -> tuple[Any, list[dict[str, Any]]]:
    from har_jax.timeline import rate_check

    changed, findings = rate_check.check(recognizer.signals, reading, frame.value, recognizer.windowing)
    for note in changed.notes[len(reading.notes) :]:
      print(f'  {note}')
    sys.stdout.flush()
    return changed, [{'file': name, **finding.to_json()} for name, finding in findings.items()]

  return correct


def warn(sentences: list[str]) -> None:
  """Warnings about a recording, on stderr."""
  for sentence in sentences:
    print(f'warning: {sentence}', file=sys.stderr, flush=True)
