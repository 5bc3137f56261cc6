"""Research devices: Axivity (.cwa) and GENEActiv (.bin) through scikit-digital-health."""

import pathlib
import warnings
from typing import Any

from har_jax.errors import UserError, require
from har_jax.recordings import tables
from har_jax.recordings.files import File, Files
from har_jax.recordings.formats.export import Export, export_single
from har_jax.recordings.tables import Axes, NoRecording, Table, border

AXIVITY, GENEACTIV = '.cwa', '.bin'
# How a file of the device begins: its library reads any bytes.
_MAGIC = {AXIVITY: b'MD', GENEACTIV: b'Device Identity'}
_READERS = {AXIVITY: 'ReadCwa', GENEACTIV: 'ReadBin'}
_MAKERS = {AXIVITY: 'Axivity', GENEACTIV: 'GENEActiv'}


def find(files: Files) -> list[Export]:
  """Raises UserError: a missing library, a damaged file."""
  file = files.single
  if file is None or file.suffix not in _READERS:
    return []
  return export_single(files, _table(file), _MAKERS[file.suffix])


def _table(file: File) -> Table:
  maker = _MAKERS[file.suffix]
  with border(file.path), file.open() as opened:
    magic = opened.read(len(_MAGIC[file.suffix]))
  if magic != _MAGIC[file.suffix]:
    raise NoRecording(
      f'{file.path} is no recording of {maker}: it does not begin with {_MAGIC[file.suffix].decode()}'
    )
  if not file.path.is_file():
    raise UserError(f'{file.path} lies in a zip: extract it first')
  with border(file.path, f'recording of {maker}', (Exception,)):
    read = _read(file.path, _READERS[file.suffix])
  import pandas as pd

  # Such a device keeps local time, without saying where.
  columns = {'time': pd.to_datetime(pd.Series(read['time']), unit='s')}
  columns |= {f'acceleration {axis} (g)': read['accel'][:, i] for i, axis in enumerate('xyz')}
  axes = {'acc': Axes((1, 2, 3), 'g')}
  if 'gyro' in read:
    columns |= {f'rotation {axis} (deg/s)': read['gyro'][:, i] for i, axis in enumerate('xyz')}
    axes['gyro'] = Axes((4, 5, 6), 'deg/s')
  return tables.make_table(file.path, pd.DataFrame(columns), axes=axes, time=0)


def _read(path: pathlib.Path, reader: str) -> dict[str, Any]:
  install = (
    "pip install 'har_jax[devices]'; or export it from the maker's program as CSV with time, x, y and z"
  )
  require('skdh', f'{path} needs scikit-digital-health: {install}')
  import skdh.io

  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # that the time zone is unknown
    return getattr(skdh.io, reader)().predict(file=str(path))
