/** A page in headless Chromium that a test opens, closed after it; made-up motion, and answers as saved. */

import type { Browser } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, inject } from 'vitest';
import { openBrowser, Phone, type Motion } from './phone';
import { readExpected } from './setup';

export const { cases, faulty } = readExpected(inject('folder'));
export const jitter = cases['jitter at 60 Hz'];
export const LONG = { timeout: 600_000 }; // starts Python
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

export async function open(before?: () => void, userAgent?: string): Promise<Phone> {
  phone = await Phone.open(browser, 'phone', before, userAgent);
  return phone;
}

/** A phone on its back for some seconds, from `fromS` on, with the noise of a sensor. */
export function rest(fromS: number, lastsS: number, acc = [0.1, 0.2, 9.8]): Motion[] {
  return Array.from({ length: Math.round(60 * lastsS) }, (_, index) => ({
    timeMs: 1000 * fromS + (1000 * index) / 60,
    acc: acc.map((each, axis) => each + 0.02 * Math.sin(7 * index + axis)),
    rotation: [0.1, 0.2, 0.3].map((each) => each * Math.sin(5 * index)),
  }));
}

export function rowsOf(csv: string): string[][] {
  return csv
    .trim()
    .split('\n')
    .map((line) => line.split(','));
}

/** Answers as saved, once there are `count` of them. */
export async function answers(of: Phone, count: number): Promise<string[][]> {
  for (;;) {
    const [, ...rows] = rowsOf(await of.download('#save-answers', 'answers.csv'));
    if (rows.length >= count) return rows;
  }
}
