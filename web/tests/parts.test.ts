/** Parts of the page that need little of a browser, which is made up here: elements, and what a phone has. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findGravity, upFrom } from '../src/gravity';
import { CONTRADICTIONS, FAILURES, learnedFrom, paused, seconds, tooShort } from '../src/messages';
import { keepOffline, keepScreenOn, watchBattery } from '../src/phone';
import { connectPocket } from '../src/pocket';
import { Sensor, type Failure } from '../src/sensor';
import { canShare, choices, csvFile, handOver, keep, percent, showSensors, write } from '../src/view';

class Dialog extends EventTarget {
  open = false;
  showModal(): void {
    this.open = true;
  }
  close(): void {
    this.open = false;
    this.dispatchEvent(new Event('close'));
  }
}

let elements: Map<string, Dialog>;

beforeEach(() => {
  vi.useFakeTimers();
  elements = new Map();
  vi.stubGlobal('window', globalThis);
  vi.stubGlobal('document', {
    getElementById: (id: string) => {
      const element = elements.get(id) ?? new Dialog();
      elements.set(id, element);
      return element;
    },
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function dispatch(id: string, type: string, detail = 0): void {
  elements.get(id)?.dispatchEvent(Object.assign(new Event(type), { detail }));
}

test('the lock opens after a whole second of one press, or from a keyboard', () => {
  connectPocket();
  const isLocked = (): boolean | undefined => elements.get('pocket')?.open;
  expect(isLocked()).toBe(false);
  elements.get('pocket')?.close();
  expect(isLocked()).toBe(false);
  dispatch('lock', 'click');
  for (const end of ['pointerup', 'pointercancel', 'pointerleave']) {
    dispatch('unlock', 'pointerdown');
    vi.advanceTimersByTime(999);
    dispatch('unlock', end);
    vi.advanceTimersByTime(2000);
    expect(isLocked()).toBe(true);
  }
  elements.get('pocket')?.close(); // as Escape does
  dispatch('unlock', 'click', 1);
  expect(isLocked()).toBe(true);
  dispatch('unlock', 'pointerdown');
  vi.advanceTimersByTime(1000);
  expect(isLocked()).toBe(false);
  dispatch('lock', 'click');
  expect(isLocked()).toBe(true);
  dispatch('unlock', 'click');
  expect(isLocked()).toBe(false);
});

test('the battery is told at once and at each change, unless the browser hides it', async () => {
  const battery = Object.assign(new EventTarget(), { level: 0.5 });
  const levels: number[] = [];
  vi.stubGlobal('navigator', {});
  await watchBattery((share) => levels.push(share));
  expect(levels).toEqual([]);
  vi.stubGlobal('navigator', { getBattery: () => Promise.resolve(battery) });
  await watchBattery((share) => levels.push(share));
  battery.level = 0.25;
  battery.dispatchEvent(new Event('levelchange'));
  expect(levels.map(percent)).toEqual(['50 %', '25 %']);
});

test('the screen is kept on where the browser can, and a refusal is no error', async () => {
  const asked: string[] = [];
  vi.stubGlobal('navigator', {});
  await keepScreenOn();
  const request = (what: string): Promise<void> => {
    asked.push(what);
    return Promise.reject(new Error('low battery'));
  };
  vi.stubGlobal('navigator', { wakeLock: { request } });
  await keepScreenOn();
  expect(asked).toEqual(['screen']);
});

test('offline use is told once all files are there', async () => {
  const told: string[] = [];
  const workers = {
    register: (name: string) => {
      told.push(name);
      return Promise.resolve();
    },
    ready: Promise.resolve(),
  };
  vi.stubGlobal('navigator', {});
  await keepOffline(() => told.push('ready'));
  expect(told).toEqual([]);
  vi.stubGlobal('navigator', { serviceWorker: workers });
  await keepOffline(() => told.push('ready'));
  expect(told).toEqual(['./service_worker.js', 'ready']);
  const register = () => Promise.reject(new Error('private'));
  vi.stubGlobal('navigator', { serviceWorker: { ...workers, register } });
  await keepOffline(() => told.push('ready'));
  expect(told).toHaveLength(2);
});

test('files are shared at once, or else saved; not if the user changes their mind', async () => {
  const saved: string[] = [];
  const link = { href: '', download: '', click: () => saved.push(`${link.download} at ${link.href}`) };
  vi.stubGlobal('document', { createElement: (tag: string) => (tag === 'a' ? link : undefined) });
  const revoked: string[] = [];
  vi.stubGlobal('URL', {
    createObjectURL: ({ name }: File) => `blob:${name}`,
    revokeObjectURL: (url: string) => revoked.push(url),
  });
  const files = [csvFile('a.csv', 'x'), csvFile('b.csv', 'y')];
  expect(files.map(({ name, type }) => `${name} ${type}`)).toEqual(['a.csv text/csv', 'b.csv text/csv']);
  const both = ['a.csv at blob:a.csv', 'b.csv at blob:b.csv'];
  const shared: File[][] = [];
  const sharing = (error?: Error) => ({
    canShare: () => true,
    share: (data: { files: File[] }) => {
      shared.push(data.files);
      return error ? Promise.reject(error) : Promise.resolve();
    },
  });
  const outcomes = [
    [{}, false, both],
    [{ canShare: () => false }, false, both],
    [sharing(), true, []],
    [sharing(new DOMException('changed their mind', 'AbortError')), true, []],
    [sharing(new DOMException('no', 'NotAllowedError')), true, both],
    [sharing(Object.assign(new Error(), { name: 'AbortError' })), true, both],
  ] as const;
  for (const [navigator, can, names] of outcomes) {
    vi.stubGlobal('navigator', navigator);
    saved.length = 0;
    expect(canShare(files)).toBe(can);
    await handOver(files);
    expect(saved).toEqual(names);
  }
  expect(shared).toEqual(Array(4).fill(files));
  expect(revoked).toEqual([]);
  vi.advanceTimersByTime(60_000);
  expect(revoked).toHaveLength(8);
});

interface Opened {
  events: string[]; // what its listener gets
  send: (timeMs: number, z: number | null, more?: object) => void;
  turn: (beta: number | null, gamma: number | null) => void;
}

/** A sensor that has been started, in a browser that has this, too. */
async function openSensor(browser: object = {}): Promise<Opened> {
  const target = new EventTarget();
  vi.stubGlobal('window', { setTimeout, DeviceMotionEvent: {} });
  vi.stubGlobal('DeviceMotionEvent', {});
  vi.stubGlobal('isSecureContext', true);
  vi.stubGlobal('navigator', { userAgent: 'Android', maxTouchPoints: 5 });
  for (const name of ['addEventListener', 'removeEventListener'] as const) {
    vi.stubGlobal(name, target[name].bind(target));
  }
  for (const [name, value] of Object.entries(browser)) vi.stubGlobal(name, value);
  const events: string[] = [];
  const sensor = new Sensor({
    ready: (hasRotation) => events.push(`ready ${hasRotation}`),
    sample: ({ timeS, values }) => events.push(`${timeS} ${values.map((each) => each.toFixed(2)).join(' ')}`),
    findImpossible: () => events.push('impossible'),
    fail: (failure: Failure) => events.push(failure),
  });
  await sensor.start();
  const send = (timeMs: number, z: number | null, more: object = {}): void => {
    const event = Object.assign(new Event('devicemotion'), {
      accelerationIncludingGravity: z === null ? null : { x: 0, y: 0, z },
      acceleration: null,
      rotationRate: { alpha: 0, beta: 90, gamma: -180 },
      ...more,
    });
    Object.defineProperty(event, 'timeStamp', { value: timeMs });
    target.dispatchEvent(event);
  };
  const turn = (beta: number | null, gamma: number | null): void => {
    target.dispatchEvent(Object.assign(new Event('deviceorientation'), { beta, gamma }));
  };
  return { events, send, turn };
}

