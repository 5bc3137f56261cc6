"""Modified Akima interpolation, in NumPy: to import SciPy's takes longer than to use it.

k known points, s steps between them, c columns, g points of the grid.
"""

import numpy as np
from jaxtyping import Float

_FLAT = 1e-9  # of the largest weights: below, the slopes around a point are all 0 but for rounding


def interpolate(
  time_s: Float[np.ndarray, 'k'], values: Float[np.ndarray, 'k c'], grid_s: Float[np.ndarray, 'g']
) -> Float[np.ndarray, 'g c']:
  """A smooth curve through the points, at times between the first and the last of them.

  Times rise, and there are two points or more. Through two, the curve is a straight line.
  The numbers are those of `scipy.interpolate.Akima1DInterpolator(method='makima')`, bit for bit.
  Source: Akima, Journal of the ACM 17(4), 1970; the weights are those of MATLAB's makima.
  """
  values = np.ascontiguousarray(values)  # later sums depend on the order in memory
  step_s = np.diff(time_s)[:, None]
  slope = np.diff(values, axis=0) / step_s
  tangent = _tangents(slope) if len(slope) > 1 else np.repeat(slope, 2, axis=0)
  bend = (tangent[:-1] + tangent[1:] - 2 * slope) / step_s
  interval = np.searchsorted(time_s, grid_s, side='right').clip(1, len(step_s)) - 1
  passed_s = (grid_s - time_s[interval])[:, None]
  curve, power = values[interval], passed_s
  for coefficient in (tangent, (slope - tangent[:-1]) / step_s - bend, bend / step_s):  # a cubic's
    curve = curve + coefficient[interval] * power
    power = power * passed_s
  return curve


def _tangents(slope: Float[np.ndarray, 's c']) -> Float[np.ndarray, 'k c']:
  """The curve's slope at each point: a mean of those on its two sides.

  A side weighs more where the other one and its neighbor are unequal or steep.
  """
  # Along a parabola, two more slopes on each side.
  before, after = 2 * slope[0] - slope[1], 2 * slope[-1] - slope[-2]
  slope = np.concatenate([[2 * before - slope[0], before], slope, [after, 2 * after - slope[-1]]])
  weight = np.abs(np.diff(slope, axis=0)) + 0.5 * np.abs(slope[1:] + slope[:-1])
  of_left, of_right = weight[2:], weight[:-2]
  total = of_left + of_right
  is_clear = total > _FLAT * total.max()
  left, right = slope[1:-2], slope[2:-1]
  share = of_right / np.where(is_clear, total, 1)
  return np.where(is_clear, left + share * (right - left), 0.5 * (slope[3:] + slope[:-3]))
