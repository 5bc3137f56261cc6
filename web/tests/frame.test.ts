/** The same contradictions as in Python: har_jax/recognizer/frame_check.py. */

import { expect, inject, test } from 'vitest';
import { FrameCheck, type Contradiction, type Signals } from '../src/frame';
import { readExpected } from './setup';

const { cases, signals, windows } = readExpected(inject('folder')).frames;

type Change = (value: number, index: number, window: number[]) => number;

/** What is found in the last of all windows, each of them changed. */
function pushAll(check: FrameCheck, change: Change, rateHz = 60): Contradiction | undefined {
  const all = windows.map((window) => new Float32Array(window.map(change)));
  return all.map((signal) => check.push({ signal, rateHz })).at(-1);
}

function found(change: Change, trained: Signals | null = signals, rateHz = 60): Contradiction | undefined {
  return pushAll(new FrameCheck(trained, 50), change, rateHz);
}

test.each(Object.keys(cases))('gravity in the axes %s is judged as in Python', (name) => {
  const { axis, sign, opposite, best, contradiction } = cases[name];
  const check = new FrameCheck(signals, 50);
  const turned = pushAll(check, (value, index, window) => {
    const channel = index % 6;
    return channel < 3 ? sign[channel] * window[index - channel + axis[channel]] : value;
  });
  const gains = check.gains(signals);
  expect(gains.opposite).toBeCloseTo(opposite, 4);
  expect(gains.best).toBeCloseTo(best, 4);
  expect(turned ?? null).toBe(contradiction);
});

test('fewer than twenty windows say nothing', () => {
  const check = new FrameCheck(signals, 50);
  const flipped = windows.slice(1).map((window) => new Float32Array(window.map((value) => -value)));
  for (const signal of flipped) expect(check.push({ signal, rateHz: 60 })).toBeUndefined();
});

test('acceleration without gravity contradicts a model that had it, and the reverse', () => {
  const linear = (value: number, index: number): number => (index % 6 < 3 ? value / 100 : value);
  expect(found(linear)).toBe('lacks_gravity');
  expect(found(linear, null)).toBe('lacks_gravity');
  expect(found((value) => value, { ...signals, length_g: 0.5 })).toBe('has_gravity');
});

test('sensors are slow below half of the training rate, and only below 40 Hz', () => {
  const atHz = (rateHz: number, trainedHz: number[]) =>
    found((value) => value, { ...signals, rates_hz: trainedHz }, rateHz);
  expect(atHz(20, [50])).toBe('slower');
  expect(atHz(30, [50])).toBeUndefined();
  expect(atHz(45, [200])).toBeUndefined();
  expect(atHz(20, [])).toBeUndefined();
});

test('a model of 25 Hz has enough with 20 Hz', () => {
  const slow = { ...signals, rates_hz: [50] };
  expect(pushAll(new FrameCheck(slow, 25), (value) => value, 20)).toBeUndefined();
  expect(pushAll(new FrameCheck(slow, 25), (value) => value, 19)).toBe('slower');
});

/** z of gravity in g; moving or not. */
function window(g: number, isMoving: boolean): Float32Array {
  const swing = (index: number): number => (isMoving ? Math.sin(index) : 0);
  return new Float32Array(128 * 6).map((_, index) => (index % 6 === 2 ? 9.80665 * g + swing(index) : 0));
}

test('ten windows or more that move are asked alone, too', () => {
  const gravity = [{ position: '', windows: 9, mean: [0, 0, 1], covariance: [0, 0, 0, 0, 0, 0] }];
  const trained = { gravity, length_g: 1, rates_hz: [] };
  const oppositeOf = (moving: number): number => {
    const check = new FrameCheck(trained, 50);
    for (let i = 0; i < moving; i++) check.push({ signal: window(1, true), rateHz: 50 });
    for (let i = 0; i < 15; i++) check.push({ signal: window(-1, false), rateHz: 50 });
    return check.gains(trained).opposite;
  };
  expect(oppositeOf(9)).toBeGreaterThan(1);
  expect(oppositeOf(10)).toBeLessThan(-1);
});

test('windows after the last check are not kept', () => {
  const check = new FrameCheck(signals, 50);
  for (let i = 0; i < 320; i++) check.push({ signal: window(1, true), rateHz: 50 });
  const gains = check.gains(signals);
  for (let i = 0; i < 9; i++) check.push({ signal: window(-1, true), rateHz: 50 });
  expect(check.gains(signals)).toEqual(gains);
});

test.each([
  [1.2, 1.7, 'opposite'],
  [1.2, 1.9, 'elsewhere'],
  [0.9, 2.1, 'elsewhere'],
  [0.9, 1.9, undefined],
])('gains of %f for the opposite signs and %f for the best axes: %s', (opposite, best, contradiction) => {
  const check = new FrameCheck({ ...signals, length_g: 1 }, 50);
  check.gains = () => ({ opposite, best });
  const said = Array.from({ length: 20 }, () => check.push({ signal: window(1, false), rateHz: 50 }));
  expect(said.at(-1)).toBe(contradiction);
});