test('a sensor gives all samples once a second of ten has gravity in it', async () => {
  const { events, send } = await openSensor();
  for (let i = 0; i < 9; i++) send(125 * i, 10);
  expect(events).toEqual([]);
  send(1125, 10);
  expect(events[0]).toBe('ready true');
  expect(events[1]).toBe('0 0.00 0.00 10.00 0.00 1.57 -3.14');
  expect(events).toHaveLength(11);
  send(1250, 8);
  expect(events.slice(11)).toEqual(['1.25 0.00 0.00 8.00 0.00 1.57 -3.14']);
  vi.advanceTimersByTime(5000);
  expect(events).toHaveLength(12);
  const late = await openSensor(); // its rotation
  for (let i = 0; i < 10; i++) late.send(125 * i, 10, i < 9 ? { rotationRate: null } : {});
  expect(late.events).toEqual(['ready true', '1.125 0.00 0.00 10.00 0.00 1.57 -3.14']);
  const quick = await openSensor();
  for (let i = 0; i < 99; i++) quick.send(10 * i, 10);
  expect(quick.events).toEqual([]);
  quick.send(1000, 10);
  expect(quick.events).toHaveLength(101);
});

test('samples that lack a value, are not later, or that no motion gives, are missing', async () => {
  const { events, send } = await openSensor();
  for (const z of [NaN, Infinity]) send(-1, z);
  expect(events).toEqual([]);
  send(-1, 491);
  vi.advanceTimersByTime(5000); // it is not silent
  for (let i = 0; i < 10; i++) send(125 * i, 10);
  expect(events.slice(0, 2)).toEqual(['impossible', 'ready true']);
  const rates = [null, { alpha: 0, beta: null, gamma: 0 }, { alpha: NaN, beta: 0, gamma: 0 }];
  for (const rotationRate of rates) send(2000, 10, { rotationRate });
  send(2000, -490.4);
  for (const gamma of [5000.1, -5000.1]) send(2000, 10, { rotationRate: { alpha: 0, beta: 0, gamma } });
  for (const timeMs of [1125, 125, 0]) send(timeMs, 10);
  expect(events).toHaveLength(12);
  send(2000, 490.3, { rotationRate: { alpha: 0, beta: 0, gamma: 5000 } });
  expect(events.slice(12)).toEqual(['2 0.00 0.00 490.30 0.00 0.00 87.27']);
});

