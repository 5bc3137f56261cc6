"""Measurements of `har-jax bench_nf4` as Markdown tables."""

from har_jax.report import published
from har_jax.report.bench import Row, document, table

_MS = '{ms:.3g} ({ms_quartiles[0]:.3g} to {ms_quartiles[1]:.3g})'
_MATRIX = {
  'operation': '{operation}',
  'matrix': '{shape[0]}×{shape[1]}',
  'format': '{format}',
  'ms': _MS,
  '÷ float32': '{ratio:.2f}',
  'rate': '{rate}',
  'bits a weight': '{bits:.3f}',
  'error': '{error:.4f}',
}
_STEP = {
  'method': '{method}',
  'batch': '{batch}',
  'ms': _MS,
  '÷ LoRA': '{ratio:.2f}',
  'compile, s': '{compile_s:.1f}',
  'frozen, MB': '{frozen_mb:.2f}',
  'temporary, MB': '{temporary_mb:.2f}',
}
_SIZES = ('frozen', 'trainable', 'buffers', 'optimizer', 'temporary')
_MEMORY = {
  'preset': '{preset}',
  'method': '{method}',
  **{name: f'{{{name}_mb:.2f}}' for name in _SIZES},
  'published': '{published}',
}


def markdown(bench: Row) -> str:
  """Matrices, training steps, and the paper's Table IV with ours."""
  parts = [
    'A ratio is the median over turns.',
    '## One matrix',
    'Normally distributed weights. The error is relative, in the Frobenius norm. Rates: of products by '
    'operations, of the others by the bytes of both forms.',
    table([row | {'rate': _rate(row)} for row in bench['matrices']], _MATRIX),
    '## A training step',
    'Temporary: what the compiler plans besides the arguments. Two float32 kernels of the widest layer are '
    f'{bench["two_kernels_bytes"] / 2**20:.2f} MB.',
    table(bench['steps'], _STEP),
    '## A model in memory (Table IV)',
    'Megabytes (2²⁰ bytes) of live arrays, as the device reports them. Buffers: BatchNorm statistics; in the '
    'paper also dequantized copies, which are temporary here. Published: frozen / trainable / buffers.',
    table([_with_published(row) for row in bench['memory']], _MEMORY),
  ]
  return document('NF4: time, bytes, error', bench, *parts)


def _rate(row: Row) -> str:
  return f'{row["gflop_s"]:.0f} GFLOP/s' if 'gflop_s' in row else f'{row["gbyte_s"]:.1f} GB/s'


def _with_published(row: Row) -> Row:
  found = published.TABLE_IV.get((row['method'],)) if row['preset'] == 'paper' else None
  sizes = {f'{name}_bytes': row[name] for name in _SIZES}
  return row | sizes | {'published': ' / '.join(f'{size:.2f}' for size in found) if found else '–'}
