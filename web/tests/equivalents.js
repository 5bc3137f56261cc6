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
    path: 'src/output_layer.ts',
    change: 'length < SMALL_GRADIENT → length <= SMALL_GRADIENT',
    reason: 'differs if the gradient is exactly as small',
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
    path: 'src/resample.ts',
    change: 'index < 0 → index <= 0',
    reason: 'the index 0 is within the samples',
  },
  {
    path: 'src/steps.ts',
    change: 'fits[lag] > fits[lag + 1] → fits[lag] >= fits[lag + 1]',
    reason: 'differs if two lags fit equally well',
  },
];
