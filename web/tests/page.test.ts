/** The page in headless Chromium, with made-up motion events. */

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { Browser } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { IPHONE, motionsOf, openBrowser, Phone, type Motion } from './phone';
import { PYTHON, readExpected } from './setup';

const { cases } = readExpected(inject('folder'));
const jitter = cases['jitter at 60 Hz'];
const LONG = { timeout: 600_000 }; // starts Python
let browser: Browser;
let phone: Phone | undefined;

beforeAll(async () => {
  browser = await openBrowser();
});

afterEach(async () => {
  await phone?.close();
  phone = undefined;
});

afterAll(() => browser.close());

async function open(before?: () => void, userAgent?: string): Promise<Phone> {
  phone = await Phone.open(browser, 'phone', before, userAgent);
  return phone;
}

/** A phone on its back for some seconds, from `fromS` on, with the noise of a sensor. */
function rest(fromS: number, lastsS: number, acc = [0.1, 0.2, 9.8]): Motion[] {
  return Array.from({ length: Math.round(60 * lastsS) }, (_, index) => ({
    timeMs: 1000 * fromS + (1000 * index) / 60,
    acc: acc.map((each, axis) => each + 0.02 * Math.sin(7 * index + axis)),
    rotation: [0.1, 0.2, 0.3].map((each) => each * Math.sin(5 * index)),
  }));
}

function rowsOf(csv: string): string[][] {
  return csv
    .trim()
    .split('\n')
    .map((line) => line.split(','));
}

/** Answers as saved, once there are `count` of them. */
async function answers(of: Phone, count: number): Promise<string[][]> {
  for (;;) {
    const [, ...rows] = rowsOf(await of.download('#save-answers', 'answers.csv'));
    if (rows.length >= count) return rows;
  }
}

/** Of acceleration, then of rotation, as they are shown. */
function readings(of: Phone): Promise<string[]> {
  return of.page.$$eval('#readings tbody td', (cells) => cells.map((cell) => cell.textContent));
}

function unknowns(rows: string[][]): number {
  return rows.filter(([, shown]) => shown === 'unknown').length;
}

