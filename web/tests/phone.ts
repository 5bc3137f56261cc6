/** A made-up phone: a page in headless Chromium whose motion events come from the test. */

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { inject } from 'vitest';
import { chromium } from './chromium.js';
import { addReached, putFaultInto } from './fault';
import type { Expected } from './setup';

export interface Motion {
  timeMs: number;
  acc?: (number | null)[]; // with gravity; null: missing
  linear?: number[];
  rotation?: (number | null)[]; // degrees a second
  tilt?: { beta: number; gamma: number };
}

export const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15';

export async function openBrowser(): Promise<Browser> {
  // Chromium 143 compiling on other threads stops for ever in one of some twenty pages, without using a core.
  const args = ['--no-sandbox', '--js-flags=--no-concurrent-recompilation'];
  return puppeteer.launch({ executablePath: await chromium(), headless: 'shell', args });
}

/** The events of made-up samples. `sign`: -1 for a phone with iOS. */
export function motionsOf(
  { time_s, samples }: Pick<Expected['faulty'], 'time_s' | 'samples'>,
  sign = 1,
): Motion[] {
  const scaled = (values: (number | null)[], factor: number): (number | null)[] =>
    values.map((each) => (each === null ? null : factor * each));
  return time_s.map((timeS, index) => ({
    timeMs: 1000 * timeS,
    acc: scaled(samples[index].slice(0, 3), sign),
    rotation: scaled(samples[index].slice(3), 180 / Math.PI),
  }));
}

export class Phone {
  readonly errors: string[] = [];
  readonly requests: string[] = [];
  readonly downloads: string;

  private constructor(
    readonly page: Page,
    name: string,
  ) {
    this.downloads = path.join(inject('folder'), 'downloads', name);
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('console', (message) => this.errors.push(message.text()));
    page.on('request', (request) => this.requests.push(request.url()));
  }

  /** `before` runs in the page before its own scripts. */
  static async open(browser: Browser, name: string, before?: () => void, userAgent?: string): Promise<Phone> {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport({ width: 390, height: 844 });
    if (userAgent) await page.setUserAgent({ userAgent });
    if (before) await page.evaluateOnNewDocument(before);
    await putFaultInto(page);
    const phone = new Phone(page, name);
    await phone.allowDownloads();
    await page.goto(inject('address'));
    await page.waitForFunction(() => document.getElementById('model')?.textContent !== 'loading …');
    return phone;
  }

  private async allowDownloads(): Promise<void> {
    rmSync(this.downloads, { recursive: true, force: true });
    mkdirSync(this.downloads, { recursive: true });
    const session = await this.page.createCDPSession();
    await session.send('Browser.setDownloadBehavior', {
      behavior: 'allow',
      downloadPath: this.downloads,
      browserContextId: this.page.browserContext().id,
    } as { behavior: 'allow'; downloadPath: string });
  }

  async start(): Promise<void> {
    await this.page.click('#start');
  }

  /** Dispatches the events with the times that they say, not those at which they are made. */
  async move(motions: Motion[]): Promise<void> {
    await this.page.evaluate((all) => {
      const triple = ([x, y, z]: (number | null)[]) => ({ x, y, z });
      for (const { timeMs, acc, linear, rotation, tilt } of all) {
        if (tilt) dispatchEvent(new DeviceOrientationEvent('deviceorientation', { alpha: 0, ...tilt }));
        const event = new DeviceMotionEvent('devicemotion', {
          ...(acc && { accelerationIncludingGravity: triple(acc) }),
          ...(linear && { acceleration: triple(linear) }),
          ...(rotation && { rotationRate: { alpha: rotation[0], beta: rotation[1], gamma: rotation[2] } }),
          interval: 16,
        });
        Object.defineProperty(event, 'timeStamp', { value: timeMs });
        dispatchEvent(event);
      }
    }, motions);
  }

  async setHidden(hidden: boolean): Promise<void> {
    await this.page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { value, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  }

  async text(selector: string): Promise<string> {
    return this.page.$eval(selector, (found) => (found as HTMLElement).innerText);
  }

  async notice(): Promise<string> {
    await this.page.waitForSelector('#notice:not([hidden])');
    return this.text('#notice');
  }

  async tapLabel(label: string): Promise<void> {
    await this.page.evaluate((wanted) => {
      const buttons = [...document.querySelectorAll<HTMLButtonElement>('#labels button')];
      buttons.find((each) => each.firstChild?.textContent === wanted)?.click();
    }, label);
  }

  /** Taps, and reads what arrives. */
  async download(selector: string, name: string): Promise<string> {
    const file = path.join(this.downloads, name);
    rmSync(file, { force: true });
    await this.page.waitForSelector(`${selector}:not(:disabled)`);
    await this.page.$eval(selector, (button) => (button as HTMLButtonElement).click());
    for (let attempt = 0; ; attempt++) {
      try {
        return readFileSync(file, 'utf8');
      } catch (error) {
        if (attempt > 400) throw error;
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  }

  /** Into the folder $SCREENSHOTS, to be looked at. */
  async shoot(name: string, fullPage = true): Promise<void> {
    const folder = process.env.SCREENSHOTS;
    if (folder) await this.page.screenshot({ path: `${path.join(folder, name)}.png`, fullPage });
  }

  async close(): Promise<void> {
    await addReached(this.page);
    await this.page.browserContext().close();
  }
}
