"""Measurements of `launch/bench_nf4.py` as Markdown tables."""

from typing import Any

import pandas as pd

from har_jax.report import published
from har_jax.report.bench import MEGABYTE, NOTHING, machine, numbers, table, with_quartiles


def markdown(bench: dict[str, Any]) -> str:
  """Matrices, training steps, and the paper's Table IV with ours."""
  matrices, steps, memory = (
    table(columns(pd.DataFrame(bench[name]))) if bench[name] else NOTHING
    for name, columns in (('matrices', _matrices), ('steps', _steps), ('memory', _memory))
  )
  parts = [
    '# NF4: time, bytes, error',
    f'{machine(bench)} Medians and quartiles of interleaved calls. A ratio is the median over turns.',
    '## One matrix',
    'Normally distributed weights. The error is relative, in the Frobenius norm. Rates: of products by '
    'operations, of the others by the bytes of both forms.',
    matrices,
    '## A training step',
    'Temporary: what the compiler plans besides the arguments. Two float32 kernels of the widest layer are '
    f'{bench["two_kernels_bytes"] / MEGABYTE:.2f} MB.',
    steps,
    '## A model in memory (Table IV)',
    'Megabytes (2²⁰ bytes) of live arrays, as the device reports them. Buffers: BatchNorm statistics; in the '
    'paper also dequantized copies, which are temporary here. Published: frozen / trainable / buffers.',
    memory,
  ]
  return '\n\n'.join(parts) + '\n'


def _matrices(rows: pd.DataFrame) -> dict[str, Any]:
  return {
    'operation': rows['operation'],
    'matrix': ['×'.join(map(str, shape)) for shape in rows['shape']],
    'store': rows['store'],
    'ms': with_quartiles(rows, 'ms', '.3g'),
    '÷ float32': numbers(rows['ratio'], '.2f'),
    'rate': rows.apply(_rate, axis=1),
    'bits a weight': numbers(rows['bits'], '.3f'),
    'error': numbers(rows['error'], '.4f'),
  }


def _rate(row: pd.Series) -> str:
  product = row.get('gflop_s')
  return f'{row["gbyte_s"]:.1f} GB/s' if pd.isna(product) else f'{product:.0f} GFLOP/s'


def _steps(rows: pd.DataFrame) -> dict[str, Any]:
  return {
    'method': rows['method'],
    'batch': rows['batch'],
    'ms': with_quartiles(rows, 'ms', '.3g'),
    '÷ LoRA': numbers(rows['ratio'], '.2f'),
    'compile, s': numbers(rows['compile_s'], '.1f'),
    'frozen, MB': numbers(rows['frozen_bytes'] / MEGABYTE, '.2f'),
    'temporary, MB': numbers(rows['temporary_bytes'] / MEGABYTE, '.2f'),
  }


def _memory(rows: pd.DataFrame) -> dict[str, Any]:
  parts = ('frozen', 'trainable', 'buffers', 'optimizer')
  sizes = {part: numbers(rows[part] / MEGABYTE, '.2f') for part in parts}
  return {
    'preset': rows['preset'],
    'method': rows['method'],
    **sizes,
    'temporary, batch 64': numbers(rows['temporary'] / MEGABYTE, '.2f'),
    'published': [_published(*row) for row in rows[['preset', 'method']].itertuples(index=False)],
  }


def _published(preset: str, method: str) -> str:
  found = published.TABLE_IV.get(method) if preset == 'paper' else None
  return ' / '.join(f'{size:.2f}' for size in found) if found else '–'
