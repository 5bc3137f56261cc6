/** Corrections, the adapter made of them, and what a whole recording tells: the same numbers as in Python. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { withLearned, type AdapterCard } from '../src/adapter';
import { tabulate } from '../src/answers';
import { Chain } from '../src/chain';
import { Learner } from '../src/learner';
import { adaptToRecording, setOf } from '../src/whole';
import { readExpected, type Event } from './setup';

const folder = inject('folder');
const { corrections, recording, adapters } = readExpected(folder);

function newLearner(model = 'x'): Learner {
  return new Learner(model, new Chain(5, 0.64, 2.56), ['a', 'b', 'c'], 1.5);
}

function furthest(a: readonly number[][], b: readonly number[][]): number {
  return Math.max(...b.flatMap((row, i) => row.map((value, j) => Math.abs(a[i][j] - value))));
}

function update(learner: Learner, { start_s, hidden, logits, adapted }: NonNullable<Event['window']>) {
  return learner.update(start_s, hidden, logits, adapted);
}

/** Its posteriors from the event `first` on. `learner`: one that has all events before. */
function replay(learner: Learner, first = 0): number[][] {
  let nowS = 0;
  const posteriors: number[][] = [];
  corrections.forEach(({ window, correct, undo, restart }, index) => {
    if (window) nowS = window.start_s + 2.56;
    if (index < first) return;
    if (window) posteriors.push(update(learner, window).posterior);
    if (correct) expect(learner.correct(correct[0], nowS - correct[1])).toBe(true);
    if (undo) expect(learner.undo()).toBe(true);
    if (restart) learner.restart();
  });
  return posteriors;
}

test('corrections change the filter as in Python', () => {
  const posteriors = replay(newLearner());
  const expected = corrections.flatMap(({ posterior }) => (posterior ? [posterior] : []));
  expect(new Set(expected.map((row) => row.length))).toEqual(new Set([3, 4]));
  expect(posteriors.map((row) => row.length)).toEqual(expected.map((row) => row.length));
  expect(furthest(posteriors, expected)).toBeLessThan(1e-3);
});

test('the addition to the output layer is that of Python after each correction', () => {
  const learner = newLearner();
  let nowS = 0;
  let compared = 0;
  for (const { window, correct, undo, added } of corrections) {
    if (window) {
      nowS = window.start_s + 2.56;
      update(learner, window);
    }
    if (correct) learner.correct(correct[0], nowS - correct[1]);
    if (undo) learner.undo();
    if (!added) continue;
    expect(furthest(learner.added ?? [], added)).toBeLessThan(1e-3);
    expect(Math.max(...added.flat())).toBeGreaterThan(0.1);
    compared++;
  }
  expect(compared).toBe(7);
});

test('what was learned outlives a reload, and can be taken back after it', () => {
  const [learner, reloaded] = [newLearner(), newLearner()];
  replay(learner);
  const state = JSON.parse(JSON.stringify(learner.save())) as ReturnType<Learner['save']>;
  expect(reloaded.restore(state)).toBe(true);
  expect(newLearner('other').restore(state)).toBe(false);
  learner.restart();
  const { hidden, logits, start_s } = corrections[0].window ?? { hidden: [], logits: [], start_s: 0 };
  const answers = (): number[][] =>
    [learner, reloaded].map((each) => each.update(200 + start_s, hidden, logits).posterior);
  while (learner.corrections.length) {
    const [before, after] = answers();
    expect(furthest([after], [before])).toBeLessThan(1e-5);
    expect([learner.undo(), reloaded.undo()]).toEqual([true, true]);
  }
  const [before, after] = answers();
  expect(furthest([after], [before])).toBeLessThan(1e-5);
  expect(reloaded.undo()).toBe(false);
});

test('a span without a whole window is not learned, nor what lies outside it', () => {
  const learner = newLearner();
  expect(learner.correct('a', 0)).toBe(false);
  for (let i = 0; i < 10; i++) learner.update(1.28 * i, [1, 0, 0, 0, i], [1, 0, 0]);
  expect(learner.correct('b', 3, 5)).toBe(false);
  expect(learner.correct('b', 2.56, 7.68)).toBe(true); // of half-overlapping windows, every second one
  expect(learner.save().layers[1].corrected.map(({ hidden }) => hidden[4])).toEqual([4, 2]);
  expect(learner.forget()).toBe(true);
  expect(learner.names).toEqual(['a', 'b', 'c']);
});

