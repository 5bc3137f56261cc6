"""The measurements of launch/bench_nf4.py as Markdown. Needs no JAX."""

from typing import Any

from har_jax.report import published
from har_jax.report.bench import Column, machine, table

_MEGABYTE = 2**20


def markdown(bench: dict[str, Any]) -> str:
  """Matrices, training steps, and the paper's Table IV beside ours."""
  return (
    '\n\n'.join(
      [
        '# NF4: time, bytes, error',
        f'{machine(bench)} Medians and quartiles of calls made in turn; a ratio is the median of the ratios turn by turn.',
        '## One matrix',
        "Normally distributed weights. The error is relative, in Frobenius' norm. Rates: of products by operations, of "
        'the others by bytes of both forms.',
        table(bench['matrices'], _MATRIX),
        '## A training step',
        'Temporary: what the compiler plans beside the arguments. Two float32 kernels of the widest layer are '
        f'{_megabytes(bench["two_kernels_bytes"])} MB.',
        table(bench['steps'], _STEP),
        '## A model in memory (Table IV)',
        'Megabytes (2²⁰ bytes) of live arrays, as the device reports them. Buffers: BatchNorm statistics here; in the paper '
        'also dequantized copies, which here are temporary. Published: frozen / trainable / buffers.',
        table(bench['memory'], _MEMORY),
      ]
    )
    + '\n'
  )


def _timed(row: dict[str, Any]) -> str:
  low, high = row['ms_quartiles']
  return f'{row["ms"]:.3g} ({low:.3g} to {high:.3g})'


def _ratio(row: dict[str, Any]) -> str:
  return '–' if row['ratio'] is None else f'{row["ratio"]:.2f}'


def _rate(row: dict[str, Any]) -> str:
  return f'{row["gflop_s"]:.0f} GFLOP/s' if 'gflop_s' in row else f'{row["gbyte_s"]:.1f} GB/s'


def _published(row: dict[str, Any]) -> str:
  figures = published.TABLE_IV.get(row['method'])
  return ' / '.join(f'{figure:.2f}' for figure in figures) if figures and row['preset'] == 'paper' else '–'


def _megabytes(size: int) -> str:
  return f'{size / _MEGABYTE:.2f}'


_MATRIX: dict[str, Column] = {
  'operation': lambda row: row['operation'],
  'matrix': lambda row: '×'.join(map(str, row['shape'])),
  'store': lambda row: row['store'],
  'ms': _timed,
  '÷ float32': _ratio,
  'rate': _rate,
  'bits a weight': lambda row: f'{row["bits"]:.3f}',
  'error': lambda row: f'{row["error"]:.4f}',
}
_STEP: dict[str, Column] = {
  'method': lambda row: row['method'],
  'batch': lambda row: str(row['batch']),
  'ms': _timed,
  '÷ LoRA': _ratio,
  'compile, s': lambda row: f'{row["compile_s"]:.1f}',
  'frozen, MB': lambda row: _megabytes(row['frozen_bytes']),
  'temporary, MB': lambda row: _megabytes(row['temporary_bytes']),
}
_MEMORY: dict[str, Column] = {
  'preset': lambda row: row['preset'],
  'method': lambda row: row['method'],
  **{
    part: lambda row, part=part: _megabytes(row[part])  # type: ignore[misc]
    for part in ('frozen', 'trainable', 'buffers', 'optimizer')
  },
  'temporary, batch 64': lambda row: _megabytes(row['temporary']),
  'published': _published,
}
