"""Four-bit NormalFloat weights: packed, and unpacked where they are used."""

from har_jax.nf4.reference import BLOCK, LEVELS, Nf4, dequantize, matmul, quantize

__all__ = ['BLOCK', 'LEVELS', 'Nf4', 'dequantize', 'matmul', 'quantize']
