/** What the first second of motion events tells: is gravity in it, and does it point where we expect? */

import { median } from './resample';

const LEAST_M_S2 = 5; // half of gravity: without it, even a run's median length is below
const NEAR_1 = [0.8, 1.25]; // the mean is so long if gravity is 1
const CERTAIN = 0.5; // of gravity along the axis that points up: a phone on the move is not that far off

export interface Moment {
  acc: readonly number[]; // x y z in m/s², as the event gives it
  up: readonly number[] | undefined; // the world's up in the phone's axes, if its orientation is known
}

export interface Gravity {
  isIncluded: boolean;
  isInG: boolean; // instead of m/s²
  sign: 1 | -1; // -1: the event's signs must be reversed, so that a phone on its back reads z = +9.8
}

export function findGravity(moments: readonly Moment[], platformSign: 1 | -1): Gravity {
  const isIncluded = median(moments.map(({ acc }) => Math.hypot(...acc))) >= LEAST_M_S2;
  const mean = [0, 1, 2].map((axis) => moments.reduce((sum, { acc }) => sum + acc[axis], 0) / moments.length);
  const length = Math.hypot(...mean);
  const isInG = NEAR_1[0] < length && length < NEAR_1[1];
  const along = moments.flatMap(({ acc, up }) => (up ? [dot(acc, up) / Math.hypot(...acc)] : []));
  const share = along.length ? median(along) : 0;
  return { isIncluded, isInG, sign: Math.abs(share) >= CERTAIN ? (share > 0 ? 1 : -1) : platformSign };
}

/**
 * The world's up in the phone's axes, from angles in degrees.
 *
 * Source: W3C Device Orientation, the last row of R = Z(alpha) X(beta) Y(gamma).
 */
export function upFrom(beta: number, gamma: number): number[] {
  const [b, g] = [(beta * Math.PI) / 180, (gamma * Math.PI) / 180];
  return [-Math.cos(b) * Math.sin(g), Math.sin(b), Math.cos(b) * Math.cos(g)];
}

/** iOS turns the signs of acceleration; an iPad says that it is a Mac. Used where no orientation is known. */
export function signOf(platform: { userAgent: string; maxTouchPoints: number }): 1 | -1 {
  const { userAgent, maxTouchPoints } = platform;
  const isIos = /iPhone|iPad|iPod/.test(userAgent) || (userAgent.includes('Macintosh') && maxTouchPoints > 1);
  return isIos ? -1 : 1;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index], 0);
}
