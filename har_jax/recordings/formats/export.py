"""One recording as an app exported it: its tables by sensor, and what the app says of them."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from har_jax.recordings.files import Files
from har_jax.recordings.labels import Labels
from har_jax.recordings.tables import Table


@dataclasses.dataclass(frozen=True)
class Export:
  """`tables`: by the sensor that a table holds alone ('acc', 'gyro', 'gravity'), or '' for all."""

  name: str
  tables: Mapping[str, Table]
  app: str
  # Names of its files and their folder, by which a column of labels may name it.
  files: frozenset[str] = frozenset()
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
