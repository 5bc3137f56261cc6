/** The service worker among made-up caches: what it keeps, deletes and answers. */

import { beforeEach, expect, test, vi } from 'vitest';

type Listener = (event: Record<string, unknown>) => void;

const listeners = new Map<string, Listener>();
let stored: Map<string, Map<string, string>>; // by cache: address → text
const added: { name: string; cache: string }[] = [];
const calls: string[] = [];

beforeEach(async () => {
  const names = ['har_jax /x/ old', 'har_jax /y/ old', 'har_jax answers /x/'];
  stored = new Map(names.map((name) => [name, new Map<string, string>()]));
  for (const list of [added, calls]) list.length = 0;
  const worker = {
    FILES: { version: 'new', names: ['./', 'page.js'] },
    importScripts: (name: string) => calls.push(name),
    skipWaiting: () => calls.push('skipWaiting'),
    clients: { claim: () => calls.push('claim') },
    addEventListener: (type: string, listener: Listener) => listeners.set(type, listener),
  };
  vi.stubGlobal('self', worker);
  vi.stubGlobal('location', { pathname: '/x/' });
  vi.stubGlobal('fetch', (request: { url: string }) => Promise.resolve(`network ${request.url}`));
  vi.stubGlobal('Request', function (this: object, name: string, { cache }: { cache: string }) {
    Object.assign(this, { name, cache });
  });
  vi.stubGlobal('caches', {
    keys: () => Promise.resolve([...stored.keys()]),
    delete: (name: string) => Promise.resolve(stored.delete(name)),
    open: (name: string) => {
      const files = stored.get(name) ?? new Map<string, string>();
      stored.set(name, files);
      return Promise.resolve({
        addAll: (requests: { name: string; cache: string }[]) => {
          added.push(...requests);
          for (const request of requests) files.set(request.name, `kept ${request.name}`);
          return Promise.resolve();
        },
        match: (request: string | { url: string }, { ignoreSearch }: { ignoreSearch: boolean }) => {
          const url = typeof request === 'string' ? request : request.url;
          return Promise.resolve(files.get(ignoreSearch ? url.replace(/\?.*/, '') : url));
        },
      });
    },
  });
  vi.resetModules();
  await vi.importActual('../src/service_worker');
});

/** Dispatches an event, and waits for what the worker promises. */
async function dispatch(type: string, event: Record<string, unknown> = {}): Promise<unknown> {
  let promised: unknown = 'nothing';
  const keep = (promise: unknown): void => {
    promised = promise;
  };
  listeners.get(type)?.({ ...event, waitUntil: keep, respondWith: keep });
  return await promised;
}

test('all files are fetched anew into the cache of this version, which is used at once', async () => {
  await dispatch('install');
  expect(added.map(({ name, cache }) => [name, cache])).toEqual([
    ['./', 'no-cache'],
    ['page.js', 'no-cache'],
  ]);
  expect([...(stored.get('har_jax /x/ new') ?? [])]).toHaveLength(2);
  expect(calls).toEqual(['files.js', 'skipWaiting']);
});

test('older versions of this folder are deleted, and nothing else', async () => {
  await dispatch('install');
  await dispatch('activate');
  expect([...stored.keys()]).toEqual(['har_jax /y/ old', 'har_jax answers /x/', 'har_jax /x/ new']);
  expect(calls.at(-1)).toBe('claim');
});

test('what is kept needs no network, whatever is asked of the page by its address', async () => {
  await dispatch('install');
  const get = (url: string, mode = 'cors', method = 'GET') =>
    dispatch('fetch', { request: { url, mode, method } });
  expect(await get('page.js')).toBe('kept page.js');
  expect(await get('page.js?v=1')).toBe('kept page.js');
  expect(await get('index.html', 'navigate')).toBe('kept ./');
  expect(await get('other.js')).toBe('network other.js');
  expect(await get('page.js', 'cors', 'POST')).toBe('nothing');
});
