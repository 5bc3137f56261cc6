"""Measurements of `launch/bench.py` as Markdown tables."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

MEGABYTE = 2**20


def markdown(bench: dict[str, Any]) -> str:
  """A row for each kind of step, batch size and library."""
  rows = pd.DataFrame(bench['steps'])
  ours = rows[rows['by'].str.partition(',')[0] == 'har_jax'] if len(rows) else rows
  parts = [
    '# Training steps: time, and efficiency relative to a plain matrix product',
    f'{machine(bench)} Medians and quartiles of interleaved calls, for one step or one epoch. Rates count'
    ' the operations of our matrix products. The fraction is of the fastest plain float32 product.',
    table(_own(ours)) if len(ours) else NOTHING,
  ]
  if len(ours) < len(rows):
    parts += [
      '## Against other libraries',
      'A ratio is the median over turns of their time divided by ours: above one, ours is faster. First the '
      'fastest of them, of any precision and of the same.',
      table(_names(ours) | {_RATIO: _best(ours, 'best'), f'{_RATIO}, same precision': _best(ours, _SAME)}),
      'All of them; here ratios are to the first of ours.',
      table(_names(rows) | _speed(rows) | {'ratio': numbers(rows['ratio'], '.2f')}),
    ]
  return '\n\n'.join(parts) + '\n'


NOTHING = 'Not measured.'
_SAME, _RATIO = 'best_same_precision', 'fastest of theirs ÷ ours'


def _names(rows: pd.DataFrame) -> dict[str, Iterable[Any]]:
  return {'step': rows['kind'], 'batch': rows['batch'], 'by': rows['by']}


def _speed(rows: pd.DataFrame) -> dict[str, list[str]]:
  return {
    'ms': with_quartiles(rows, 'ms', '.1f'),
    'windows/s': numbers(rows['windows_s'], '.0f'),
    'GFLOP/s': numbers(rows['gflop_s'], '.0f'),
  }


def _own(rows: pd.DataFrame) -> dict[str, Iterable[Any]]:
  return {
    **_names(rows),
    **_speed(rows),
    'of a product': [f'{text} %' for text in numbers(100 * rows['share_of_product'], '.0f')],
    'compile, s': numbers(rows['compile_s'], '.1f'),
    'temporary, MB': numbers(rows['temporary_bytes'] / MEGABYTE, '.1f'),
    'peak resident so far, MB': numbers(rows['peak_resident_bytes'] / MEGABYTE, '.0f'),
  }


def _best(rows: pd.DataFrame, column: str) -> list[str]:
  return [
    f'{ratio:.2f} ({name})' if isinstance(name, str) else '–'
    for name, ratio in zip(rows[column], rows[f'against_{column}'], strict=True)
  ]


# --- shared by the tables of measurements


def table(columns: Mapping[str, Iterable[Any]]) -> str:
  """Markdown. Numbers must be text already, else trailing zeros are lost."""
  return pd.DataFrame(columns, dtype=str).to_markdown(index=False, disable_numparse=True)


def numbers(values: Iterable[float], form: str) -> list[str]:
  """Each as text; '–' for a missing one."""
  return ['–' if pd.isna(value) else format(value, form) for value in values]


def with_quartiles(rows: pd.DataFrame, column: str, form: str) -> list[str]:
  """'median (lower quartile to upper quartile)'."""
  return [
    f'{median:{form}} ({low:{form}} to {high:{form}})'
    for median, (low, high) in zip(rows[column], rows[f'{column}_quartiles'], strict=True)
  ]


def machine(bench: dict[str, Any]) -> str:
  """Device and versions, a sentence each."""
  versions = ', '.join(f'{name} {version}' for name, version in bench['versions'].items())
  device = bench['device']
  count = device.get('count', 1)
  devices = f' as {count} devices' if count > 1 else ''
  cores = f'{device["host_cores"]} cores, {device["machine"]}'
  return f'{device["kind"]} ({device["platform"]}){devices}, {cores}. {versions}.'
