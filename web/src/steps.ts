/** Steps of walking and running, as har_jax/signal/steps.py and har_jax/timeline/movement.py count them. */

import { sumUpModerate, sumUpSitting, type Bout, type BoutSum } from './bouts';
import { median } from './resample';
import { CHANNELS, type Window } from './windows';

const RATE_HZ = 50;
const SLACK_SAMPLES = 1e-3;
// scipy.signal.butter(2, (0.5, 5), 'band', fs=50, output='sos'): b, then a without its 1.
const BAND = [
  [0.05644846226073644, 0.11289692452147287, 0.05644846226073644, -1.2453222101297106, 0.4903594152210743],
  [1, -2, 1, -1.9141410919894561, 0.9186025924534583],
];
const PADDED = 15; // samples at each end, as scipy.signal.sosfiltfilt pads for these
const PART_S = 6;
const REGULAR = 0.3;
const AS_HIGH = 0.85;
const WALKING = ['walking', 'treadmill_walking', 'nordic_walking'];
const RUNNING = ['running', 'jogging'];
/** Seconds of a stride: from and to. */
const STRIDE_S = new Map<string, readonly [number, number]>([
  ...WALKING.map((name) => [name, [0.8, 1.6]] as const),
  ...RUNNING.map((name) => [name, [0.55, 0.95]] as const),
]);

/** A window's answer. `lengths`: of acceleration, of the samples that the window before does not have. */
export interface Moment {
  timeMs: number;
  isFirst: boolean; // after a gap
  activity: string;
  lengths: readonly number[];
}

interface Gait {
  steps: number;
  cadence: number | undefined; // steps a minute while walking
}

export interface Movement extends Gait {
  moderate: BoutSum;
  sitting: BoutSum;
}

/** The lengths of the last `count` samples. */
export function lengthsOf({ signal }: Pick<Window, 'signal'>, count: number): number[] {
  const samples = signal.length / CHANNELS;
  return Array.from({ length: Math.min(count, samples) }, (_, index) => {
    const first = CHANNELS * (samples - Math.min(count, samples) + index);
    return Number(Math.hypot(...signal.subarray(first, first + 3)).toFixed(4));
  });
}

/** Of all bouts: windows without a gap that have one activity. `windowS`, `rateHz`: of the model. */
export function measureMovement(moments: readonly Moment[], windowS: number, rateHz: number): Movement {
  let [steps, walkedS, weighted] = [0, 0, 0];
  const bouts: Bout[] = [];
  for (const part of partsOf(moments)) {
    const timesS = part.map(({ timeMs }) => timeMs / 1000);
    const stopS = timesS[timesS.length - 1] + windowS;
    const lengths = part.flatMap((moment) => moment.lengths);
    // Two bouts meet midway between the centers of their windows.
    const edges = timesS.map((time, index) => (index ? (timesS[index - 1] + time + windowS) / 2 : time));
    const at = (timeS: number): number => Math.max(lengths.length - Math.round((stopS - timeS) * rateHz), 0);
    for (let first = 0, stop = 1; first < part.length; first = stop++) {
      const { activity } = part[first];
      while (stop < part.length && part[stop].activity === activity) stop++;
      const name = activity.trim().toLowerCase().replaceAll(/[ -]/g, '_');
      const [fromS, toS] = [edges[first], stop < part.length ? edges[stop] : stopS];
      const bout: Bout = { name, startS: fromS, stopS: toS, cadence: undefined };
      bouts.push(bout);
      const strideS = STRIDE_S.get(name);
      if (!strideS) continue;
      const counted = countSteps(lengths.slice(at(fromS), at(toS)), rateHz, strideS);
      steps += counted.steps;
      if (counted.cadence === undefined || !WALKING.includes(name)) continue;
      bout.cadence = counted.cadence;
      weighted += counted.cadence * (toS - fromS);
      walkedS += toS - fromS;
    }
  }
  const [moderate, sitting] = [sumUpModerate(bouts), sumUpSitting(bouts)];
  return { steps: Math.round(steps), cadence: walkedS ? weighted / walkedS : undefined, moderate, sitting };
}

function partsOf(moments: readonly Moment[]): Moment[][] {
  const parts: Moment[][] = [];
  for (const moment of moments) {
    if (moment.isFirst || !parts.length) parts.push([]);
    parts[parts.length - 1].push(moment);
  }
  return parts;
}

