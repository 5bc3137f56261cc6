/** Faults that no test can see, each with the reason: mutants.js leaves them out. */

/** @type {{ path: string, change: string, reason: string }[]} */
export const EQUIVALENTS = [
  {
    path: 'src/frame.ts',
    change:
      'Math.sqrt(squares / lengths.length) > MOVING_G * G_M_S2 → ' +
      'Math.sqrt(squares / lengths.length) >= MOVING_G * G_M_S2',
    reason: 'differs if movement is exactly at the limit',
  },
  {
    path: 'src/main.ts',
    change: 'trace.at(-1)?.timeS → trace.at(-1).timeS',
    reason: 'the form is hidden until samples have come',
  },
  {
    path: 'src/main.ts',
    change: 'timeline?.clear → timeline.clear',
    reason: 'the button is off until there are answers',
  },
  {
    path: 'src/output_layer.ts',
    change: 'value + SUFFICIENT * scale * slope → value - SUFFICIENT * scale * slope',
    reason: 'other steps lead to the same minimum, as the loss is convex',
  },
  {
    path: 'src/output_layer.ts',
    change: 'length < SMALL_GRADIENT → length <= SMALL_GRADIENT',
    reason: 'differs if the gradient is exactly as small',
  },
  {
    path: 'src/output_layer.ts',
    change: '-1 → +1',
    reason: 'another first guess of the curvature leads to the same minimum',
  },
  {
    path: 'src/resample.ts',
    change: 'rateHz === windowsHz → false',
    reason: 'a filter between equal rates leaves the samples as they are, but for rounding in float64',
  },
  {
    path: 'src/resample.ts',
    change: 'index < sorted.length → index <= sorted.length',
    reason: 'the entry after the last equals no number',
  },
  {
    path: 'src/resample.ts',
    change: 'timeS.length - first < gridS.length → false',
    reason: 'samples reach to the end of the grid, so fewer of them do not lie on it',
  },
  {
    path: 'src/resample.ts',
    change:
      'Math.abs(timeS[first + index] - time) > SAME_TIME_S → ' +
      'Math.abs(timeS[first + index] - time) <= SAME_TIME_S',
    reason: 'interpolation at the samples gives the samples',
  },
  {
    path: 'src/resample.ts',
    change: 'm[3] + m[0] → m[3] - m[0]',
    reason: 'both slopes are zero where a curve is flat',
  },
  {
    path: 'src/resample.ts',
    change:
      '1e-9 * Math.max(...axes.flat().map(({ right, left }) => right + left)) → ' +
      '1e-9 / Math.max(...axes.flat().map(({ right, left }) => right + left))',
    reason: 'slopes that are so small change nothing in float32',
  },
  {
    path: 'src/steps.ts',
    change: 'fits[lag] > fits[lag + 1] → fits[lag] >= fits[lag + 1]',
    reason: 'differs if two lags fit equally well',
  },
  {
    path: 'src/windows.ts',
    change: 'i < this.rules.samples → i <= this.rules.samples',
    reason: 'a typed array drops what is written behind its end',
  },
];
