/**
 * Whether a live recording contradicts the training recordings, by the rules of
 * har_jax/recognizer/frame_check.py. The gyroscope is not compared: browsers agree about its signs.
 */

import { median } from './resample';
import { CHANNELS, type Window } from './windows';

const CHECKED_AT = [20, 80, 320]; // windows: what half a minute says may change once, and once more
const G_M_S2 = 9.80665;
const HAS_GRAVITY_G = 0.5;
const [OPPOSITE, ELSEWHERE, TIE] = [1, 2, 0.6]; // gain of log-likelihood a window
const MOVING_G = 0.05; // of a device on a table, gravity says nothing
const FEWEST_MOVING = 10;
const PERSON_G = 0.25;
const OUTLIERS = 0.02;
const [SLOWER, FAST_ENOUGH] = [0.5, 0.8]; // of the rate in training; of the model's rate

/** What the card keeps of the training recordings. */
export interface Signals {
  gravity: { position: string; windows: number; mean: number[]; covariance: number[] }[]; // xx xy xz yy yz zz
  length_g: number;
  rates_hz: number[];
}

export type Contradiction = 'lacks_gravity' | 'has_gravity' | 'opposite' | 'elsewhere' | 'slower';

/** All ways to name and orient three orthogonal axes: as they are first, the opposite signs eighth. */
const TURNS = [0, 1, 2].flatMap((x) =>
  [1, 2].flatMap((step) =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((signs) => (mean: readonly number[]): number[] =>
      [x, (x + step) % 3, (x + 2 * step) % 3].map((axis, i) => (signs & (1 << i) ? -mean[axis] : mean[axis])),
    ),
  ),
);
const [AS_IS, FLIP] = [0, 7];

export class FrameCheck {
  private readonly means: number[][] = []; // in g
  private readonly moving: boolean[] = [];
  private found: Contradiction | undefined;

  constructor(
    private readonly trained: Signals | null,
    private readonly modelHz: number,
  ) {}

  /** What contradicts the training recordings, as far as the windows tell. They must not overlap by more. */
  push({ signal, rateHz }: Pick<Window, 'signal' | 'rateHz'>): Contradiction | undefined {
    if (this.means.length === CHECKED_AT.at(-1)) return this.found;
    this.means.push(meanG(signal));
    this.moving.push(isMoving(signal));
    if (CHECKED_AT.includes(this.means.length)) this.found = this.check(rateHz);
    return this.found;
  }

  private check(rateHz: number): Contradiction | undefined {
    const hasGravity = median(this.means.map((mean) => Math.hypot(...mean))) > HAS_GRAVITY_G;
    if (hasGravity !== (this.trained === null || this.trained.length_g > HAS_GRAVITY_G)) {
      return hasGravity ? 'has_gravity' : 'lacks_gravity';
    }
    if (this.trained === null) return undefined;
    if (hasGravity) {
      const { opposite, best } = this.gains(this.trained);
      if (opposite > OPPOSITE && opposite > best - TIE) return 'opposite';
      if (opposite > OPPOSITE || best > ELSEWHERE) return 'elsewhere';
    }
    const slowest = Math.min(SLOWER * (this.trained.rates_hz.at(0) ?? 0), FAST_ENOUGH * this.modelHz);
    return rateHz < slowest ? 'slower' : undefined;
  }

  /** How much more likely gravity is with the opposite sign, and in the axes that fit best. */
  gains(trained: Signals): { opposite: number; best: number } {
    const all = this.gainsOf(trained, this.means);
    const moving = this.means.filter((_, index) => this.moving[index]);
    const worn = moving.length < FEWEST_MOVING ? all : this.gainsOf(trained, moving);
    const lower = all.map((gain, index) => Math.min(gain, worn[index]));
    return { opposite: lower[FLIP], best: Math.max(...lower) };
  }

  private gainsOf(trained: Signals, means: readonly number[][]): number[] {
    const likelihood = mixture(trained);
    const totals = TURNS.map((turn) => means.reduce((sum, mean) => sum + likelihood(turn(mean)), 0));
    return totals.map((total) => (total - totals[AS_IS]) / means.length);
  }
}

/** The log-likelihood of a window's mean: a Gaussian for each activity and position, and a few anywhere. */
function mixture({ gravity }: Signals): (mean: number[]) => number {
  const windows = gravity.reduce((sum, each) => sum + each.windows, 0);
  const gaussians = gravity.map((each) => {
    const [xx, xy, xz, yy, yz, zz] = each.covariance.map((value, i) =>
      [0, 3, 5].includes(i) ? value + PERSON_G ** 2 : value,
    );
    const adjugate = [
      [yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy],
      [xz * yz - xy * zz, xx * zz - xz * xz, xy * xz - xx * yz],
      [xy * yz - xz * yy, xy * xz - xx * yz, xx * yy - xy * xy],
    ];
    const determinant = dot([xx, xy, xz], adjugate[0]);
    const weight = ((1 - OUTLIERS) * (each.windows / windows + 1 / gravity.length)) / 2;
    const scale = Math.log(weight) - Math.log((2 * Math.PI) ** 3 * determinant) / 2;
    return (mean: number[]): number => {
      const deviation = mean.map((value, axis) => value - each.mean[axis]);
      return scale - dot(deviation, adjugate.map((row) => dot(row, deviation))) / determinant / 2;
    };
  });
  const anywhere = OUTLIERS / ((4 / 3) * Math.PI);
  return (mean) => Math.log(gaussians.reduce((sum, each) => sum + Math.exp(each(mean)), anywhere));
}

function meanG(signal: Float32Array): number[] {
  const sums = [0, 0, 0];
  signal.forEach((value, index) => {
    if (index % CHANNELS < 3) sums[index % CHANNELS] += value;
  });
  return sums.map((sum) => ((sum / signal.length) * CHANNELS) / G_M_S2);
}

function isMoving(signal: Float32Array): boolean {
  const lengths: number[] = [];
  for (let i = 0; i < signal.length; i += CHANNELS) lengths.push(Math.hypot(...signal.subarray(i, i + 3)));
  const mean = lengths.reduce((sum, each) => sum + each, 0) / lengths.length;
  const squares = lengths.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  return Math.sqrt(squares / lengths.length) > MOVING_G * G_M_S2;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index], 0);
}
