/** Recordings and labels that are made on the page in headless Chromium. */

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { answers, jitter, LONG, open, rest, rowsOf } from './opened';
import { motionsOf } from './phone';
import { PYTHON } from './setup';

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
  await page.move(rest(0, 2).map(({ timeMs, acc = [] }) => ({ timeMs, acc })));
  expect(await page.page.$('#notice[hidden]')).not.toBeNull(); // no model lacks the rotation
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

test('a hidden page pauses the recording and says so, and the screen is kept on again', async () => {
  const page = await open(() => {
    let asked = 0;
    const request = (): Promise<void> => {
      document.body.dataset.asked = String(++asked);
      return Promise.resolve();
    };
    Object.defineProperty(navigator, 'wakeLock', { value: { request } });
    const battery = Object.assign(new EventTarget(), { level: 0.5 });
    Object.assign(navigator, { getBattery: () => Promise.resolve(battery) });
  });
  expect(await page.text('#battery')).toBe('50 %');
  const asked = (): Promise<string | undefined> =>
    page.page.$eval('body', ({ dataset }) => dataset.asked);
  for (const hidden of [true, false]) await page.setHidden(hidden);
  expect(await page.page.$('#notice[hidden]')).not.toBeNull(); // there was nothing to pause
  await page.start();
  await page.move(rest(0, 2));
  expect(await asked()).toBe('1');
  await page.tapLabel('sitting');
  await page.move(rest(2, 5));
  await page.setHidden(true);
  await page.move(rest(7, 5));
  await page.setHidden(false);
  expect(await page.notice()).toMatch(/Paused from .*: a page that is hidden.*“sitting” ended/);
  expect(await asked()).toBe('2');
  expect(await page.page.$('#labels [aria-pressed=true]')).toBeNull();
  const [, ...rows] = rowsOf(await page.download('#save-recording', 'recording.csv'));
  expect(rows).toHaveLength(5 * 60);
});

test('a recording survives the end of the page, and can be deleted', async () => {
  const page = await open();
  const reload = async (): Promise<void> => {
    await page.page.reload();
    await page.page.waitForSelector('#record:not([hidden])');
  };
  await page.start();
  await page.move(rest(0, 2));
  await page.page.type('#own-label', 'sofa');
  await page.page.keyboard.press('Enter');
  await page.tapLabel('sofa');
  for (const [fromS, lastsS, count] of [[2, 10, 8], [12, 10, 16], [22, 5, 20]]) {
    await page.move(rest(fromS, lastsS));
    await answers(page, count);
  }
  const answered = await answers(page, 20);
  // A phone that ends the page may send no event: then less than ten seconds or eight answers are lost.
  await page.page.evaluate(() => {
    addEventListener('visibilitychange', (event) => event.stopImmediatePropagation(), true);
  });
  await reload();
  expect(await page.text('#recorded')).toBe('Recorded: sofa 0:13'); // 1200 samples of 1500, less 6 s
  expect(await answers(page, 16)).toEqual(answered.slice(0, 16));
  await page.start();
  await page.move(rest(25, 2));
  const labels = await page.page.$$eval('#labels button', (all) => all.map((each) => each.textContent));
  expect(labels).toContain('sofa0:13');
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
  await page.page.evaluate(async () => {
    const cache = await caches.open(`har_jax recording ${location.pathname}`);
    await cache.put('./rows-1', new Response('{"broken'));
  });
  await reload();
  expect(await page.notice()).toContain('is damaged, and was left out');
  expect(await save()).toEqual(before);
  const asked: string[] = [];
  let isSure = false;
  page.page.on('dialog', (dialog) => {
    asked.push(dialog.message());
    void (isSure ? dialog.accept() : dialog.dismiss());
  });
  const click = (id: string): Promise<void> =>
    page.page.$eval(id, (button) => (button as HTMLButtonElement).click());
  for (const id of ['#remove', '#clear']) await click(id);
  expect(await save()).toEqual(before);
  isSure = true;
  await click('#remove');
  expect(asked[2]).toContain('Delete the last recording, “standing”?');
  expect(await page.text('#recorded')).toBe('Recorded: sofa 0:19');
  const [recording] = await save();
  expect(before[0].startsWith(recording)).toBe(true);
  expect(rowsOf(recording)).toHaveLength(1 + 1200);
  await reload();
  expect((await save())[0]).toBe(recording);
  await click('#clear');
  await page.page.waitForSelector('#save-recording:disabled');
  await page.page.reload();
  await page.page.waitForFunction(() => document.getElementById('model')?.textContent !== 'loading …');
  expect(await page.page.$('#record[hidden]')).not.toBeNull();
  expect(await page.page.$('#notice[hidden]')).not.toBeNull(); // nor is the damaged part there
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
  expect(await labels()).toContain('walking: ');
  expect(await labels()).not.toContain('unknown: '); // a class of the model
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
  const small = ['--max_steps=2', '--method=probe', '--noprogress'];
  const output = execFileSync(PYTHON, ['-m', 'har_jax', 'adapt', ...flags, `--out=${out}`, ...small], {
    encoding: 'utf8',
  });
  expect(output).toContain('Acceleration is in m/s2, as its name says');
  expect(output).toContain('Angular velocity is in rad/s, as its name says');
  expect(output).toMatch(/labels: walking 15\.0 s, sofa, "lazy" 15\.0 s/);
});

test('both ends of a label are left out, and what is too short is no label', async () => {
  const page = await open(() => {
    const fetched = globalThis.fetch;
    globalThis.fetch = async (what, options) => {
      const response = await fetched(what, options);
      if (what !== 'model.json') return response;
      const card = await response.text();
      return new Response(card.replace('"rate_hz": 50', '"rate_hz": 25')); // windows of 5.12 s
    };
  });
  expect(await page.page.$eval('#corrected-s', ({ textContent }) => textContent)).toBe('8');
  await page.start();
  await page.move(rest(0, 2));
  await page.page.select('#trim', '10');
  await page.tapLabel('sitting');
  await page.move(rest(2, 22));
  await page.tapLabel('standing');
  expect(await page.notice()).toContain('Too short to learn “sitting”'); // 2 seconds
  await page.move(rest(24, 19.9));
  const [, ...rows] = rowsOf(await page.download('#save-labels', 'labels.csv'));
  const lasts = rows.map(([start, end, label]) => [Math.round(Number(end) - Number(start)), label]);
  await page.tapLabel('standing');
  expect(await page.notice()).toBe('Too short to learn “standing” from: it takes 26 seconds without a gap.');
  expect(lasts).toEqual([[1983, 'sitting']]); // from the first sample of 22 s to the last, less 20 s
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
