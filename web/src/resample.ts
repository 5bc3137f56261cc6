/**
 * One sensor at any rate → the rate of windows, as har_jax/signal/cutting.py does.
 *
 * The comments there give the reasons.
 *
 * The results are equal up to float32's rounding. Values are listed by axis: `values[axis][sample]`.
 */

const HOLE_STEPS = 2;
const SAME_TIME_S = 1e-6;
const SLACK = 1e-3;
const TOO_SLOW = 0.01;
const MAX_BURST = 10;
const KAISER_BETA = 5; // of scipy.signal.resample_poly, like the half length of 10 samples at the lower rate
const HALF_LENGTH = 10;

export interface Samples {
  timeS: number[]; // rises
  values: number[][];
}

/** The sensor from start to stop, both within its samples. */
export function atRate(samples: Samples, windowsHz: number, startS: number, stopS: number): number[][] {
  const first = Math.max(firstAbove(samples.timeS, startS + SAME_TIME_S) - 1, 0);
  const stop = firstAtLeast(samples.timeS, stopS - SAME_TIME_S) + 1;
  const ownS = samples.timeS.slice(first, stop);
  const values = samples.values.map((axis) => axis.slice(first, stop));
  const meanHz = (ownS.length - 1) / (ownS[ownS.length - 1] - ownS[0]);
  const ownHz = 1 / median(steps(ownS));
  const isInBursts = ownHz > MAX_BURST * meanHz;
  const timeS = isInBursts ? ownS.map((_, index) => ownS[0] + index / meanHz) : ownS;
  const medianHz = isInBursts ? meanHz : ownHz;
  const rateHz = Math.max(Math.round(medianHz), Math.ceil((1 - TOO_SLOW) * medianHz));
  const gridS = Array.from({ length: ticks(startS, stopS, rateHz) }, (_, i) => startS + i / rateHz);
  const even = onGrid(timeS, values, gridS) ?? interpolate(timeS, values, gridS);
  const resampled = rateHz === windowsHz ? even : even.map((axis) => filtered(axis, rateHz, windowsHz));
  const count = ticks(startS, stopS, windowsHz);
  return resampled.map((axis) => axis.slice(0, count).map(Math.fround));
}

