"""4-bit NormalFloat (NF4) weights: quantization, dequantization and matrix products."""

from har_jax.nf4.product import dequantize_after, fused_kernels, matmul
from har_jax.nf4.reference import (
  BLOCK,
  Nf4,
  dequantize,
  dequantize_on_host,
  from_leaves,
  quantize,
  to_leaves,
)
from har_jax.nf4.tables import LEVELS
