"""4-bit NormalFloat (NF4) weights: quantization, dequantization and matrix products."""

from har_jax.nf4.product import dequantize_after, fused_kernels, matmul
from har_jax.nf4.reference import (
  BLOCK,
  Nf4,
  QuantizedScales,
  dequantize,
  dequantize_on_host,
  from_leaves,
  quantize,
  to_leaves,
)
from har_jax.nf4.tables import LEVELS

__all__ = [
  'BLOCK',
  'LEVELS',
  'Nf4',
  'QuantizedScales',
  'dequantize',
  'dequantize_after',
  'dequantize_on_host',
  'from_leaves',
  'fused_kernels',
  'matmul',
  'quantize',
  'to_leaves',
]
