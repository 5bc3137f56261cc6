"""Flags that say how a user's own recording is to be read, for the scripts that read one."""

import sys
from collections.abc import Callable
from typing import Any

from absl import flags

from har_jax.errors import UserError

flags.disclaim_key_flags()  # they belong to the script that asks for them, and to its --help


def define_recording() -> Callable[..., Any]:
  """Defines --recording and what it may need; returns what reads it, given a path of labels or None, and says aloud how.

  What was guessed goes to stdout, what is to be looked at to stderr.
  """
  recording = flags.DEFINE_string(
    'recording',
    None,
    'CSV or Parquet file, or a folder of them: time, acceleration with gravity, rotation if there is',
  )
  columns = flags.DEFINE_list(
    'columns', [], 'ours=theirs, where names are not guessed: time, ax, ay, az, gx, gy, gz, label'
  )
  acc_unit = flags.DEFINE_string('acc_unit', 'auto', 'of acceleration: auto, m/s2, g or mg')
  gyro_unit = flags.DEFINE_string('gyro_unit', 'auto', 'of rotation: auto, rad/s or deg/s')
  time_unit = flags.DEFINE_string('time_unit', 'auto', 'of time: auto, s, ms, us, ns or iso')
  rate_hz = flags.DEFINE_float('rate_hz', None, 'of rows without a time')

  def read(labels: str | None = None) -> Any:
    if recording.value is None:
      raise UserError('--recording= a CSV or Parquet file, or a folder of them')
    pairs = [entry.partition('=') for entry in columns.value]
    if wrong := [''.join(pair) for pair in pairs if not (pair[0] and pair[2])]:
      raise UserError(f'--columns={wrong[0]}: give ours=theirs, such as time=timestamp,ax=acc_1')
    from har_jax.data import user_recordings  # pandas takes a second: not for --help

    reading = user_recordings.read(
      recording.value,
      labels=labels,
      columns={ours.strip(): theirs for ours, _, theirs in pairs},
      acc_unit=acc_unit.value,
      gyro_unit=gyro_unit.value,
      time_unit=time_unit.value,
      rate_hz=rate_hz.value,
    )
    print('Guessed, unless you say otherwise:')
    for note in reading.notes:
      print(f'  {note}')
    sys.stdout.flush()
    return reading

  return read


def warn(sentences: list[str]) -> None:
  """What a user should look at."""
  for sentence in sentences:
    print(f'warning: {sentence}', file=sys.stderr, flush=True)
