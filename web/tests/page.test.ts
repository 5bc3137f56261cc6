/** Answers, learning and layout of the page in headless Chromium, with made-up motion events. */

import { execFileSync } from 'node:child_process';
import { expect, inject, test } from 'vitest';
import { answers, cases, faulty, jitter, LONG, open, rest, rowsOf } from './opened';
import { motionsOf, type Phone } from './phone';
import { PYTHON } from './setup';

async function setThreshold(page: Phone, percent: string): Promise<void> {
  await page.page.$eval(
    '#threshold',
    (range, value) => {
      (range as HTMLInputElement).value = value;
      range.dispatchEvent(new Event('input'));
    },
    percent,
  );
}

function unknowns(rows: string[][]): number {
  return rows.filter(([, shown]) => shown === 'unknown').length;
}

test.each([
  ...Object.entries(cases),
  ['a faulty sensor', faulty] as const,
])('answers are those of Python: %s', async (_, each) => {
  const { activity, confidence, probabilities, start_s } = each;
  const page = await open();
  await page.start();
  await page.move(motionsOf(each));
  const rows = await answers(page, probabilities.length);
  expect(rows).toHaveLength(probabilities.length);
  rows.forEach(([timeMs, shown, posterior, ...ofClasses], index) => {
    const errors = probabilities[index].map((expected, i) => Math.abs(expected - Number(ofClasses[i])));
    expect(Math.max(...errors)).toBeLessThan(0.001);
    expect(Math.abs(confidence[index] - Number(posterior))).toBeLessThan(0.001);
    expect([activity[index], 'unknown']).toContain(shown);
    expect((Number(timeMs) - Number(rows[0][0])) / 1000).toBeCloseTo(start_s[index] - start_s[0], 2);
  });
  expect(new Set(rows.map(([, shown]) => shown)).size).toBeGreaterThan(1);
  expect(await page.text('#answer')).toBe(rows.at(-1)?.[1]);
});

test('each activity has its probability, and the last minutes in which it was shown', async () => {
  const page = await open(() => {
    const fetched = globalThis.fetch;
    globalThis.fetch = async (what, options) => {
      const response = await fetched(what, options);
      if (what !== 'model.json') return response;
      return new Response((await response.text()).replace('"unknown"', '"other"')); // now no class is unknown
    };
  });
  await page.start();
  await setThreshold(page, '0'); // each answer is an activity
  await page.move(motionsOf(jitter));
  const rows = await answers(page, jitter.probabilities.length);
  const [, shown, confidence] = rows[rows.length - 1];
  const made = await page.page.$$eval('#activities tbody tr', (found) =>
    found.map((row) => ({
      name: row.querySelector('th')?.textContent ?? '',
      isShown: row.classList.contains('shown'),
      share: row.querySelector('span')?.textContent ?? 'none',
      bar: row.querySelector('i')?.style.getPropertyValue('--share'),
      said: row.querySelector('svg')?.getAttribute('aria-label'),
      bars: [...row.querySelectorAll('rect')].map((each) =>
        ['x', 'y', 'width', 'height'].map((side) => Number(each.getAttribute(side))),
      ),
    })),
  );
  expect(made.filter(({ isShown }) => isShown).map(({ name }) => name)).toEqual([shown]);
  const percent = Math.round(100 * Number(confidence));
  expect(made.find(({ isShown }) => isShown)).toMatchObject({ share: `${percent} %`, bar: `${percent}%` });
  expect(made.at(-1)).toMatchObject({ name: 'unknown', share: 'none' });
  expect(await page.text('#confidence')).toContain(`${percent} %`);
  for (const { name, said, bars } of made) {
    const count = rows.filter(([, each]) => each === name).length;
    const lastsS = bars.reduce((sum, [, , width]) => sum + width, 0);
    expect(Math.abs(lastsS - 1.28 * count)).toBeLessThan(0.05);
    expect(said).toMatch(/^0:\d\d of the last 5 minutes$/);
    expect(Math.abs(Number(said?.slice(2, 4)) - lastsS)).toBeLessThan(1.01);
    for (const [, y, , height] of bars) expect([y, height]).toEqual([0, 1]);
  }
  const ends = made.flatMap(({ bars }) => bars.map(([x, , width]) => x + width));
  expect(Math.max(...ends)).toBeCloseTo(300, 1);
  await page.page.waitForFunction(() =>
    /^(0|6\d) Hz$/.test(document.getElementById('rate')?.textContent ?? ''),
  );
  const points = await page.page.$eval('#trace .y', (line) => line.getAttribute('points') ?? '');
  const places = points.split(' ').map((each) => each.split(',').map(Number));
  expect([places[0][0], places.at(-1)?.[0]]).toEqual([0, 250]);
  expect(places.length).toBeGreaterThan(290);
  expect(places.length).toBeLessThan(310);
});

