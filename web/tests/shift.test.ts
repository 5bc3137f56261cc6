/** The same distribution shift as in Python: har_jax/recognizer/distribution_shift.py. */

import { expect, inject, test } from 'vitest';
import { Shift } from '../src/shift';
import { readExpected } from './setup';

const { card, hidden, answers, shifts } = readExpected(inject('folder')).shift;

test('after each window it is that of the windows so far', () => {
  const shift = new Shift(card);
  const found = hidden.map((row, index) => {
    shift.push(answers[index], row);
    return shift.value;
  });
  expect(found.slice(0, 29)).toEqual(Array(29).fill(undefined));
  found.slice(29).forEach((value, index) => expect(value).toBeCloseTo(shifts[29 + index] ?? NaN, 3));
  expect(shifts[29]).not.toBeNull();
});

test.each([
  [1.01, true],
  [0.99, false],
])('a shift of %f is large: %s', (size, isLarge) => {
  const shift = new Shift({ class_means: [[0], [5]], class_spread: 4 });
  for (let i = 0; i < 40; i++) shift.push([1, 0], [2 * Math.sqrt(size)]);
  expect(shift.value).toBeCloseTo(size);
  expect(shift.isLarge).toBe(isLarge);
});

test('without the means and spread of the training windows there is none', () => {
  for (const missing of [{ class_spread: 4 }, { class_means: [[0], [5]] }]) {
    const shift = new Shift(missing);
    for (let i = 0; i < 40; i++) shift.push([1, 0], [9]);
    expect(shift.value).toBeUndefined();
    expect(shift.isLarge).toBe(false);
  }
});

test('a class of three windows or fewer does not count', () => {
  const shift = new Shift({ class_means: [[0], [0]], class_spread: 1 });
  for (let i = 0; i < 40; i++) shift.push(i < 3 ? [0, 1] : [1, 0], i < 3 ? [100] : [1]);
  expect(shift.value).toBe(1);
});
