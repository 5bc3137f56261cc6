"""The values that codes stand for. Tests derive them."""

import numpy as np

# Quantiles of the standard normal distribution, and an exact zero. There are eight steps on the positive side
# and seven on the negative, scaled so that the largest is 1. The float32 values are those of bitsandbytes.
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
  """Seven decades up to 1, of both signs, each with twice the entries of the decade below; and 0 and 1.

  A decade's entries are the midpoints of equal steps from a tenth of its end to its end.
  Source: arXiv:1511.04561, section 3.
  """
  decades = [
    10.0 ** (exponent - 6) * (0.1 + 0.9 * (np.arange(2**exponent) + 0.5) / 2**exponent)
    for exponent in range(7)
  ]
  positive = np.concatenate(decades)
  return np.sort(np.concatenate([-positive, [0], positive, [1]])).astype(np.float32)


# 256 entries for scales. Those of bitsandbytes differ in some last bits, depending on the machine.
DYNAMIC = _dynamic()


def midpoints(table: np.ndarray) -> np.ndarray:
  """The thresholds between neighboring entries."""
  return (table[1:] + table[:-1]) / 2
