"""SensorLog (iOS): one CSV with Core Motion's names and signs, in g."""

import dataclasses

from har_jax.errors import UserError
from har_jax.recordings import tables
from har_jax.recordings.files import Files
from har_jax.recordings.formats.export import Export, export_single
from har_jax.recordings.opening import is_table, open_table
from har_jax.recordings.tables import Axes

APP = 'SensorLog'
COLUMNS = 'loggingTime(txt), motionUserAccelerationX(G), motionGravityX(G), motionRotationRateX(rad/s)'
_NO_LABEL = '0'  # of label(N), which counts the taps on the app's button


def find(files: Files) -> list[Export]:
  """Raises UserError where acceleration is there without gravity only."""
  if files.single is None or not is_table(files.single):
    return []
  table = open_table(files.single)
  if not any(name.lower().startswith(('loggingtime', 'motionuseracceleration')) for name in table.names):
    return []
  axes = {}
  if (raw := table.xyz('accelerometerAcceleration', '(G)')) is not None:
    axes['acc'] = Axes(raw, 'g', is_flipped=True)
  elif (user := table.xyz('motionUserAcceleration', '(G)')) is not None:
    gravity = table.xyz('motionGravity', '(G)')
    if gravity is None:
      raise UserError(f'{table.path} has acceleration without gravity only: log the gravity of motion, too')
    axes = {'acc': Axes(user, 'g', is_linear=True, is_flipped=True), 'gravity': Axes(gravity, 'g')}
  for prefix in ('motionRotationRate', 'gyroRotation'):
    if 'gyro' not in axes and (gyro := table.xyz(prefix, '(rad/s)')) is not None:
      axes['gyro'] = Axes(gyro, 'rad/s')
  if 'acc' not in axes:
    raise UserError(f'{table.path} has no acceleration; its columns are {table.listed()}: log it, too')
  # The time of logging has the date; others count from the device's start.
  time = table.index(
    'loggingTime(txt)', 'motionTimestamp_sinceReboot(s)', 'accelerometerTimestamp_sinceReboot(s)'
  )
  table = dataclasses.replace(table, axes=axes, time=time)
  notes = []
  if (label := table.index('label(N)')) is not None:
    labels = tables.map_column(
      table, label, lambda cells: cells.where(~cells.str.strip().isin((_NO_LABEL, f'{_NO_LABEL}.0')))
    )
    table = dataclasses.replace(labels, label=label)
    notes.append('label(N) is read as labels; 0 is no label.')
  return export_single(files, table, APP, notes=tuple(notes))
