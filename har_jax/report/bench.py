"""The measurements of launch/bench.py as Markdown. Needs no JAX."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_OURS = 'har_jax'
Column = Callable[[dict[str, Any]], str]


def markdown(bench: dict[str, Any]) -> str:
  """A row for each kind of step, batch and contestant."""
  return (
    '\n\n'.join(
      [
        '# Whole steps: time and how near they come to a plain matrix product',
        f'{machine(bench)} Medians and quartiles of calls made in turn. Rates count the operations of our own matrix products; the share '
        'is of the fastest plain float32 product of the same turn.',
        table([row for row in bench['steps'] if row['by'] == _OURS], _OWN),
        *_against_peers(bench['steps']),
      ]
    )
    + '\n'
  )


def _against_peers(rows: list[dict[str, Any]]) -> list[str]:
  if all(row['by'] == _OURS for row in rows):
    return []
  return [
    '## Beside others',
    'The ratio is the median of theirs over ours, turn by turn: above one, ours is faster.',
    table(rows, _BESIDE),
  ]


def machine(bench: dict[str, Any]) -> str:
  """Device and versions, in a sentence each."""
  versions = ', '.join(f'{name} {version}' for name, version in bench['versions'].items())
  device = bench['device']
  return (
    f'{device["kind"]} ({device["platform"]}), {device["host_cores"]} cores, {device["machine"]}. {versions}.'
  )


def table(rows: Sequence[dict[str, Any]], columns: Mapping[str, Column]) -> str:
  """A row each, in Markdown."""
  if not rows:
    return 'Not measured.'
  from tabulate import tabulate

  cells = [{name: column(row) for name, column in columns.items()} for row in rows]
  return tabulate(cells, headers='keys', tablefmt='pipe', disable_numparse=True)


def _timed(row: dict[str, Any]) -> str:
  low, high = row['ms_quartiles']
  return f'{row["ms"]:.1f} ({low:.1f} to {high:.1f})'


_NAMED = {'step': lambda row: row['kind'], 'batch': lambda row: str(row['batch'])}
_OWN = _NAMED | {
  'ms': _timed,
  'windows/s': lambda row: f'{row["windows_s"]:.0f}',
  'GFLOP/s': lambda row: f'{row["gflop_s"]:.0f}',
  'of a product': lambda row: f'{100 * row["share_of_product"]:.0f} %',
  'compile, s': lambda row: f'{row["compile_s"]:.1f}',
  'temporary, MB': lambda row: f'{row["temporary_bytes"] / 2**20:.1f}',
  'peak resident so far, MB': lambda row: f'{row["peak_resident_bytes"] / 2**20:.0f}',
}
_BESIDE = _NAMED | {'by': lambda row: row['by'], 'ms': _timed, 'ratio': lambda row: f'{row["ratio"]:.2f}'}