test('a correction labels the last minute at most, and thirty-three are remembered', () => {
  const learner = new Learner('x', new Chain(0, 1, 2), ['a', 'b'], 1);
  for (let i = 0; i < 100; i++) learner.update(i, [i % 7], [1, 0]);
  learner.correct('b', 0);
  expect(learner.save().layers[1].corrected).toHaveLength(61);
  for (let i = 100; i < 134; i++) {
    learner.update(i, [i % 7], [1, 0]);
    learner.correct('b', i);
  }
  expect(learner.corrections).toHaveLength(33);
});

test('windows of a correction and of half a minute before it are not replayed as they were answered', () => {
  const probability = (seconds: number): number => {
    const learner = new Learner('x', new Chain(0, 1, 1), ['a', 'b'], 1, () => 1);
    for (let i = 0; i < 40; i++) learner.update(i, [Number(i >= 5)], [1, 0]);
    learner.correct('b', 40 - seconds);
    return learner.update(40, [1], [1, 0]).probabilities[1];
  };
  // The sample has the first windows: those from 5 s on say the opposite where they are replayed.
  expect(probability(35)).toBeGreaterThan(0.95);
  expect(probability(29)).toBeLessThan(0.95);
});

test('of many windows a class keeps thirty-two, each as likely as another', () => {
  const random = [0.999, 0.5, 0];
  const learner = new Learner('x', new Chain(0, 1, 1), ['a', 'b'], 1, () => random.shift() ?? 1);
  for (let i = 0; i < 35; i++) learner.update(i, [i], [1, 0]);
  const [[, kept]] = learner.save().samples;
  const numbers = Array.from({ length: 32 }, (_, i) => i);
  numbers[17] = 33; // the second draw: 0.5 of 34; the first one is beyond the sample
  numbers[0] = 34;
  expect(kept.map(({ hidden }) => hidden[0])).toEqual(numbers);
});

test.each(Object.keys(adapters))('the adapter has the leaves of Python: %s', async (name) => {
  const at = (file: string): Buffer => readFileSync(path.join(folder, name, file));
  const { added, card } = adapters[name];
  const bytes = new Uint8Array(at('adapter.safetensors'));
  const before = JSON.parse(at('adapter.json').toString()) as AdapterCard;
  const learned = { added, created: ['rowing'], corrections: 2 };
  const files = await withLearned({ ...before, corrections: 3 }, bytes.buffer, learned);
  const { sums, ...made } = JSON.parse(String(files['adapter.json'])) as AdapterCard & { sums: object };
  const expected = JSON.parse(JSON.stringify(card)) as AdapterCard; // without a negative zero
  expect(made).toEqual({ ...expected, corrections: 5 });
  expect(made.checksum).not.toBe(before.checksum);
  expect(Object.keys(sums)).toEqual(['adapter.safetensors']);
  const nothing = { added: added.map((row) => row.map(() => 0)), created: [], corrections: 0 };
  const again = await withLearned(made, (files['adapter.safetensors'] as typeof bytes).buffer, nothing);
  expect((JSON.parse(String(again['adapter.json'])) as AdapterCard).checksum).toBe(made.checksum);
});

/** A file of safetensors: leaves in this order, of bytes that count from 0. */
function stored(leaves: [path: string, dtype: string, shape: number[], size: number][]): ArrayBuffer {
  let stop = 0;
  const entries = leaves.map(([path, dtype, shape, size]) => {
    const data_offsets = [stop, (stop += size)];
    return [path, { dtype, shape, data_offsets }];
  });
  const header = JSON.stringify({ __metadata__: { format: 'x' }, ...Object.fromEntries(entries) });
  const bytes = new TextEncoder().encode(`        ${header}${'\0'.repeat(stop)}`);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  for (let i = 0; i < stop; i++) bytes[bytes.length - stop + i] = i;
  return bytes.buffer;
}

const LINEAR = { classes: [], model: { head: [] }, corrections: 0 } as unknown as AdapterCard;
const NOTHING = { added: [[0]], created: [], corrections: 0 };

test.each([
  ['dora/head/dense_0/scale', 'F32'],
  ['params/head/dense_0/bias', 'F16'],
  ['params/head/dense_0/scale', 'F32'],
])('an output layer with %s of %s is refused', async (path, dtype) => {
  const learned = withLearned(LINEAR, stored([[path, dtype, [0], 0]]), NOTHING);
  await expect(learned).rejects.toThrow(`it has ${path}`);
});