test('a sensor without rotation says so, and its orientation tells the sign', async () => {
  const { events, send, turn } = await openSensor();
  turn(0, 0);
  turn(null, 0); // as a computer sends it
  turn(180, null);
  for (let i = 0; i < 10; i++) send(125 * i, -10, { rotationRate: { alpha: 1, beta: null, gamma: 1 } });
  expect(events.slice(0, 2)).toEqual(['ready false', '0 0.00 0.00 10.00 0.00 0.00 0.00']);
});

test.each([
  ['insecure', { isSecureContext: false }],
  ['unsupported', { window: { setTimeout } }],
  ['denied', { DeviceMotionEvent: { requestPermission: () => Promise.resolve('denied') } }],
  ['denied', { DeviceMotionEvent: { requestPermission: () => Promise.reject(new Error()) } }],
])('a sensor is %s', async (failure, browser) => {
  const { events, send } = await openSensor(browser);
  expect(events).toEqual([failure]);
  for (let i = 0; i < 99; i++) send(125 * i, 10);
  vi.advanceTimersByTime(5000);
  expect(events).toEqual([failure]);
});

test('a sensor that is silent for three seconds has failed, until it is started again', async () => {
  const granted = { DeviceMotionEvent: { requestPermission: () => Promise.resolve('granted') } };
  const { events, send } = await openSensor(granted);
  send(0, null, { acceleration: { x: 0, y: null, z: 0 } });
  vi.advanceTimersByTime(2999);
  expect(events).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(events).toEqual(['silent']);
  const linear = await openSensor();
  linear.send(0, null, { acceleration: { x: 0, y: 0, z: 0 } });
  linear.send(1, null);
  vi.advanceTimersByTime(3000);
  expect(linear.events).toEqual(['no_gravity']);
  for (let i = 0; i < 99; i++) linear.send(125 * i, 10);
  expect(linear.events).toHaveLength(1);
});

test.each([
  [1, 'in_g'],
  [0.5, 'no_gravity'],
])('acceleration of %f is refused', async (z, failure) => {
  const { events, send } = await openSensor();
  for (let i = 0; i < 20; i++) send(125 * i, z);
  vi.advanceTimersByTime(5000);
  expect(events).toEqual([failure]);
});

test('gravity is judged by the median of lengths, the mean, and where up is', () => {
  const still = (acc: number[], up?: number[]) => Array.from({ length: 2 }, () => ({ acc, up }));
  const found = (acc: number[], up?: number[]) => findGravity(still(acc, up), -1);
  expect(found([0, 3, 4])).toEqual({ isIncluded: true, isInG: false, sign: -1 });
  expect(found([0, 3, 3.9]).isIncluded).toBe(false);
  const lengths = [0.8, 0.81, 1.24, 1.25];
  expect(lengths.map((length) => found([length, 0, 0]).isInG)).toEqual([false, true, true, false]);
  expect(found([0, 10, 0], [0, 0.5, 0.8]).sign).toBe(1);
  expect(found([0, -10, 0], [0, 0.5, 0.8]).sign).toBe(-1);
  const doubtful = findGravity(still([0, 10, 0], [0, 0.49, 0.8]), -1);
  expect(doubtful.sign).toBe(-1);
  const turned = [...still([0, 0, 9.8], [0, 0, 1]), { acc: [0, 0, -9.8], up: undefined }];
  expect(findGravity(turned, -1).sign).toBe(1);
  const [x, y, z] = upFrom(30, 60);
  expect([x, y, z]).toEqual([-0.75, 0.5, Math.sqrt(3) / 4].map((each) => expect.closeTo(each, 9) as unknown));
});