test('labels that are numbers are shown, answered, summed up and corrected', async () => {
  const page = await open(() => {
    const fetched = globalThis.fetch;
    globalThis.fetch = async (what, options) => {
      const response = await fetched(what, options);
      if (what !== 'model.json') return response;
      const card = (await response.json()) as { classes: unknown[] };
      return Response.json({ ...card, classes: card.classes.map((_, index) => index + 1) });
    };
  });
  await page.start();
  await setThreshold(page, '0');
  await page.move(motionsOf(jitter));
  const rows = await answers(page, jitter.probabilities.length);
  const names = jitter.probabilities[0].map((_, index) => String(index + 1));
  const listed = await page.page.$$eval('#activities th', (found) => found.map((each) => each.textContent));
  expect(listed.filter((name) => names.includes(name))).toEqual(names);
  for (const [, shown] of rows) expect(names).toContain(shown);
  await page.page.click('#sum-up');
  expect(await page.text('#totals')).toContain(rows[0][1]);
  await page.page.select('#truth', '3');
  await page.page.click('#correct button');
  await page.page.waitForFunction(
    () => document.getElementById('learned-text')?.textContent === 'Learned: 3 1 ×',
  );
});

test('a higher threshold makes more answers unknown', async () => {
  const page = await open();
  await page.start();
  await setThreshold(page, '95');
  expect(await page.text('#threshold-value')).toBe('95 %');
  await page.move(motionsOf(jitter));
  const rows = await answers(page, jitter.probabilities.length);
  expect(unknowns(rows)).toBeGreaterThan(rows.length / 2);
  expect(unknowns(rows)).toBeGreaterThan(jitter.activity.filter((each) => each === 'unknown').length);
});

test('answers survive the end of the page, and can be deleted', async () => {
  const page = await open();
  await page.start();
  await page.move(motionsOf(jitter));
  const before = await answers(page, jitter.probabilities.length);
  await page.setHidden(true);
  await page.page.reload();
  await page.page.waitForSelector('#answers:not([hidden])');
  expect(await answers(page, before.length)).toEqual(before);
  await page.page.click('#sum-up');
  expect(await page.text('#totals')).toMatch(/All windows together: .* 0:\d\d/);
  page.page.on('dialog', (dialog) => void dialog.accept());
  await page.page.click('#clear-answers');
  await page.page.waitForSelector('#save-answers:disabled');
  await page.page.reload();
  await page.page.waitForFunction(() => document.getElementById('model')?.textContent !== 'loading …');
  expect(await page.page.$('#answers[hidden]')).not.toBeNull();
});