test('types have the names of Python in the checksum', async () => {
  const names = {
    F32: 'float32', F16: 'float16', BF16: 'bfloat16', U8: 'uint8', I8: 'int8', I32: 'int32', U32: 'uint32',
  };
  for (const [dtype, name] of Object.entries(names)) {
    const files = await withLearned(LINEAR, stored([['nf4/a/codes', dtype, [1], 4]]), NOTHING);
    const sum = createHash('sha256').update(`nf4/a/codes ${name}[1]\n`).update(Uint8Array.of(0, 1, 2, 3));
    expect((JSON.parse(String(files['adapter.json'])) as AdapterCard).checksum).toBe(sum.digest('hex'));
  }
});

test('leaves are summed by name, and stored with the widest first', async () => {
  const packed = ['nf4/a/codes', 'U8', [3], 3] as [string, string, number[], number];
  const wide = ['params/b/kernel', 'F32', [1, 2], 8] as [string, string, number[], number];
  const half = ['params/a/kernel', 'BF16', [1], 2] as [string, string, number[], number];
  const files = await withLearned(LINEAR, stored([packed, wide, half]), NOTHING);
  const sum = createHash('sha256');
  sum.update('nf4/a/codes uint8[3]\n').update(Uint8Array.of(0, 1, 2));
  sum.update('params/a/kernel bfloat16[1]\n').update(Uint8Array.of(11, 12));
  sum.update('params/b/kernel float32[1, 2]\n').update(Uint8Array.of(3, 4, 5, 6, 7, 8, 9, 10));
  const card = JSON.parse(String(files['adapter.json'])) as AdapterCard;
  expect(card.checksum).toBe(sum.digest('hex'));
  const content = files['adapter.safetensors'] as Uint8Array<ArrayBuffer>;
  const size = Number(new DataView(content.buffer).getBigUint64(0, true));
  expect(size % 8).toBe(0);
  const header = JSON.parse(new TextDecoder().decode(content.slice(8, 8 + size))) as object;
  expect(Object.keys(header)).toEqual(['params/b/kernel', 'params/a/kernel', 'nf4/a/codes']);
  expect([...content.slice(8 + size)]).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2]);
});

test('a recording is adapted by its own windows as in Python', () => {
  const { probabilities, class_logits, adapted } = recording;
  expect(furthest(adaptToRecording(probabilities, class_logits), adapted)).toBeLessThan(1e-9);
  expect(furthest(probabilities, adapted)).toBeGreaterThan(0.1);
});

test('only answers of this model without corrections are adapted to their recording', () => {
  const { probabilities, class_logits, adapted } = recording;
  const names = ['a', 'b', 'c', 'd', 'e'];
  const bestOf = (all: readonly number[][]) => all.map((row) => names[row.indexOf(Math.max(...row))]);
  // Shown at a temperature of 4, they adapt at 2, as they are.
  const shown = probabilities.map((row) => row.map(Math.sqrt));
  const rows = shown.map((row, i) => [1280 * i, 0, 0, 1, ...row]);
  const said = (model: string, corrections: number): string[] => {
    const doubled = class_logits.map((row) => row.map((each) => 2 * each));
    const card = { checksum: 'x', temperature: 4, adaptation_temperature: 2, class_logits: doubled };
    const session = { names, model, corrections, rows };
    return tabulate([session], card as AdapterCard, new Chain(0, 1.28, 2.56)).map(({ activity }) => activity);
  };
  expect(said('x', 0)).toEqual(bestOf(adapted));
  expect(said('x', 1)).toEqual(bestOf(probabilities));
  expect(said('other', 0)).toEqual(bestOf(probabilities));
  expect(bestOf(adapted)).not.toEqual(bestOf(probabilities));
});

test('posteriors from both sides are those of Python', () => {
  const chain = new Chain(5, 1.28, 2.56);
  expect(furthest(chain.smoothed(recording.probabilities), recording.smoothed)).toBeLessThan(1e-9);
});

test('sets are those of Python', () => {
  const { probabilities, scores, sets } = recording;
  const made = probabilities.map((row) => setOf(row, scores));
  expect(made).toEqual(sets.map((row) => [...row.keys()].filter((index) => row[index])));
  expect(new Set(made.map((each) => each.length)).size).toBeGreaterThan(1);
  expect(setOf([0.9, 0.1], [0.2])).toEqual([0, 1]); // too few scores
  expect(setOf([0.25, 0.75], Array<number>(20).fill(0.75))).toEqual([0, 1]);
  expect(setOf([0.4, 0.3, 0.3], Array<number>(20).fill(0.1))).toEqual([0]); // never none
});
