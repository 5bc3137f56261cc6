"""Physics Toolbox Sensor Suite: one CSV; acceleration in g with gravity (gFx), in m/s² without (ax, aT)."""

from har_jax.errors import UserError
from har_jax.recordings.files import Files
from har_jax.recordings.formats.export import Export, export_single
from har_jax.recordings.opening import is_table, open_table

APP = 'Physics Toolbox'
COLUMNS = 'time, gFx, gFy, gFz, TgF, wx, wy, wz'


def find(files: Files) -> list[Export]:
  """Separators, comments and clock are those of any text. Raises UserError for its linear acceleration."""
  if files.single is None or not is_table(files.single):
    return []
  table = open_table(files.single)
  if table.xyz('gF') is not None:
    return export_single(files, table, APP)
  if table.xyz('a') is not None and table.index('aT', 'aTotal') is not None:
    raise UserError(
      f"{table.path} holds {APP}'s linear accelerometer (ax, ay, az, aT), which is without gravity: record "
      'its G-Force Meter instead'
    )
  return []