test.each(Object.keys(cases))('answers are those of Python: %s', async (name) => {
  const { activity, confidence, probabilities, start_s } = cases[name];
  const page = await open();
  await page.start();
  await page.move(motionsOf(cases[name]));
  const rows = await answers(page, probabilities.length);
  expect(rows).toHaveLength(probabilities.length);
  rows.forEach(([timeMs, shown, posterior, ...ofClasses], index) => {
    const errors = probabilities[index].map((each, i) => Math.abs(each - Number(ofClasses[i])));
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

test('without its model, the page says so and records', async () => {
  const page = await open(() => {
    const fetched = globalThis.fetch;
    globalThis.fetch = (what, options) =>
      what === 'model.json' ? Promise.resolve(Response.error()) : fetched(what, options);
  });
  expect(await page.text('#model')).toBe('missing');
  expect(await page.page.$eval('#answer', (found) => found.textContent)).toBe('–');
  expect(await page.notice()).toContain('model cannot be loaded');
  await page.start();
  await page.move(rest(0, 2));
  for (const typed of ['  ', '  sofa ', 'sofa']) {
    await page.page.type('#own-label', typed);
    await page.page.keyboard.press('Enter');
  }
  const labels = await page.page.$$eval('#labels button', (found) => found.map((each) => each.textContent));
  expect(labels).toEqual(['sofa']);
  await page.tapLabel('sofa');
  await page.move(rest(2, 10));
  await page.tapLabel('sofa');
  expect(await page.text('#recorded')).toBe('Recorded: sofa 0:03');
});

test('a higher threshold makes more answers unknown', async () => {
  const page = await open();
  await page.start();
  await page.page.$eval('#threshold', (range) => {
    (range as HTMLInputElement).value = '95';
    range.dispatchEvent(new Event('input'));
  });
  expect(await page.text('#threshold-value')).toBe('95 %');
  await page.move(motionsOf(jitter));
  const rows = await answers(page, jitter.probabilities.length);
  expect(unknowns(rows)).toBeGreaterThan(rows.length / 2);
  expect(unknowns(rows)).toBeGreaterThan(jitter.activity.filter((each) => each === 'unknown').length);
});

test('an iPhone asks for permission from a tap, and its signs are reversed', async () => {
  const page = await open(() => {
    Object.assign(DeviceMotionEvent, {
      requestPermission: () => Promise.resolve(navigator.userActivation.isActive ? 'granted' : 'denied'),
    });
  }, IPHONE);
  await page.start();
  await page.page.waitForSelector('#start:disabled');
  await page.move(motionsOf(jitter, -1));
  const rows = await answers(page, jitter.probabilities.length);
  rows.forEach(([, , posterior], index) =>
    expect(Math.abs(jitter.confidence[index] - Number(posterior))).toBeLessThan(0.001),
  );
});

test('the orientation, where it is known, tells the sign whatever the platform', async () => {
  const upright = rest(0, 2, [0, -9.8, -0.2]).map((each) => ({ ...each, tilt: { beta: 89, gamma: 0 } }));
  const page = await open();
  await page.start();
  await page.move(upright);
  await page.page.waitForSelector('#trace polyline[points]');
  const [x, y, z, ...rotation] = await readings(page);
  expect([x, y, z]).toEqual(['0.0', '9.8', '0.2']);
  for (const each of rotation) expect(each).toMatch(/^-?0\.\d\d$/);
});

test.each([
  ['refusal', false],
  ['error', true],
])('a permission that is denied by %s is explained', async (_, rejects) => {
  const page = await open();
  await page.page.evaluate((isError) => {
    const requestPermission = () => (isError ? Promise.reject(new Error()) : Promise.resolve('denied'));
    Object.assign(DeviceMotionEvent, { requestPermission });
  }, rejects);
  await page.start();
  expect(await page.notice()).toContain('permission for motion data was refused');
  expect(await page.page.$('#record[hidden]')).not.toBeNull();
});

test('a device without a sensor is not confused with a sensor without gravity', async () => {
  const silent = await open();
  await silent.start();
  await silent.move([{ timeMs: 0 }]); // as a computer sends it
  expect(await silent.notice()).toContain('has no sensor');
  await silent.close();
  const linear = await open();
  await linear.start();
  await linear.move([{ timeMs: 0, linear: [0, 0, 0.1] }]);
  expect(await linear.notice()).toContain('without gravity');
});

test('acceleration that claims to have gravity, and has not, is refused', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2, [0.1, -0.2, 0.3]));
  expect(await page.notice()).toContain('without gravity');
  expect(await page.page.$('#now[hidden]')).not.toBeNull();
});

test('acceleration in g is refused', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2, [0.01, 0.02, 1]));
  expect(await page.notice()).toContain('acceleration in g');
});

test('gravity opposite to the training recordings is warned of, until it is not', async () => {
  const thrice = (sign: number, fromS: number) =>
    [0, 14.1, 28.2].flatMap((s) =>
      motionsOf(jitter, sign).map((each) => ({ ...each, timeMs: each.timeMs + 1000 * (fromS + s) })),
    );
  const page = await open();
  await page.start();
  await page.move(thrice(-1, 0));
  await page.page.waitForSelector('#warning:not([hidden])');
  expect(await page.text('#warning')).toContain('Gravity points opposite');
  await page.shoot('opposite-390-light');
  for (const fromS of [43, 86, 129]) await page.move(thrice(1, fromS));
  await page.page.waitForSelector('#warning[hidden]');
  expect(await page.page.$eval('#warning', (found) => found.textContent)).toBe('');
});

test('a browser without rotation is warned of, and recorded without it', async () => {
  const still = (fromS: number) => rest(fromS, 2).map(({ timeMs, acc = [] }) => ({ timeMs, acc }));
  const page = await open();
  await page.start();
  await page.move(still(0));
  expect(await page.notice()).toContain('no rotation');
  await page.tapLabel('sitting');
  await page.move(still(2));
  const [head] = rowsOf(await page.download('#save-recording', 'recording.csv'));
  expect(head).toEqual(['time_ms', 'acc_x_m_s2', 'acc_y_m_s2', 'acc_z_m_s2']);
  await page.page.waitForSelector('#trace polyline[points]');
  expect((await readings(page)).slice(2)).toEqual(['9.8', '–', '–', '–']);
});