test('whatever fails or contradicts is said in whole sentences', () => {
  const texts = [...Object.values(FAILURES), ...Object.values(CONTRADICTIONS)];
  expect(texts).toHaveLength(11);
  for (const text of texts) expect(text).toMatch(/^[A-Z].{40,}[a-z)]\.$/);
});

test('a list of activities keeps what was chosen, if it still has it', () => {
  vi.stubGlobal('Option', function (this: { name: string }, name: string) {
    this.name = name;
  });
  const list = document.getElementById('truth') as HTMLSelectElement;
  // A browser selects the first of new options.
  list.replaceChildren = (...options) => (list.value = (options[0] as unknown as { name: string }).name);
  list.value = 'sofa';
  choices('truth', ['walking', 'sofa']);
  expect(list.value).toBe('sofa');
  choices('truth', ['walking', 'rest']);
  expect(list.value).toBe('walking');
});

test('a text that does not change is not written again', () => {
  const written: string[] = [];
  Object.defineProperty(document.getElementById('answer'), 'textContent', {
    get: () => written.at(-1) ?? '',
    set: (text: string) => written.push(text),
  });
  for (const text of ['', 'walking', 'walking', 'rest', 'walking']) write('answer', text);
  expect(written).toEqual(['walking', 'rest', 'walking']);
});

test('values of sensors are rounded, and a zero has no sign', () => {
  const cells = Array.from({ length: 6 }, () => ({ textContent: '–' }));
  const all: Record<string, unknown[]> = { '#readings td:not(:empty)': cells };
  Object.assign(document, { querySelectorAll: (query: string) => all[query] ?? [] });
  const texts = (hasRotation: boolean) => {
    showSensors([[0, 0, 0, 0, 0, 0], [-0.04, -0.54, 9.81, -0.004, -0.5, 2]], hasRotation);
    return cells.map(({ textContent }) => textContent);
  };
  expect(texts(false)).toEqual(['0.0', '-0.5', '9.8', '–', '–', '–']);
  expect(texts(true)).toEqual(['0.0', '-0.5', '9.8', '0.00', '-0.50', '2.00']);
});

test('a choice is kept where the browser has storage', () => {
  const stored = new Map<string, string>();
  vi.stubGlobal('location', { pathname: '/x/' });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
  });
  const control = document.getElementById('trim') as HTMLInputElement;
  control.value = '3';
  keep('trim');
  expect(control.value).toBe('3');
  control.value = '5';
  dispatch('trim', 'change');
  expect([...stored]).toEqual([['har_jax trim /x/', '5']]);
  control.value = '3';
  keep('trim');
  expect(control.value).toBe('5');
  const warn = vi.spyOn(console, 'warn').mockReturnValue(undefined);
  vi.stubGlobal('localStorage', undefined);
  keep('trim');
  expect(warn).toHaveBeenCalledOnce();
  expect(control.value).toBe('5');
});

test('times and what was learned are said in few words', () => {
  expect([0, 59.9, 60, 754].map(seconds)).toEqual(['0:00', '0:59', '1:00', '12:34']);
  expect(tooShort('sofa', 8.1)).toContain('“sofa” from: it takes 9 seconds');
  const of = (activity: string) => ({ timeS: 0, seconds: 1, activity });
  expect(learnedFrom(['sofa', 'lying', 'sofa'].map(of))).toBe('Learned: sofa 2 ×, lying 1 ×');
  const [from, to] = [0, 60_000].map((ms) => new Date(ms).toLocaleTimeString());
  const before = `Paused from ${from} to ${to}: a page that is hidden gets no motion data.`;
  expect(paused(0, 60_000, undefined)).toBe(before);
  expect(paused(0, 60_000, 'sofa')).toBe(`${before} “sofa” ended at ${from}: tap it to continue.`);
});
