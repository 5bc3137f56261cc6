/** Takes in the browser's storage, since a phone ends pages for which it has no memory. */

import type { Take } from './recorder';

// Next to the files of the service worker, and like them one for each folder of a host.
const NAME = `har_jax recording ${location.pathname}`;

interface Part extends Take {
  takeMs: number; // when its take began
}

let kept: { take: Take; count: number } | undefined;

/** Writes what the take has gained since the last call: a take of an hour is too much for each call. */
export async function keep(take: Take): Promise<void> {
  const rows = take.rows.slice(kept?.take === take ? kept.count : 0);
  if (!rows.length) return;
  kept = { take, count: take.rows.length };
  const part: Part = { ...take, rows, takeMs: take.rows[0][0] };
  const cache = await caches.open(NAME);
  await cache.put(`./rows-${rows[0][0]}`, new Response(JSON.stringify(part)));
}

/** In the order in which they were recorded. */
export async function restore(): Promise<Take[]> {
  const cache = await caches.open(NAME);
  const responses = await cache.matchAll();
  const parts = (await Promise.all(responses.map((each) => each.json()))) as Part[];
  const takes: Take[] = [];
  for (const { takeMs, ...part } of parts.sort((a, b) => a.rows[0][0] - b.rows[0][0])) {
    const last = takes.at(-1);
    if (last?.rows[0][0] === takeMs) last.rows.push(...part.rows);
    else takes.push(part);
  }
  return takes;
}

export async function forget(): Promise<void> {
  await caches.delete(NAME);
}
