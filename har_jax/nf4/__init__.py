"""Four-bit NormalFloat weights: packed, and unpacked where they are used."""

from har_jax.nf4.product import matmul
from har_jax.nf4.reference import BLOCK, Nf4, QuantizedScales, dequantize, from_leaves, quantize, to_leaves
from har_jax.nf4.tables import LEVELS

__all__ = [
  'BLOCK',
  'LEVELS',
  'Nf4',
  'QuantizedScales',
  'dequantize',
  'from_leaves',
  'matmul',
  'quantize',
  'to_leaves',
]
