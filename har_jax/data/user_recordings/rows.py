"""One file's rows, in order of time: seconds, sensors as written, labels.

n rows.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from har_jax.data.user_recordings import clock as clocks
from har_jax.data.user_recordings import columns, units
from har_jax.data.user_recordings.clock import Clock
from har_jax.data.user_recordings.columns import Choice, Triple
from har_jax.data.user_recordings.table import Kind, Table, chunks, is_number
from har_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Asked:
  """What the user says of the files; empty where it is to be guessed."""

  columns: Mapping[str, str]
  acc_unit: str
  gyro_unit: str
  time_unit: str
  rate_hz: float | int | None


@dataclasses.dataclass(frozen=True)
class Rows:
  """One table, in order of time."""

  choice: Choice
  time_s: Float[np.ndarray, 'n']
  clock: Clock
  values: dict[str, Float32[np.ndarray, 'n 3']]
  labels: Int32[np.ndarray, 'n'] | None
  words: dict[int, str]


def load(table: Table, asked: Asked, sensor: str, notes: list[str], warnings: list[str]) -> Rows:
  """Reads a file. `sensor` is the one that it holds alone, or ''; what is guessed goes to `notes`, doubts to `warnings`.

  Raises UserError at what cannot be read or makes no sense.
  """
  choice = columns.choose(table, asked.columns, sensor=sensor, timed=asked.rate_hz is None)
  triples = {'acc': choice.acc, 'gyro': choice.gyro, 'gravity': choice.gravity}
  named = {
    'time': None if choice.time is None or asked.rate_hz else [choice.time],
    'accelerometer': choice.acc and choice.acc.columns,
    'gyroscope': choice.gyro and choice.gyro.columns,
    'gravity': choice.gravity and choice.gravity.columns,
    'labels': None if choice.label is None else [choice.label],
  }
  shown = [
    f'{what} from {", ".join(table.names[i] for i in found)}' for what, found in named.items() if found
  ]
  notes.append(f'{table.path.name}: {"; ".join(shown)}.')
  notes += [sentence(note) for note in choice.notes]
  kinds: dict[int, Kind] = {
    index: 'number' for triple in triples.values() if triple is not None for index in triple.columns
  }
  if choice.label is not None:
    kinds[choice.label] = 'text'
  time = choice.time if asked.rate_hz is None else None
  if time is not None:
    cells = table.column(time)
    # By what most cells are: one that is not is found, and named, as the file is read.
    kinds[time] = 'precise' if 2 * sum(map(is_number, cells)) >= len(cells) else 'stamp'
  values, times, labels, words = _load(table, kinds, triples, choice.label, time)
  main = next(iter(values.values()))  # the accelerometer, where the file has it
  if not len(main):
    raise UserError(f'{table.path} holds no row of numbers: nothing was recorded')
  sampled = np.isfinite(main).all(axis=1)
  if sampled.sum() < 2:
    raise UserError(
      f'{table.path} holds {sampled.sum()} samples of three axes: a recording needs two at least'
    )
  time_s, clock = _time(table, time, times, asked, sampled, notes, warnings)
  order = _order(time_s, notes)
  if order is not None:
    time_s = time_s[order]
    values = {name: rows[order] for name, rows in values.items()}
    labels = None if labels is None else labels[order]
  return Rows(choice, time_s, clock, values, labels, words)


def _load(
  table: Table,
  kinds: dict[int, Kind],
  triples: Mapping[str, Triple | None],
  label: int | None,
  time: int | None,
) -> tuple[dict[str, Float32[np.ndarray, 'n 3']], list[Any], Int32[np.ndarray, 'n'] | None, dict[int, str]]:
  """Values by sensor, chunks of time as they are, labels as codes and the words of the codes."""
  parts: dict[str, list[np.ndarray]] = {name: [] for name, triple in triples.items() if triple is not None}
  times: list[Any] = []
  codes: list[np.ndarray] = []
  code_of: dict[str, int] = {}
  for chunk in chunks(table, kinds):
    for name, rows in parts.items():
      triple = triples[name]
      assert triple is not None
      rows.append(np.stack([chunk[index] for index in triple.columns], axis=1))
    if time is not None:
      # Text is turned to numbers at once: as words, a long recording's times would fill the memory.
      place = f'{table.path}, column {table.names[time]!r}'
      times.append(chunk[time] if kinds[time] == 'precise' else _stamps(chunk[time], place))
    if label is not None:
      found, known = chunk[label].str.strip().factorize()
      for word in known:
        if word:
          code_of.setdefault(str(word), len(code_of))
      lookup = np.array([*(code_of.get(str(word), -1) for word in known), -1], np.int32)
      codes.append(lookup[found])  # -1, a missing one, is the last
  values = {
    name: np.concatenate(rows) if rows else np.zeros((0, 3), np.float32) for name, rows in parts.items()
  }
  labels = np.concatenate(codes) if codes else None
  return values, times, labels, {code: word for word, code in code_of.items()}


def _stamps(cells: Any, place: str) -> Any:
  import pandas as pd

  if pd.api.types.is_numeric_dtype(cells):
    return cells.to_numpy(np.float64, na_value=np.nan)
  return clocks.text_ns(cells, place)


def _time(
  table: Table,
  time: int | None,
  times: list[Any],
  asked: Asked,
  sampled: Bool[np.ndarray, 'n'],
  notes: list[str],
  warnings: list[str],
) -> tuple[Float[np.ndarray, 'n'], Clock]:
  if time is None:
    assert asked.rate_hz is not None
    notes.append(
      f'Rows are taken to be evenly spaced at {asked.rate_hz:g} Hz, as you say; no column of time is read.'
    )
    return np.arange(len(sampled)) / asked.rate_hz, Clock('own', 0, 's')
  name = table.names[time]
  if isinstance(times[0], tuple):
    if asked.time_unit not in ('', 'iso'):
      raise UserError(
        f'{table.path}: {name} is written as text, so it has no unit {asked.time_unit}; leave time_unit'
      )
    time_s, clock = clocks.from_text(np.concatenate([ns for ns, _ in times]), times[0][1])
    written = {
      'zoned': 'dates with a time zone',
      'date': 'dates without a time zone',
      'day': 'times of day',
      'own': 'times from a start',
    }
    notes.append(f'Column {name} holds {written[clock.kind]}.')
    return time_s, clock
  if asked.time_unit == 'iso':
    raise UserError(f'{table.path}: {name} holds numbers, not ISO times: give time_unit as s, ms, us or ns')
  named = units.time_unit(columns.words(name))
  time_s, clock, why, doubt = clocks.from_numbers(
    np.concatenate(times), sampled, named, asked.time_unit, f'{table.path}, column {name!r}'
  )
  notes.append(f'Column {name} is {why}.')
  if doubt:
    warnings.append(doubt)
  return time_s, clock


def _order(time_s: Float[np.ndarray, 'n'], notes: list[str]) -> Any:
  """Which rows to take, in order of time; None where they are in order and complete."""
  missing = np.isnan(time_s)
  if missing.any():
    notes.append(f'{many(missing)} without a time: left out.')
  fell = int((np.diff(time_s[~missing]) < 0).sum())
  if fell:
    notes.append(f'Time ran back {fell} times: all rows were sorted by it.')
  if not fell and not missing.any():
    return None
  order = np.argsort(time_s, kind='stable')  # NaN comes last
  return order[: len(order) - int(missing.sum())]


def many(rows: Bool[np.ndarray, 'n']) -> str:
  count = int(rows.sum())
  return f'{count} row{"s" * (count != 1)}'


def sentence(text: str) -> str:
  return text[:1].upper() + text[1:] + '.'
