"""What studies share: flags, paths of table and page, rows that are measured once, the page's block."""

import collections
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from absl import flags
from jaxtyping import Int

from har_jax import runtime
from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.cli import command, report
from har_jax.config import Windowing
from har_jax.errors import UserError
from har_jax.recordings import Reading, to_windows
from har_jax.report import csv_table, markdown
from har_jax.signal.cutting import Window
from har_jax.signal.recording import Recording
from har_jax.timeline.activities import label_at

ROOT = pathlib.Path(__file__).parents[2]
Row = dict[str, Any]


def places(name: str) -> tuple[pathlib.Path, pathlib.Path]:
  """A study's table, and the page of its results."""
  return ROOT / 'results' / f'{name}.csv', ROOT / 'docs' / 'results' / f'{name}.md'


def new_flags() -> tuple[flags.FlagValues, Callable[..., flags.FlagHolder[Any]]]:
  """A study's flags, with --measure, and a function that defines one more."""
  values, define = command.new_flags()
  define('measure', True, 'measure, not only fill the page')
  return values, define


def run(name: str, measure: Callable[[], Any]) -> None:
  """Runs the study in the module `name` as a command: measures if --measure, and fills the page."""
  study: Any = sys.modules[name]

  def main() -> None:
    if study.FLAGS.measure:
      measure()
    fill(study.PAGE, pathlib.Path(study.__file__).stem, study.block())

  study.main = main
  sys.exit(command.run(study, sys.argv[1:]))


def write(table: pathlib.Path, rows: Iterable[Row]) -> None:
  csv_table.write(pd.DataFrame(rows).round(6), table)


def resume(
  table: pathlib.Path,
  cases: Iterable[Row],
  measure: Callable[[Row], Iterable[Row]],
  key: Iterable[str],
  types: Mapping[str, Any] | None = None,
) -> list[Row]:
  """Measures cases that the table lacks, and writes it after each; a case and a row have the same `key`."""
  rows = csv_table.read(table, types).to_dict('records') if table.exists() else []
  for case in cases:
    if not any(all(row[name] == case[name] for name in key) for row in rows):
      rows.extend(measure(case))
      write(table, rows)
      print(rows[-1], flush=True)
  return rows


def measure_kinds(
  kinds: Iterable[Any], seeds: Iterable[int], measure: Callable[[Any, int], Iterable[Row]]
) -> Iterator[Row]:
  """Rows of each kind of recordings and seed; libraries' warnings are not shown."""
  for kind in kinds:
    for seed in seeds:
      with warnings.catch_warnings(action='ignore'):
        yield from list(measure(kind, seed))
      print(kind.name, seed, sep='\t', flush=True)


def draw_parts(
  activities: np.ndarray, people: np.ndarray, seed: int, sizes: Sequence[int], most: Sequence[int]
) -> list[Int[np.ndarray, 'w']]:
  """Indices of drawn windows: parts of half the people's, then some of two other quarters of the people.

  sizes: windows of each activity in each of the first parts. most: windows of each quarter.
  Activities that the last quarter lacks are left out.
  """
  rng = np.random.default_rng(seed)
  order = rng.permutation(np.unique(people))
  half, quarter = len(order) // 2, len(order) // 4
  own, *others = (np.isin(people, some) for some in np.split(order, [half, half + quarter]))
  drawn = []
  for name in np.unique(activities):
    indices = rng.permutation(np.flatnonzero(own & (activities == name)))[: sum(sizes)]
    if len(indices) == sum(sizes) and (others[1] & (activities == name)).any():
      drawn.append(np.split(indices, np.cumsum(sizes)[:-1]))
  parts = [np.concatenate(part) for part in zip(*drawn, strict=True)]
  is_class = np.isin(activities, activities[parts[0]])
  quarters = zip(others, most, strict=True)
  return parts + [rng.permutation(np.flatnonzero(some & is_class))[:count] for some, count in quarters]


def read(name: str, path: str | pathlib.Path | None) -> list[Recording]:
  """An archive's recordings at its first position. Raises UserError without a path, unless it is bundled."""
  archive = ARCHIVES[name]
  if (place := path or archive.bundled) is None:
    raise UserError(f"--archive_path= {name}'s zip or folder")
  return list(archive.read(Source(place), archive.positions[0], collections.Counter()))


def cut(recordings: Sequence[Recording], windowing: Windowing) -> tuple[list[Window], list[Any]]:
  """All windows of recordings, and the activity of each, or None."""
  windows = to_windows(Reading(list(recordings), [], [], '', True), windowing, unlabeled=True)
  return windows, [label_at(recordings[window.recording], window.start_s, windowing) for window in windows]


def run_on() -> Row:
  """Device, versions and commit, as columns of a table of measurements."""
  versions, device = runtime.versions(), runtime.device()
  shown = ' '.join(f'{name} {versions[name]}' for name in ('python', 'har_jax', 'jax'))
  where = {'device': device.kind, 'cores': device.host_cores, 'versions': shown}
  return where | {'commit': report.commit()}


def number(value: float, form: str = '{:.3f}') -> str:
  return markdown.NONE if pd.isna(value) else form.format(value)


def fill(page: pathlib.Path, script: str, block: str) -> None:
  text = markdown.fill(page.read_text(encoding='utf-8'), f'python docs/studies/{script}.py', block)
  page.write_text(text, encoding='utf-8')
