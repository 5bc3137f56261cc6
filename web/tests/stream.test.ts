/** The same windows and the same filter as in Python, on clocks of browsers. */

import { expect, inject, test } from 'vitest';
import { Chain } from '../src/chain';
import { atRate } from '../src/resample';
import { countSteps, lengthsOf, measureMovement, type Moment } from '../src/steps';
import { rulesOf, Windows } from '../src/windows';
import { readExpected } from './setup';

const RULES = { samples: 128, rateHz: 50, hopS: 1.28, maxGapS: 0.2 };
const { cases, chain, gaits, lengths, steps } = readExpected(inject('folder'));

function furthest(a: ArrayLike<number>, b: number[]): number {
  return Math.max(...b.map((value, index) => Math.abs(a[index] - value)));
}

test.each(Object.keys(cases))('windows are those of Python: %s', (name) => {
  const { time_s, samples, start_s, windows } = cases[name];
  const stream = new Windows(RULES);
  const found = time_s.flatMap((timeS, index) => stream.push({ timeS, values: samples[index] }));
  expect(found).toHaveLength(windows.length);
  expect(furthest(found.map(({ startS }) => startS), start_s)).toBeLessThan(1e-9);
  found.forEach(({ signal }, index) => expect(furthest(signal, windows[index])).toBeLessThan(1e-5));
});

test.each(Object.keys(lengths))('a card of %s is heeded as in Python', (name) => {
  const { card, cases } = lengths[name];
  const rules = rulesOf(card);
  for (const { time_s, samples, start_s, windows } of Object.values(cases)) {
    const stream = new Windows(rules);
    const found = time_s.flatMap((timeS, index) => stream.push({ timeS, values: samples[index] }));
    expect(found).toHaveLength(windows.length);
    expect(windows.length).toBeGreaterThan(1);
    expect(furthest(found.map(({ startS }) => startS), start_s)).toBeLessThan(1e-9);
    found.forEach(({ signal }, index) => expect(furthest(signal, windows[index])).toBeLessThan(1e-5));
  }
});

test('only a window after a gap is a first one', () => {
  const { time_s, samples } = cases['a pause of a second'];
  const stream = new Windows(RULES);
  const found = time_s.flatMap((timeS, index) => stream.push({ timeS, values: samples[index] }));
  expect(found.filter(({ isFirst }) => isFirst)).toHaveLength(2);
});

test('a window has the rate of its samples', () => {
  const { time_s, samples } = cases['even at 50 Hz'];
  const stream = new Windows(RULES);
  const found = time_s.flatMap((timeS, index) => stream.push({ timeS, values: samples[index] }));
  expect(found[3].rateHz).toBeCloseTo(50, 6);
});

test('a hop that is longer than what is kept goes on, and so do gaps', () => {
  const stream = new Windows({ ...RULES, hopS: 10 });
  const push = (fromS: number, samples: number) =>
    [...Array(samples).keys()].flatMap((index) =>
      stream.push({ timeS: fromS + index / 50, values: [0, 0, 9.8, 0, 0, 0] }),
    );
  const found = [...push(0, 700), ...push(15, 200)];
  expect(found.map(({ startS, isFirst }) => [startS, isFirst])).toEqual([[0, true], [10, false], [15, true]]);
});

test('steps of a real recording are those of Python', () => {
  const stream = new Windows(RULES);
  const windows = steps.samples.flatMap((values, index) => stream.push({ timeS: index / 50, values }));
  const moments = windows.map((window, index): Moment => {
    const centerS = window.startS + 1.28;
    const bout = steps.bouts.find(({ start_s, end_s }) => start_s <= centerS && centerS < end_s);
    const fresh = index ? Math.round((window.startS - windows[index - 1].startS) * 50) : Infinity;
    const lengths = lengthsOf(window, fresh);
    return { timeMs: 1000 * window.startS, isFirst: window.isFirst, activity: bout?.activity ?? '', lengths };
  });
  const measured = measureMovement(moments, 2.56, 50);
  expect(measured.steps).toBe(steps.movement.steps);
  expect(measured.steps).toBeGreaterThan(100);
  expect(measured.cadence).toBeCloseTo(steps.movement.walking_cadence, 1);
  for (const kind of ['moderate', 'sitting'] as const) {
    const { minutes, longest_minutes } = steps.movement[kind];
    const { lastsS, longestS } = measured[kind];
    expect(minutes).toBeGreaterThan(0);
    expect(lastsS / 60).toBeCloseTo(minutes, 2);
    expect(longestS / 60).toBeCloseTo(longest_minutes, 2);
  }
});

test.each(gaits)('steps at $rate_hz Hz: $steps, as in Python', ({ rate_hz, lengths, steps, cadence }) => {
  const counted = countSteps(lengths, rate_hz, [0.8, 1.6]);
  expect(counted.steps).toBeCloseTo(steps, 4);
  if (cadence === null) expect(counted.cadence).toBeUndefined();
  else expect(counted.cadence).toBeCloseTo(cadence, 4);
});

test('the shortest walk has two of the shortest strides', () => {
  const walk = Array.from({ length: 81 }, (_, i) => Math.sin((2 * Math.PI * i) / 45));
  expect(countSteps(walk, 50, [0.8, 1.6]).cadence).toBeGreaterThan(120);
  expect(countSteps(walk.slice(1), 50, [0.8, 1.6])).toEqual({ steps: 0, cadence: undefined });
});

test('a step of twice the median is no hole', () => {
  const timeS = [0, 1, 2, 3, 5, 6, 7, 8].map((each) => each / 64);
  const [made] = atRate({ timeS, values: [timeS.map((each) => (64 * each) ** 2)] }, 64, 0, 0.125);
  expect(made[4]).toBeCloseTo(16.19005, 5); // by SciPy; 17 on a straight line
});

test('three samples at a time have their own times', () => {
  const timeS = Array.from({ length: 90 }, (_, i) => Math.floor(i / 3) * 0.04 + (i % 3) * 0.005);
  const [made] = atRate({ timeS, values: [timeS] }, 50, 0, 1.16);
  expect(furthest(made, made.map((_, index) => index / 50))).toBeLessThan(1e-3);
});

test('the filter over time is that of Python', () => {
  const filter = new Chain(5, 1.28, 2.56);
  let before: number[] | undefined;
  chain.rows.forEach((row, index) => {
    before = filter.update(before, row);
    expect(furthest(before, chain.posteriors[index])).toBeLessThan(1e-12);
  });
  const apart = new Chain(5, 2.56, 2.56).update(undefined, [0.8, 0.2]); // no evidence counts twice
  expect(furthest(apart, [0.8, 0.2])).toBeLessThan(1e-12);
});
