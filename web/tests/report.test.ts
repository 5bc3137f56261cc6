/** The page of `har-jax report --html`: no errors, nothing wider than the screen, themes, print. */

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { openBrowser } from './phone';
import { PYTHON } from './setup';

const LIGHT = 'rgb(255, 255, 255)';
const DARK = 'rgb(20, 23, 26)';
const file = path.join(inject('folder'), 'report.html');
let browser: Browser;
let page: Page;
let errors: string[];
let requests: string[];

beforeAll(async () => {
  execFileSync(PYTHON, ['../tests/report/page_fixtures.py', file], { stdio: 'inherit' });
  browser = await openBrowser();
});

beforeEach(async () => {
  [errors, requests] = [[], []];
  page = await browser.newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => errors.push(message.text()));
  page.on('request', (request) => requests.push(request.url()));
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(pathToFileURL(file).href);
});

afterEach(() => page.close());

afterAll(() => browser.close());

function openDetails(): Promise<void> {
  return page.evaluate(() => document.querySelectorAll('details').forEach((each) => (each.open = true)));
}

/** Colors of the page and of the text in its figures. */
async function colors(): Promise<string[]> {
  return [
    await page.$eval('body', (each) => getComputedStyle(each).backgroundColor),
    await page.$eval('svg text', (each) => getComputedStyle(each).fill),
  ];
}

test('the page has no error and requests no other file', async () => {
  await openDetails();
  expect(errors).toEqual([]);
  const others = requests.filter((url) => !url.startsWith('data:'));
  expect(others.map((url) => path.basename(url))).toEqual(['report.html']);
});

test.each([320, 390, 768, 1280])('the page is no wider than a screen of %i', async (width) => {
  await page.setViewport({ width, height: 844, isMobile: width < 768 });
  await openDetails();
  const wide = await page.evaluate(
    (right) =>
      [...document.body.querySelectorAll('*')]
        .filter((each) => !each.closest('.scroll *, svg, caption, .skip'))
        .filter((each) => each.getBoundingClientRect().right > right + 1)
        .map((each) => `${each.tagName} ${each.className}`),
    width,
  );
  expect(wide).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  const cut = await page.$$eval('tbody th', (cells) =>
    cells
      .filter((cell) => {
        const text = document.createRange();
        text.selectNodeContents(cell);
        return text.getBoundingClientRect().right > cell.getBoundingClientRect().right;
      })
      .map((cell) => cell.textContent),
  );
  expect(cut).toEqual([]);
});

test('the keyboard skips to the results and switches the theme', async () => {
  const focus = () =>
    page.evaluate(() => {
      const { hash, id, textContent } = document.activeElement as HTMLAnchorElement;
      return { hash, id, textContent };
    });
  await page.keyboard.press('Tab');
  expect((await focus()).hash).toBe('#main');
  await page.keyboard.press('Tab');
  expect((await focus()).id).toBe('theme');
  const light = await colors();
  await page.keyboard.press('Enter');
  expect(await colors()).toEqual([DARK, 'rgb(230, 232, 234)']);
  expect((await focus()).textContent).toBe('Light');
  await page.keyboard.press('Enter');
  expect(await colors()).toEqual(light);
  expect(light[0]).toBe(LIGHT);
});

test.each([
  ['dark', DARK],
  ['light', LIGHT],
])('the page follows the %s color scheme of the system', async (value, background) => {
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
  expect((await colors())[0]).toBe(background);
});

test('print is black on white with all details open', async () => {
  await page.evaluate(() => (document.documentElement.style.colorScheme = 'dark'));
  await page.emulateMediaType('print');
  const [background] = await colors();
  const ink = await page.$eval('body', (each) => getComputedStyle(each).color);
  const button = await page.$eval('#theme', (each) => getComputedStyle(each).display);
  expect([background, ink, button]).toEqual([LIGHT, 'rgb(0, 0, 0)', 'none']);
  await page.emulateMediaType();
  await page.evaluate(() => {
    addEventListener('beforeprint', () => {
      const all = [...document.querySelectorAll('details')];
      document.title = `${all.filter((each) => each.open).length} of ${all.length}`;
    });
  });
  expect(Buffer.from(await page.pdf()).toString('latin1', 0, 4)).toBe('%PDF');
  const count = (await page.$$('details')).length;
  expect(count).toBeGreaterThan(1);
  expect(await page.title()).toBe(`${count} of ${count}`);
});
