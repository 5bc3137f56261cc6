/** The list of faults that no test can see, as the tool for faults reads it. */

import { expect, test } from 'vitest';
import { findEquivalents } from './mutants.js';

const FAULTS = [
  { id: '1', path: 'src/steps.ts', change: 'a > b → a >= b' },
  { id: '2', path: 'src/steps.ts', change: 'a + b → a - b' },
  { id: '3', path: 'src/steps.ts', change: 'a + b → a - b' },
];

test('an equivalent is one fault of its file, if that is mutated', () => {
  const [once, twice] = FAULTS;
  expect([...findEquivalents(FAULTS, [once])]).toEqual(['1']);
  expect(findEquivalents(FAULTS, [once, { ...once, path: 'src/main.ts' }])).toContain('1');
  for (const [entry, message] of [
    [twice, '2 faults “a + b → a - b”, not one: correct this entry or delete it'],
    [{ ...once, change: 'a < b → a <= b' }, 'src/steps.ts has 0 faults'],
    [{ ...once, path: 'src/gone.ts' }, 'src/gone.ts has 0 faults'],
  ] as const) {
    expect(() => findEquivalents(FAULTS, [once, entry])).toThrow(message);
  }
});
