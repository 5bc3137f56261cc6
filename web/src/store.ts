/** Takes in the browser's storage, since a phone ends pages for which it has no memory. */

import type { Take } from './recorder';

// Next to the files of the service worker, and like them one for each folder of a host.
const NAME = `har_jax recording ${location.pathname}`;

interface Part extends Take {
  takeMs: number; // when its take began
}

const kept = new WeakMap<Take, number>(); // rows of a take that are stored
let last: Promise<void> = Promise.resolve();

/**
 * Writes what the take has gained since it was last stored: a take of an hour is too much for each call.
 * Rejects where the storage is full or missing; the next call then writes those rows, too.
 */
export function keep(take: Take): Promise<void> {
  const next = last.then(() => store(take));
  last = next.catch(() => undefined); // one write after the other
  return next;
}

async function store(take: Take): Promise<void> {
  const count = take.rows.length;
  const rows = take.rows.slice(kept.get(take) ?? 0);
  if (!rows.length) return;
  const part: Part = { ...take, rows, takeMs: take.rows[0][0] };
  const cache = await caches.open(NAME);
  await cache.put(`./rows-${rows[0][0]}`, new Response(JSON.stringify(part)));
  kept.set(take, count);
}

/** In the order in which they were recorded; `damaged` parts are left out. */
export async function restore(): Promise<{ takes: Take[]; damaged: number }> {
  const cache = await caches.open(NAME);
  const responses = await cache.matchAll();
  const stored = await Promise.all(responses.map((each) => each.json().catch(() => undefined)));
  const parts = stored.filter(isPart);
  const takes: Take[] = [];
  for (const { takeMs, ...part } of parts.sort((a, b) => a.rows[0][0] - b.rows[0][0])) {
    const before = takes.at(-1);
    if (before?.rows[0][0] === takeMs) before.rows.push(...part.rows);
    else takes.push(part);
  }
  return { takes, damaged: stored.length - parts.length };
}

function isPart(stored: unknown): stored is Part {
  const { label, rows } = (stored ?? {}) as Partial<Part>;
  return typeof label === 'string' && Array.isArray(rows) && rows.length > 0 && rows.every(Array.isArray);
}

export async function forget(): Promise<void> {
  await caches.delete(NAME);
}