test('labels and a correction are learned, kept, taken back, and saved for har-jax', LONG, async () => {
  const page = await open(() => {
    const quick = caches.open.bind(caches);
    const slow = async (name: string): Promise<Cache> => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      return quick(name);
    };
    Object.assign(caches, { open: slow }); // the page is reloaded as soon as it says what it learned
    const fetched = globalThis.fetch;
    globalThis.fetch = async (what, options) => {
      const response = await fetched(what, options);
      if (what !== 'adapter.json') return response;
      const card = (await response.json()) as object;
      const set_scores = Array<number>(20).fill(1); // each set has all classes
      return new Response(JSON.stringify({ ...card, set_scores }));
    };
  });
  const waitForText = (text: string): Promise<unknown> =>
    page.page.waitForFunction(
      (said) => document.getElementById('learned-text')?.textContent === said,
      {},
      text,
    );
  await page.start();
  await page.move(rest(0, 2));
  await page.page.type('#own-label', 'sofa');
  await page.page.keyboard.press('Enter');
  await page.tapLabel('sofa');
  await page.move(rest(2, 30));
  await page.page.waitForFunction(() =>
    document.getElementById('confidence')?.textContent.includes('; may also be walking, '),
  );
  await page.page.click('#stop');
  await waitForText('Learned: sofa 1 ×');
  expect(await page.page.$('#notice[hidden]')).not.toBeNull();
  await page.move(rest(32, 6));
  await page.page.waitForFunction(() => document.getElementById('answer')?.textContent === 'sofa');
  expect(await page.text('#confidence')).toMatch(/^\d+ %$/); // a corrected layer has no scores of its own
  await page.page.select('#truth', 'lying');
  await page.page.click('#correct button');
  await waitForText('Learned: sofa 1 ×, lying 1 ×');
  await page.page.click('#undo');
  await waitForText('Learned: sofa 1 ×');
  await page.shoot('learned-390-light');
  await page.page.reload();
  await waitForText('Learned: sofa 1 ×');
  await page.start();
  await page.move(motionsOf(jitter));
  const count = jitter.probabilities.length;
  await page.page.waitForFunction(
    (wanted) => document.querySelector('#answer')?.textContent === wanted,
    {},
    'sofa', // it ends at rest
  );
  const [head, ...rows] = rowsOf(await page.download('#save-answers', 'answers.csv'));
  const column = head.indexOf('p_sofa');
  const onPhone = rows.slice(-count).map((row) => Number(row[column]));
  await page.download('#save-adapter', 'adapter.json');
  await page.download('#save-adapter', 'adapter.safetensors');
  const script = `
import json, sys, numpy as np
from har_jax import Recognizer
windows = json.load(open(sys.argv[1] + '/expected.json'))['cases']['jitter at 60 Hz']['windows']
recognizer = Recognizer.load(sys.argv[2])
probabilities = recognizer.predict_proba(np.array(windows, np.float32).reshape(-1, 128, 6))
print(json.dumps(probabilities[:, recognizer.classes_ == 'sofa'][:, 0].tolist()))`;
  const command = ['-c', script, inject('folder'), page.downloads];
  const printed = execFileSync(PYTHON, command, { encoding: 'utf8' });
  const inPython = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as number[];
  expect(inPython).toHaveLength(count);
  expect(Math.max(...inPython)).toBeGreaterThan(0.5);
  inPython.forEach((each, index) => expect(Math.abs(each - onPhone[index])).toBeLessThan(0.002));
  await page.page.select('#truth', 'sofa');
  await page.page.click('#forget');
  await page.page.waitForSelector('#learned[hidden]');
  expect(await page.page.$eval('#truth', (found) => (found as HTMLSelectElement).value)).toBe('walking');
});

test('the page has an icon for iOS, and keeps it for offline use', async () => {
  const page = await open();
  const size = await page.page.evaluate(async () => {
    const icon = new Image();
    icon.src = document.querySelector<HTMLLinkElement>('link[rel=apple-touch-icon]')?.href ?? '';
    await icon.decode();
    return [icon.naturalWidth, icon.naturalHeight];
  });
  expect(size).toEqual([180, 180]);
  expect(await (await fetch(`${inject('address')}files.js`)).text()).toContain('apple-touch-icon');
});

test('the page works offline, once it has been open', async () => {
  const page = await open();
  await page.page.waitForFunction(() => document.getElementById('offline')?.textContent === 'ready');
  await page.page.setOfflineMode(true);
  await page.page.reload();
  await page.page.waitForFunction(() => document.getElementById('model')?.textContent.endsWith('activities'));
  await page.start();
  await page.move(motionsOf(jitter));
  expect(await answers(page, jitter.start_s.length)).toHaveLength(jitter.start_s.length);
});

test.each([
  [320, 'light'],
  [390, 'light'],
  [390, 'dark'],
  [1280, 'light'],
  [1280, 'dark'],
])('at %i pixels, %s, nothing fails, leaves the page or is too wide', async (width, scheme) => {
  const page = await open();
  await page.page.setViewport({ width, height: width < 800 ? 844 : 900 });
  await page.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.shoot(`start-${width}-${scheme}`);
  await page.start();
  await page.move(motionsOf(jitter));
  await page.tapLabel('walking');
  await page.move(motionsOf(jitter).map((each) => ({ ...each, timeMs: each.timeMs + 15_000 })));
  await answers(page, 2 * jitter.start_s.length - 1);
  await page.page.waitForSelector('#trace polyline[points]');
  await page.page.click('#sum-up');
  await page.shoot(`running-${width}-${scheme}`);
  expect(await page.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  await page.page.click('#lock');
  await page.shoot(`pocket-${width}-${scheme}`, false);
  expect(page.errors).toEqual([]);
  const elsewhere = page.requests.filter((url) => !url.replace(/^blob:/, '').startsWith(inject('address')));
  expect(elsewhere).toEqual([]);
});
