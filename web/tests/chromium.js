/**
 * Where a Chromium is: $HAR_CHROMIUM, or the one that npm installed (Linux, x86-64), unpacked on first use.
 *
 * `node tests/chromium.js` prints the path, for the Python tests.
 */

import console from 'node:console';
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createBrotliDecompress } from 'node:zlib';

/** @returns {Promise<string>} */
export async function chromium() {
  if (process.env.HAR_CHROMIUM) return process.env.HAR_CHROMIUM;
  // Not the package's own way: it unpacks to a name in /tmp that all users share.
  const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const root = entry.slice(0, entry.lastIndexOf('/build/'));
  const unpacked = path.join(root, 'unpacked', 'chromium');
  if (!existsSync(unpacked)) {
    mkdirSync(path.dirname(unpacked), { recursive: true });
    const partial = `${unpacked}.${process.pid}`;
    const packed = createReadStream(path.join(root, 'bin', 'chromium.br'));
    await pipeline(packed, createBrotliDecompress(), createWriteStream(partial, { mode: 0o755 }));
    renameSync(partial, unpacked);
  }
  return unpacked;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await chromium());