test('a hidden page pauses the recording and says so', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2));
  await page.tapLabel('sitting');
  await page.move(rest(2, 5));
  await page.setHidden(true);
  await page.move(rest(7, 5));
  await page.setHidden(false);
  expect(await page.notice()).toMatch(/Paused from .*: a page that is hidden.*“sitting” ended/);
  expect(await page.page.$('#labels [aria-pressed=true]')).toBeNull();
  const [, ...rows] = rowsOf(await page.download('#save-recording', 'recording.csv'));
  expect(rows).toHaveLength(5 * 60);
});

test('a recording survives the end of the page, and can be deleted', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2));
  await page.tapLabel('sitting');
  await page.move(rest(2, 25));
  await page.tapLabel('standing');
  await page.move(rest(27, 5));
  await page.setHidden(true);
  await page.page.select('#trim', '0');
  const save = async () => [
    await page.download('#save-recording', 'recording.csv'),
    await page.download('#save-labels', 'labels.csv'),
  ];
  const before = await save();
  expect(rowsOf(before[1])).toHaveLength(3);
  await page.page.reload();
  await page.page.waitForSelector('#record:not([hidden])');
  expect(await save()).toEqual(before);
  page.page.on('dialog', (dialog) => void dialog.accept());
  await page.page.$eval('#clear', (button) => (button as HTMLButtonElement).click());
  await page.page.waitForSelector('#save-recording:disabled');
  await page.page.reload();
  await page.page.waitForFunction(() => document.getElementById('model')?.textContent !== 'loading …');
  expect(await page.page.$('#record[hidden]')).not.toBeNull();
});