/** Steps in a piece of steady gait, and the median of steps a minute. */
export function countSteps(
  lengths: readonly number[],
  rateHz: number,
  strideS: readonly [number, number],
): Gait {
  const durationS = (lengths.length - 1) / rateHz;
  if (durationS < 2 * strideS[0]) return { steps: 0, cadence: undefined };
  const even = Array.from({ length: Math.ceil(durationS * RATE_HZ - SLACK_SAMPLES) }, (_, index) => {
    const place = (index * rateHz) / RATE_HZ;
    const left = Math.min(Math.floor(place), lengths.length - 2);
    return lengths[left] + (place - left) * (lengths[left + 1] - lengths[left]);
  });
  const parts = split(filtered(even), Math.max(Math.round(durationS / PART_S), 1));
  const strides = parts.map((part) => [part.length, findStrideS(part, strideS)] as const);
  const cadences = strides.flatMap(([, each]) => (each === undefined ? [] : 120 / each));
  const steps = strides.reduce((sum, [count, each]) => sum + (each ? (2 * count) / RATE_HZ / each : 0), 0);
  return { steps, cadence: cadences.length ? median(cadences) : undefined };
}

/** Parts of nearly one length; NumPy's array_split. */
function split(values: readonly number[], count: number): number[][] {
  const [least, more] = [Math.floor(values.length / count), values.length % count];
  const ends = Array.from({ length: count + 1 }, (_, index) => index * least + Math.min(index, more));
  return ends.slice(1).map((end, index) => values.slice(ends[index], end));
}

/** Forward and backward, from a steady state; scipy.signal.sosfiltfilt. */
function filtered(values: readonly number[]): number[] {
  const last = values.length - 1;
  const before = Array.from({ length: PADDED }, (_, i) => 2 * values[0] - values[PADDED - i]);
  const after = Array.from({ length: PADDED }, (_, i) => 2 * values[last] - values[last - 1 - i]);
  const forward = inBand([...before, ...values, ...after]);
  return inBand(forward.reverse()).reverse().slice(PADDED, -PADDED);
}

function inBand(values: readonly number[]): number[] {
  let level = values[0]; // as if it had been so for ever
  return BAND.reduce<readonly number[]>((signal, [b0, b1, b2, a1, a2]) => {
    const steady = (level * (b0 + b1 + b2)) / (1 + a1 + a2);
    let second = b2 * level - a2 * steady;
    let first = b1 * level - a1 * steady + second;
    level = steady;
    return signal.map((value) => {
      const output = b0 * value + first;
      first = b1 * value - a1 * output + second;
      second = b2 * value - a2 * output;
      return output;
    });
  }, values) as number[];
}

/** The lag, between samples by a parabola, at which the part fits itself. */
function findStrideS(part: readonly number[], strideS: readonly [number, number]): number | undefined {
  const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
  const rest = part.map((value) => value - mean);
  const first = Math.round(strideS[0] * RATE_HZ);
  const last = Math.min(Math.round(strideS[1] * RATE_HZ), Math.floor((2 * part.length) / 3));
  const fits = Array.from({ length: Math.max(last, 0) + 2 }, (_, lag) => correlation(rest, lag));
  const lags = [...fits.keys()].slice(first, last + 1);
  const peaks = lags.filter((lag) => fits[lag] >= fits[lag - 1] && fits[lag] > fits[lag + 1]);
  const highest = Math.max(...peaks.map((lag) => fits[lag]));
  if (!peaks.length || highest < REGULAR) return undefined;
  const lag = peaks.find((each) => fits[each] >= AS_HIGH * highest) ?? peaks[0];
  const [before, peak, after] = fits.slice(lag - 1, lag + 2);
  return (lag + (before - after) / (2 * (before - 2 * peak + after))) / RATE_HZ;
}

/** Of the part's beginning with its end. */
function correlation(part: readonly number[], lag: number): number {
  let [product, begins, ends] = [0, 0, 0];
  for (let i = 0; i + lag < part.length; i++) {
    product += part[i] * part[i + lag];
    begins += part[i] ** 2;
    ends += part[i + lag] ** 2;
  }
  return product / Math.max(Math.sqrt(begins * ends), 1e-9);
}
