/** What is recorded outlives a full storage and damaged parts; its CSV files hold no formula. */

import { beforeEach, expect, test, vi } from 'vitest';
import type { AdapterCard } from '../src/adapter';
import type { Learner } from '../src/learner';
import type { Recognizer } from '../src/recognizer';
import { csv, isTake, Recorder, type Take } from '../src/recorder';
import type { Store } from '../src/store';

const FOLDER = 'https://phone/x';
let isFull: boolean;
let held: Map<string, string>;

beforeEach(() => {
  isFull = false;
  held = new Map<string, string>();
  vi.stubGlobal('location', { pathname: '/x/' });
  vi.stubGlobal('caches', {
    open: () =>
      Promise.resolve({
        put: async (key: string, response: Response) => {
          if (isFull) throw new DOMException('full', 'QuotaExceededError');
          held.set(key, await response.text());
        },
        keys: () => Promise.resolve([...held.keys()].map((key) => ({ url: key.replace('.', FOLDER) }))),
        delete: ({ url }: Request) => Promise.resolve(held.delete(url.replace(FOLDER, '.'))),
        matchAll: () => Promise.resolve([...held.values()].map((text) => new Response(text))),
      }),
    delete: async (cache: string) => {
      if (cache === 'har_jax recording /x/') held.clear();
      return Promise.resolve(true);
    },
  });
});

async function newStore(): Promise<Store<Take>> {
  const { Store } = await import('../src/store');
  return new Store('recording', isTake);
}

function add(take: Take, count: number): void {
  for (let i = 0; i < count; i++) take.rows.push([1000 + take.rows.length * 20, 0, 0, 9.8, 0, 0, 0]);
}

test('rows that a full storage refused are stored once there is room', async () => {
  const store = await newStore();
  const take: Take = { label: 'walk', hasRotation: true, rows: [] };
  const outcomes: string[] = [];
  for (const full of [false, true, true, false, false]) {
    add(take, 600);
    isFull = full;
    await store.keep(take).then(
      () => outcomes.push('kept'),
      () => outcomes.push('refused'),
    );
  }
  expect(outcomes).toEqual(['kept', 'refused', 'refused', 'kept', 'kept']);
  const { series, damaged } = await store.restore();
  expect(damaged).toBe(0);
  expect(series.flatMap(({ rows }) => rows)).toEqual(take.rows);
  await store.forget();
  expect((await store.restore()).series).toEqual([]);
});

test('two writes at once store each row once', async () => {
  const store = await newStore();
  const take: Take = { label: 'walk', hasRotation: true, rows: [] };
  add(take, 600);
  const first = store.keep(take);
  add(take, 600);
  await Promise.all([first, store.keep(take)]);
  expect((await store.restore()).series.flatMap(({ rows }) => rows)).toEqual(take.rows);
});

test('rows that come while others are written are stored by the next call', async () => {
  const store = await newStore();
  const take: Take = { label: 'walk', hasRotation: true, rows: [] };
  add(take, 600);
  const set = held.set.bind(held);
  held.set = (key, text) => {
    add(take, 1);
    return set(key, text);
  };
  await store.keep(take);
  await store.keep(take);
  expect((await store.restore()).series.flatMap(({ rows }) => rows)).toHaveLength(601);
});

test('pages of one host do not share what was learned', async () => {
  const { learned } = await import('../src/store');
  const open = vi.spyOn(caches, 'open');
  await learned.keep({ model: 'x', layers: [], samples: [], counts: [] });
  expect(open.mock.calls).toEqual([[expect.stringMatching(/^har_jax learned .*x\/$/)]]);
});