test('a recording that is being made is seen and stopped wherever one has scrolled', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2));
  const labels = (): Promise<string[]> =>
    page.page.$$eval('#labels button', (buttons) =>
      buttons.map(({ firstChild, lastChild }) => `${firstChild?.textContent}: ${lastChild?.textContent}`),
    );
  expect((await labels()).every((each) => each.endsWith(': '))).toBe(true);
  const [top, below] = await page.page.evaluate(() =>
    ['labels', 'activities'].map((id) => document.getElementById(id)?.getBoundingClientRect().top ?? 0),
  );
  expect(top).toBeLessThan(below);
  expect(await page.page.$('#recording[hidden]')).not.toBeNull();
  await page.tapLabel('sitting');
  await page.move(rest(2, 12));
  const isSeen = (): Promise<boolean> =>
    page.page.$eval('#stop', (button) => {
      const { top, bottom } = button.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
  for (const share of [0, 0.5, 1]) {
    await page.page.evaluate((part) => scrollTo(0, part * document.body.scrollHeight), share);
    expect(await isSeen()).toBe(true);
  }
  await page.page.waitForFunction(() => document.getElementById('recording-time')?.textContent === '0:11');
  expect(await page.text('#recording span')).toBe('Recording sitting 0:11');
  await page.shoot('recording-390-light');
  expect(await labels()).toContain('sitting: recording, 0:05 kept');
  expect(await page.text('#recorded')).toBe('Recording “sitting”');
  await page.page.click('#stop');
  expect(await page.page.$('#recording[hidden]')).not.toBeNull();
  expect(await page.page.$('#labels [aria-pressed=true]')).toBeNull();
  expect(await labels()).toContain('sitting: 0:05');
  expect(await page.text('#recorded')).toBe('Recorded: sitting 0:05');
  await page.tapLabel('standing');
  await page.tapLabel('standing'); // an empty recording is none
  expect(await labels()).toContain('standing: ');
  await page.page.select('#trim', '0');
  expect(await page.text('#recorded')).toBe('Recorded: sitting 0:11');
  expect(await page.page.$('#command:not([hidden])')).not.toBeNull();
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

test('one button shares recording and labels, where a browser can', async () => {
  const page = await open(() => {
    Object.assign(navigator, {
      canShare: ({ files }: { files: File[] }) => files.length === 2,
      share: async ({ files }: { files: File[] }) => {
        const texts = await Promise.all(files.map((each) => each.text()));
        document.body.dataset.shared = texts.join('|');
      },
    });
  });
  await page.start();
  await page.move(rest(0, 2));
  await page.tapLabel('sitting');
  await page.move(rest(2, 10));
  await page.tapLabel('sitting');
  await page.page.click('#share');
  const saved = [
    await page.download('#save-recording', 'recording.csv'),
    await page.download('#save-labels', 'labels.csv'),
  ];
  await page.page.waitForFunction((text) => document.body.dataset.shared === text, {}, saved.join('|'));
  await page.close();
  const other = await open();
  expect(await other.page.$('#share[hidden]')).not.toBeNull();
});

test('a full storage is told, and recording goes on', async () => {
  const page = await open();
  await page.start();
  await page.page.evaluate(() => {
    Cache.prototype.put = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));
  });
  await page.move(rest(0, 2));
  await page.tapLabel('sitting');
  await page.move(rest(2, 25));
  expect(await page.notice()).toContain('storage of this browser is full');
  expect(await page.text('#recording-label')).toBe('sitting');
  const [, ...rows] = rowsOf(await page.download('#save-recording', 'recording.csv'));
  expect(rows).toHaveLength(25 * 60);
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

test('labels and a correction are learned, kept, taken back, and saved for har-jax', LONG, async () => {
  const page = await open(() => {
    const quick = caches.open.bind(caches);
    const slow = async (name: string): Promise<Cache> => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      return quick(name);
    };
    Object.assign(caches, { open: slow }); // the page is reloaded as soon as it says what it learned
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
  await page.page.click('#stop');
  await waitForText('Learned: sofa 1 ×');
  expect(await page.page.$('#notice[hidden]')).not.toBeNull();
  await page.move(rest(32, 6));
  await page.page.waitForFunction(() => document.getElementById('answer')?.textContent === 'sofa');
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

test('har-jax adapts to a recording with labels of one’s own', LONG, async () => {
  const own = 'sofa, "lazy"';
  const page = await open();
  await page.start();
  const walk = motionsOf(jitter).slice(0, 420);
  const walks = [2000, 9000, 16_000].flatMap((ms) =>
    walk.map((each) => ({ ...each, timeMs: each.timeMs + ms })),
  );
  await page.move(rest(0, 2));
  await page.page.type('#own-label', own);
  await page.page.keyboard.press('Enter');
  await page.tapLabel('walking');
  await page.move(walks);
  await page.tapLabel(own);
  await page.move(rest(24, 21));
  await page.tapLabel(own);
  await page.page.select('#trim', '3');
  await page.download('#save-recording', 'recording.csv');
  await page.download('#save-labels', 'labels.csv');
  const flags = ['recording', 'labels'].map((name) => `--${name}=${path.join(page.downloads, name)}.csv`);
  const out = path.join(page.downloads, 'adapter');
  const small = ['--max_steps=2', '--method=probe', '--nouse_unlabeled', '--noprogress'];
  const output = execFileSync(PYTHON, ['-m', 'har_jax', 'adapt', ...flags, `--out=${out}`, ...small], {
    encoding: 'utf8',
  });
  expect(output).toContain('Acceleration is in m/s2, as its name says');
  expect(output).toContain('Angular velocity is in rad/s, as its name says');
  expect(output).toMatch(/labels: walking 15\.0 s, sofa, "lazy" 15\.0 s/);
});

test('both ends of a label are left out, and what is too short is no label', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2));
  await page.tapLabel('sitting');
  await page.move(rest(2, 10));
  await page.tapLabel('standing');
  await page.move(rest(12, 4));
  await page.page.select('#trim', '3');
  const [, ...rows] = rowsOf(await page.download('#save-labels', 'labels.csv'));
  const lasts = rows.map(([start, end, label]) => [Math.round(Number(end) - Number(start)), label]);
  await page.tapLabel('standing');
  expect(await page.notice()).toBe('Too short to learn “standing” from: it takes 9 seconds without a gap.');
  expect(lasts).toEqual([[3983, 'sitting']]); // from the first sample of 10 s to the last, less 6 s
});

test('the lock for the pocket opens after a long press only', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2));
  expect(await page.page.$eval('#locked', (found) => found.textContent)).toBe('Not recording');
  await page.tapLabel('sitting');
  await page.page.click('#lock');
  expect(await page.text('#locked')).toBe('Recording “sitting”');
  await page.page.click('#unlock');
  for (let i = 0; i < 3; i++) {
    await page.page.keyboard.press('Escape');
    await page.page.waitForSelector('#pocket[open]');
  }
  expect(await page.page.$('#pocket[open]')).not.toBeNull();
  await page.page.click('#unlock', { delay: 1200 });
  expect(await page.page.$('#pocket[open]')).toBeNull();
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
