"""The measurements of launch/bench.py as Markdown. Needs no JAX."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_OURS = 'har_jax'
Column = Callable[[dict[str, Any]], str]


def markdown(bench: dict[str, Any]) -> str:
  """A row for each kind of step, batch and contestant."""
  rows = bench['steps']
  own = [row for row in rows if _is_ours(row)]
  return (
    '\n\n'.join(
      [
        '# Whole steps: time and how near they come to a plain matrix product',
        f'{machine(bench)} Medians and quartiles of calls made in turn, each of as many steps as one program takes; the time is that '
        'of one step, or of a whole pass (epoch). Rates count the operations of our own matrix products; the share '
        'is of the fastest plain float32 product of the same turn.',
        table(own, _OWN),
        *([] if len(own) == len(rows) else _beside_peers(rows, own)),
      ]
    )
    + '\n'
  )


def _beside_peers(rows: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[str]:
  return [
    '## Beside others',
    'A ratio is the median of their time over ours, turn by turn: above one, ours is faster. First, against the fastest of them: '
    'of any precision, and of the same.',
    table(own, _AGAINST),
    'And all; here ratios are to the first of ours.',
    table(rows, _BESIDE),
  ]


def _is_ours(row: dict[str, Any]) -> bool:
  return row['by'].partition(',')[0] == _OURS


def machine(bench: dict[str, Any]) -> str:
  """Device and versions, in a sentence each."""
  versions = ', '.join(f'{name} {version}' for name, version in bench['versions'].items())
  device = bench['device']
  several = f' as {device["count"]} devices' if device.get('count', 1) > 1 else ''
  return (
    f'{device["kind"]} ({device["platform"]}){several}, {device["host_cores"]} cores, {device["machine"]}. '
    f'{versions}.'
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


def _against(row: dict[str, Any], suffix: str) -> str:
  best = row[suffix]
  return '–' if best is None else f'{row[f"against_{suffix}"]:.2f} ({best})'


_NAMED: dict[str, Column] = {
  'step': lambda row: row['kind'],
  'batch': lambda row: str(row['batch']),
  'by': lambda row: row['by'],
}
_OWN = _NAMED | {
  'ms': _timed,
  'windows/s': lambda row: f'{row["windows_s"]:.0f}',
  'GFLOP/s': lambda row: f'{row["gflop_s"]:.0f}',
  'of a product': lambda row: f'{100 * row["share_of_product"]:.0f} %',
  'compile, s': lambda row: f'{row["compile_s"]:.1f}',
  'temporary, MB': lambda row: f'{row["temporary_bytes"] / 2**20:.1f}',
  'peak resident so far, MB': lambda row: f'{row["peak_resident_bytes"] / 2**20:.0f}',
}
_AGAINST = _NAMED | {
  'best of theirs ÷ ours': lambda row: _against(row, 'best'),
  'best of theirs ÷ ours, same precision': lambda row: _against(row, 'best_same_precision'),
}
_BESIDE = _NAMED | {
  'ms': _timed,
  'windows/s': lambda row: f'{row["windows_s"]:.0f}',
  'GFLOP/s': lambda row: f'{row["gflop_s"]:.0f}',
  'ratio': lambda row: f'{row["ratio"]:.2f}',
}
