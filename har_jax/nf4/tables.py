"""The numbers that codes stand for. Tests derive them."""

import numpy as np

# Quantiles of the standard normal: eight steps on the positive side and seven on the negative, the largest scaled
# to one, and an exact zero. These float32 values are the ecosystem's.
# Source: arXiv:2305.14314 (QLoRA), section 3 and appendix E.
LEVELS = np.array(
  [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
  ],
  np.float32,
)


def _dynamic() -> np.ndarray:
  """Seven decades up to one, each of both signs and with twice the entries of the one under it; zero, and one.

  A decade's entries are the middles of equal steps from a tenth of it to the whole. Source: arXiv:1511.04561, section 3.
  """
  decades = [
    10.0 ** (exponent - 6) * (0.1 + 0.9 * (np.arange(2**exponent) + 0.5) / 2**exponent)
    for exponent in range(7)
  ]
  positive = np.concatenate(decades)
  return np.sort(np.concatenate([-positive, [0], positive, [1]])).astype(np.float32)


DYNAMIC = (
  _dynamic()
)  # 256 entries for scales; the ecosystem's differ in some last bits, which hang on its machine


def midpoints(table: np.ndarray) -> np.ndarray:
  """Where the nearest entry changes."""
  return (table[1:] + table[:-1]) / 2
