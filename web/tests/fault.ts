/** The fault that mutants.js tries, put into a page; and which faults' code a test of the page reaches. */

import type { Page } from 'puppeteer-core';

type Counts = Record<string, number>; // by fault

/** What Stryker keeps, and the code that it changed reads. */
interface State {
  activeMutant?: string | undefined;
  hitLimit?: number | undefined; // beyond it, a loop never ends
  hitCount?: number;
  currentTestId?: string;
  mutantCoverage?: { static: Counts; perTest: Record<string, Counts> };
}

declare global {
  var __stryker__: State | undefined;
}

/** The page counts what it reaches, over reloads. */
export async function putFaultInto(page: Page): Promise<void> {
  const state = globalThis.__stryker__;
  if (!state) return;
  page.setDefaultTimeout(20_000);
  await page.evaluateOnNewDocument(
    (activeMutant, hitLimit) => {
      const before = sessionStorage.getItem('reached') ?? '{}';
      const mutantCoverage = { static: JSON.parse(before) as Counts, perTest: {} };
      globalThis.__stryker__ = { activeMutant, hitLimit, hitCount: 0, mutantCoverage };
      addEventListener('pagehide', () =>
        sessionStorage.setItem('reached', JSON.stringify(mutantCoverage.static)),
      );
    },
    state.activeMutant,
    state.hitLimit,
  );
}

/** Adds what the page reached to what its test reached. */
export async function addReached(page: Page): Promise<void> {
  const state = globalThis.__stryker__;
  if (!state?.currentTestId) return;
  const counts = await page.evaluate(() => globalThis.__stryker__?.mutantCoverage?.static ?? {});
  state.mutantCoverage ??= { static: {}, perTest: {} };
  const sums = (state.mutantCoverage.perTest[state.currentTestId] ??= {});
  for (const [fault, count] of Object.entries(counts)) sums[fault] = (sums[fault] ?? 0) + count;
}