test('of two changes at once, the later one is stored last, even if the earlier takes longer', async () => {
  vi.doMock('../src/model', () => ({})); // needs a browser
  vi.stubGlobal('document', { getElementById: () => new EventTarget() });
  const { Learning } = await import('../src/learning');
  let changes = 0;
  const save = () => ({ model: String(changes), layers: [], samples: [], counts: [] });
  const learner = { corrections: [], names: [], correct: () => ++changes > 0, save };
  const change = (make: (of: Learner) => boolean) => Promise.resolve(make(learner as unknown as Learner));
  const recognizer = { learner, change } as unknown as Recognizer;
  const learning = new Learning(recognizer, {} as AdapterCard, 2.56, () => undefined);
  let release = (): void => undefined;
  const open = caches.open.bind(caches);
  vi.spyOn(caches, 'open').mockImplementationOnce(async (name) => {
    await new Promise<void>((resolve) => (release = resolve));
    return open(name);
  });
  const both: Promise<void>[] = [];
  for (const activity of ['sofa', 'lying']) {
    both.push(learning.learn(activity, 0, 9, 0));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  release();
  await Promise.all(both);
  expect(JSON.parse(held.get('./learned') ?? '')).toMatchObject({ model: '2' });
});

test('what is being written is forgotten, too', async () => {
  const store = await newStore();
  const take: Take = { label: 'walk', hasRotation: true, rows: [] };
  add(take, 600);
  await Promise.all([store.keep(take), store.forget()]);
  expect((await store.restore()).series).toEqual([]);
});

test('series come back in the order in which they began, each with its own rows in order', async () => {
  const store = await newStore();
  const take = (label: string, firstMs: number): Take => {
    const rows = [0, 1, 2].map((index) => [firstMs + 20 * index, 9 - index]);
    return { label, hasRotation: true, rows };
  };
  const parts = [take('late', 5000), take('early', 1000)];
  for (const each of parts) await store.keep(each);
  for (const each of parts) each.rows.push([60 + each.rows[0][0], 0]);
  for (const each of parts) await store.keep(each);
  const { series } = await store.restore();
  expect(series.map(({ label }) => label)).toEqual(['early', 'late']);
  expect(series.map(({ rows }) => rows)).toEqual([parts[1].rows, parts[0].rows]);
  const again = await newStore();
  for (const each of (await again.restore()).series) await again.keep(each); // nothing is new
  held = new Map([...held].reverse()); // a cache has an order of its own
  expect((await again.restore()).series).toEqual(series);
});

test('one series is removed, with all of its parts, and the others stay', async () => {
  const store = await newStore();
  const [walk, sofa]: Take[] = ['walk', 'sofa'].map((label) => ({ label, hasRotation: true, rows: [] }));
  add(walk, 600);
  sofa.rows.push([50_000, 1], [50_020, 2]);
  for (const take of [walk, sofa]) await store.keep(take);
  add(walk, 600);
  sofa.rows.push([50_040, 3]);
  await Promise.all([store.keep(walk), store.keep(sofa), store.remove(sofa)]);
  expect((await store.restore()).series).toEqual([walk]);
  await store.remove(walk);
  expect(held.size).toBe(0);
});

test('the last recording is the one that is being made, even without a sample', () => {
  const recorder = new Recorder(0);
  recorder.start('walk');
  recorder.push({ timeS: 1, values: [0, 0, 9.8, 0, 0, 0] });
  recorder.start('sofa');
  expect([recorder.removeLast()?.label, recorder.active]).toEqual(['sofa', undefined]);
  expect(recorder.takes.map(({ label }) => label)).toEqual(['walk']);
});

test('a damaged part is left out and counted', async () => {
  const store = await newStore();
  const take: Take = { label: 'walk', hasRotation: true, rows: [] };
  add(take, 600);
  await store.keep(take);
  held.set('./rows-1', '{"broken');
  held.set('./rows-2', JSON.stringify({ label: 'a', rows: [], takeMs: 1 }));
  held.set('./rows-3', 'null');
  held.set('./rows-4', JSON.stringify({ rows: [[4, 0]], takeMs: 4 }));
  const { series, damaged } = await store.restore();
  expect(series.map(({ rows }) => rows.length)).toEqual([600]);
  expect(damaged).toBe(4);
});

test('a label is no formula of a spreadsheet, and a number stays one', () => {
  expect(csv(['a'], [['=1+1'], ['-12.5'], ['-1+1'], ['@x'], ['walk, fast'], ['+49 "x"'], ['a\rb']])).toBe(
    'a\n\'=1+1\n-12.5\n\'-1+1\n\'@x\n"walk, fast"\n"\'+49 ""x"""\n"a\rb"\n',
  );
});
