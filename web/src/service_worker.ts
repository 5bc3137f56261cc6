/** Keeps the folder's files in the phone, so that the page works offline. `har-jax export` lists them. */

interface Files {
  version: string; // changes with the content of any file
  names: string[];
}

interface WorkerEvent extends Event {
  waitUntil(done: Promise<unknown>): void;
}

interface FetchEvent extends WorkerEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

// The types of a worker exclude those of a page, which share this project.
interface Worker {
  FILES: Files;
  importScripts(name: string): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  addEventListener(type: 'install' | 'activate', listener: (event: WorkerEvent) => void): void;
  addEventListener(type: 'fetch', listener: (event: FetchEvent) => void): void;
}

const worker = self as unknown as Worker;
// The browser compares an imported script, too, when it looks for a new version.
worker.importScripts('files.js');
const { version, names } = worker.FILES;
// One host may have several of these pages, each in its folder.
const FOLDER = `har_jax ${location.pathname} `;
const NAME = FOLDER + version;

worker.addEventListener('install', (event) => event.waitUntil(install()));
worker.addEventListener('activate', (event) => event.waitUntil(activate()));
worker.addEventListener('fetch', (event) => {
  if (event.request.method === 'GET') event.respondWith(answer(event.request));
});

async function install(): Promise<void> {
  const cache = await caches.open(NAME);
  // Not older than the host's, and not once more what the page has just loaded.
  await cache.addAll(names.map((name) => new Request(name, { cache: 'no-cache' })));
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith(FOLDER) && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(NAME);
  const page = request.mode === 'navigate' ? './' : request; // whether or not index.html is written out
  return (await cache.match(page, { ignoreSearch: true })) ?? fetch(request);
}
