"""One recording as an app exported it: its tables by sensor, and what the app says of them.   n samples."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int16, UInt8

from har_jax.recordings import tables
from har_jax.recordings.files import Files
from har_jax.recordings.labels import Labels
from har_jax.recordings.tables import Axes, Table


@dataclasses.dataclass(frozen=True)
class Export:
  """`tables`: by the sensor that a table holds alone ('acc', 'gyro', 'gravity'), or '' for all."""

  name: str
  tables: Mapping[str, Table]
  app: str
  files: frozenset[str] = frozenset()  # names of its files, by which a column of labels may name it
  folder: pathlib.Path | None = None  # where <name>.labels.csv may lie
  labels: Labels | None = None  # that the export holds
  activity: str = ''  # of the whole recording
  time_zone: str = ''
  notes: tuple[str, ...] = ()
  warnings: tuple[str, ...] = ()
  has_sure_signs: bool = False  # the export says which way acceleration is positive
  stem: str = ''  # of <stem>.labels.csv, if that is not its name

  @property
  def names(self) -> set[str]:
    return {self.name, *self.files}


@dataclasses.dataclass(frozen=True)
class Format:
  """`find` returns the recordings among files that belong together, or none if they are of another format."""

  app: str
  give: str  # what to give as a recording
  find: Callable[[Files], list[Export]]
  suffixes: tuple[str, ...] = ()  # besides those of tables
  columns: str = ''  # typical ones, by which the nearest format is found


def export_single(files: Files, table: Table, app: str, **entries: Any) -> list[Export]:
  """The recording of one file that holds everything."""
  assert files.single is not None
  return [
    Export(files.name, {'': table}, app, frozenset((files.single.name,)), files.single.folder, **entries)
  ]


def export_device(
  files: Files,
  maker: str,
  time_s: Float[np.ndarray, 'n'],
  acc_g: Float[np.ndarray, 'n 3'],
  gyro_deg_s: Float[np.ndarray, 'n 3'] | None,
  warnings: Sequence[str],
) -> list[Export]:
  """The recording of a research device. Its clock keeps local time, from 1970, without saying where."""
  assert files.single is not None
  import pandas as pd

  columns: dict[str, Any] = {'time': pd.to_datetime(pd.Series(time_s), unit='s')}
  columns |= {f'acceleration {axis} (g)': acc_g[:, i] for i, axis in enumerate('xyz')}
  axes = {'acc': Axes((1, 2, 3), 'g')}
  if gyro_deg_s is not None:
    columns |= {f'rotation {axis} (deg/s)': gyro_deg_s[:, i] for i, axis in enumerate('xyz')}
    axes['gyro'] = Axes((4, 5, 6), 'deg/s')
  table = tables.make_table(files.single.path, pd.DataFrame(columns), axes=axes, time=0)
  return export_single(files, table, maker, warnings=tuple(warnings))


def unpack_12_bits(octets: UInt8[np.ndarray, 'b'], axes: int) -> Int16[np.ndarray, 'n axes']:
  """Samples of numbers with a sign, two in three bytes. Bytes that fill no sample are left out."""
  triples = np.pad(octets, (0, -len(octets) % 3)).reshape(-1, 3).astype(np.int16)
  first = triples[:, 0] << 4 | triples[:, 1] >> 4
  second = (triples[:, 1] & 15) << 8 | triples[:, 2]
  both = np.stack([first, second], axis=1).ravel()[: len(octets) * 2 // 3 // axes * axes]
  return ((both ^ 0x800) - 0x800).reshape(-1, axes)