/** Index of the first entry that is not below `value`; NumPy's searchsorted. */
export function firstAtLeast(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function firstAbove(sorted: readonly number[], value: number): number {
  let index = firstAtLeast(sorted, value);
  while (index < sorted.length && sorted[index] === value) index++;
  return index;
}

function ticks(startS: number, stopS: number, rateHz: number): number {
  return Math.trunc((stopS - startS) * rateHz + SLACK) + 1;
}

/** From each time to the next. */
export function steps(timeS: readonly number[]): number[] {
  return timeS.slice(1).map((time, index) => time - timeS[index]);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The samples themselves if they lie on the grid. */
function onGrid(timeS: number[], values: number[][], gridS: number[]): number[][] | undefined {
  const first = firstAtLeast(timeS, gridS[0] - SAME_TIME_S);
  if (timeS.length - first < gridS.length) return undefined;
  if (gridS.some((time, index) => Math.abs(timeS[first + index] - time) > SAME_TIME_S)) return undefined;
  return values.map((axis) => axis.slice(first, first + gridS.length));
}

/** Modified Akima; a straight line in holes. */
function interpolate(timeS: number[], values: number[][], gridS: number[]): number[][] {
  const step = steps(timeS);
  const longest = HOLE_STEPS * median(step);
  const slopes = makimaSlopes(step, values);
  return values.map((axis, number) =>
    gridS.map((tick) => {
      const time = Math.min(Math.max(tick, timeS[0]), timeS[timeS.length - 1]);
      const left = Math.min(Math.max(firstAbove(timeS, time), 1), step.length) - 1;
      const ends: [number, number] = [axis[left], axis[left + 1]];
      const along = (time - timeS[left]) / step[left];
      if (step[left] > longest) return ends[0] + along * (ends[1] - ends[0]);
      return hermite(along, step[left], ends, [slopes[number][left], slopes[number][left + 1]]);
    }),
  );
}

/** The slope of each axis at each sample.   Source: scipy.interpolate.Akima1DInterpolator, method makima. */
function makimaSlopes(step: number[], values: number[][]): number[][] {
  const axes = values.map((axis) => {
    const m = extended(step.map((length, index) => (axis[index + 1] - axis[index]) / length));
    return axis.map((_, i) => {
      const right = Math.abs(m[i + 3] - m[i + 2]) + 0.5 * Math.abs(m[i + 3] + m[i + 2]);
      const left = Math.abs(m[i + 1] - m[i]) + 0.5 * Math.abs(m[i + 1] + m[i]);
      return { m: m.slice(i, i + 4), right, left };
    });
  });
  const flat = 1e-9 * Math.max(...axes.flat().map(({ right, left }) => right + left));
  return axes.map((axis) =>
    axis.map(({ m, right, left }) =>
      right + left > flat ? (right * m[1] + left * m[2]) / (right + left) : 0.5 * (m[3] + m[0]),
    ),
  );
}

/** Two more slopes at each end. */
function extended(m: number[]): number[] {
  const before = 2 * m[0] - m[1];
  const last = m.length - 1;
  const after = 2 * m[last] - m[last - 1];
  return [2 * before - m[0], before, ...m, after, 2 * after - m[last]];
}

function hermite(t: number, step: number, ends: [number, number], slopes: [number, number]): number {
  const square = t * t;
  const cube = square * t;
  return (
    (2 * cube - 3 * square + 1) * ends[0] +
    (3 * square - 2 * cube) * ends[1] +
    step * ((cube - 2 * square + t) * slopes[0] + (cube - square) * slopes[1])
  );
}

/** To another integer rate. The mean bypasses the filter; a line extends the rest beyond the ends. */
function filtered(axis: number[], rateHz: number, windowsHz: number): number[] {
  const mean = axis.reduce((sum, value) => sum + value, 0) / axis.length;
  const rest = axis.map((value) => value - mean);
  const divisor = gcd(windowsHz, rateHz);
  const [up, down] = [windowsHz / divisor, rateHz / divisor];
  const filter = filterOf(up, down);
  const half = (filter.length - 1) / 2;
  return Array.from({ length: Math.ceil((axis.length * up) / down) }, (_, tick) => {
    const center = tick * down;
    let sum = mean;
    for (let k = Math.ceil((center - half) / up); k * up <= center + half; k++) {
      sum += filter[half + center - k * up] * onLine(rest, k);
    }
    return sum;
  });
}

function onLine(axis: number[], index: number): number {
  const last = axis.length - 1;
  if (index >= 0 && index <= last) return axis[index];
  return axis[0] + (index * (axis[last] - axis[0])) / last;
}

const filters = new Map<string, number[]>();

/** A low pass by a Kaiser window, as scipy.signal.firwin designs it, times `up`. */
function filterOf(up: number, down: number): number[] {
  const key = `${up}/${down}`;
  const known = filters.get(key);
  if (known) return known;
  const longest = Math.max(up, down);
  const half = HALF_LENGTH * longest;
  const taps = Array.from({ length: 2 * half + 1 }, (_, i) => {
    const x = (Math.PI * (i - half)) / longest;
    const window = bessel(KAISER_BETA * Math.sqrt(1 - ((i - half) / half) ** 2)) / bessel(KAISER_BETA);
    return (x === 0 ? 1 : Math.sin(x) / x) * window;
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  const filter = taps.map((tap) => (tap * up) / sum);
  filters.set(key, filter);
  return filter;
}

/** The modified Bessel function of order 0, by its power series. */
function bessel(x: number): number {
  let [term, sum] = [1, 1];
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b ? gcd(b, a % b) : a;
}
