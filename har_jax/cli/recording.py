"""Flags that say how to read a user's own recording."""

import sys
from collections.abc import Callable
from typing import Any

from absl import flags

from har_jax.cli import command
from har_jax.errors import UserError


def define_recording(
  values: flags.FlagValues,
  without_labels: str = '<recording>.labels.csv, or a label column of the recording',
) -> Callable[[], tuple[str, dict[str, Any]]]:
  """Defines --recording and the flags around it; returns a function that checks them.

  It returns the path, and the other arguments of `recognize` and `adapt`, which print what is inferred.
  without_labels: what is done by default.
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
    'labels': define(
      'labels',
      None,
      f'labels of the recording: CSV with columns start, end, activity (default: {without_labels})',
    ),
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
    'frame': define(
      'frame',
      'auto',
      'axes and signs of the recording. auto: compare with what the model was trained on, correct what is '
      'certain, and warn of the rest. as_is: change nothing. flip: acceleration of the opposite sign. '
      '-x,-y,z: measured axes that stand for x, y, z; angular velocity follows. y,x,z,y,x,z: each '
      "sensor's own",
    ),
  }

  def read() -> tuple[str, dict[str, Any]]:
    if recording.value is None:
      raise UserError('--recording= what the app exported: a file, a zip or a folder')
    pairs = [entry.partition('=') for entry in columns.value]
    if wrong := [''.join(pair) for pair in pairs if not (pair[0] and pair[2])]:
      raise UserError(f'--columns={wrong[0]}: give role=column, such as time=timestamp,ax=acc_1')
    roles = {role.strip(): column for role, _, column in pairs}
    values = {name: option.value for name, option in options.items()}
    return recording.value, {'columns': roles, 'tell': Printer(), **values}

  return read


class Printer:
  """Prints sentences on a recording as they come: notes on stdout, warnings on stderr."""

  def __init__(self) -> None:
    self._has_title = False

  def __call__(self, kind: str, sentence: str) -> None:
    sentence = command.with_dashes(sentence)
    if kind == 'warning':
      print(f'warning: {sentence}', file=sys.stderr, flush=True)
      return
    if not self._has_title:
      print('Inferred from the recording; flags override it:')
      self._has_title = True
    print(f'  {sentence}', flush=True)
