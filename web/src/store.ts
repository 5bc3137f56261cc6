/** What is recorded, answered and learned, in the browser's storage: a phone ends pages to free memory. */

import type { Learned } from './learner';

/** Rows that become more over time. */
export interface Series {
  rows: number[][]; // Unix time in ms, then values
}

type Part<T> = T & { takeMs: number }; // when its series began

/** Series in the order in which they began. `is`: whether a stored part is one, apart from its rows. */
export class Store<T extends Series> {
  // Next to the files of the service worker, and like them one for each folder of a host.
  private readonly cache: string;
  private readonly stored = new WeakMap<T, number>(); // rows of a series that are stored
  private last: Promise<void> = Promise.resolve();

  constructor(
    name: string,
    private readonly is: (part: Partial<T>) => boolean,
  ) {
    this.cache = `har_jax ${name} ${location.pathname}`;
  }

  /**
   * Writes what the series has gained since it was last stored: all of an hour is too much for each call.
   * Rejects where the storage is full or missing; the next call then writes those rows, too.
   */
  keep(series: T): Promise<void> {
    return this.inTurn(() => this.write(series));
  }

  /** Deletes one series. */
  remove(series: T): Promise<void> {
    return this.inTurn(async () => {
      const cache = await caches.open(this.cache);
      const names = new Set(series.rows.map(([atMs]) => partOf(atMs)));
      const own = (await cache.keys()).filter(({ url }) => names.has(url.slice(url.lastIndexOf('/') + 1)));
      await Promise.all(own.map((each) => cache.delete(each)));
    });
  }

  forget(): Promise<void> {
    return this.inTurn(() => caches.delete(this.cache));
  }

  /** One change of the storage after the other. */
  private inTurn(change: () => Promise<unknown>): Promise<void> {
    const next = this.last.then(change).then(() => undefined);
    this.last = next.catch(() => undefined);
    return next;
  }

  private async write(series: T): Promise<void> {
    const count = series.rows.length;
    const rows = series.rows.slice(this.stored.get(series) ?? 0);
    if (!rows.length) return;
    const part: Part<T> = { ...series, rows, takeMs: series.rows[0][0] };
    const cache = await caches.open(this.cache);
    await cache.put(`./${partOf(rows[0][0])}`, new Response(JSON.stringify(part)));
    this.stored.set(series, count);
  }

  /** `damaged` parts are left out. */
  async restore(): Promise<{ series: T[]; damaged: number }> {
    const cache = await caches.open(this.cache);
    const responses = await cache.matchAll();
    const stored = await Promise.all(responses.map((each) => each.json().catch(() => undefined) as unknown));
    const parts = stored.filter((each): each is Part<T> => this.isPart(each));
    const series: T[] = [];
    for (const { takeMs, ...part } of parts.sort((a, b) => a.rows[0][0] - b.rows[0][0])) {
      const before = series.at(-1);
      if (before?.rows[0][0] === takeMs) before.rows.push(...part.rows);
      else series.push(part as unknown as T);
    }
    for (const each of series) this.stored.set(each, each.rows.length);
    return { series, damaged: stored.length - parts.length };
  }

  private isPart(stored: unknown): boolean {
    const part = (stored ?? {}) as Partial<T>;
    const { rows } = part;
    return Array.isArray(rows) && rows.length > 0 && rows.every(Array.isArray) && this.is(part);
  }
}

/** The name of a part, by its first row. */
function partOf(atMs: number): string {
  return `rows-${atMs}`;
}

const LEARNED = `har_jax learned ${location.pathname}`;

/** What was learned, as a whole. */
export const learned = {
  async keep(state: Learned): Promise<void> {
    const cache = await caches.open(LEARNED);
    await cache.put('./learned', new Response(JSON.stringify(state)));
  },

  /** Undefined: nothing, or it is damaged. */
  async restore(): Promise<Learned | undefined> {
    const response = await (await caches.open(LEARNED)).match('./learned');
    return (await response?.json().catch(() => undefined)) as Learned | undefined;
  },
};
