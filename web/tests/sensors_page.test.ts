/** What sensors, permissions and signs the page in headless Chromium meets. */

import { expect, test } from 'vitest';
import { answers, faulty, jitter, open, rest, rowsOf } from './opened';
import { IPHONE, motionsOf, type Phone } from './phone';

/** Of acceleration, then of rotation, as they are shown. */
function readings(of: Phone): Promise<string[]> {
  return of.page.$$eval('#readings tbody td', (cells) => cells.map((cell) => cell.textContent));
}

test('an iPhone asks for permission from a tap, and its signs are reversed', async () => {
  const page = await open(() => {
    Object.assign(DeviceMotionEvent, {
      requestPermission: () => Promise.resolve(navigator.userActivation.isActive ? 'granted' : 'denied'),
    });
  }, IPHONE);
  await page.start();
  await page.page.waitForSelector('#start:disabled');
  await page.move(motionsOf(jitter, -1));
  const rows = await answers(page, jitter.probabilities.length);
  rows.forEach(([, , posterior], index) =>
    expect(Math.abs(jitter.confidence[index] - Number(posterior))).toBeLessThan(0.001),
  );
});

test('the orientation, where it is known, tells the sign whatever the platform', async () => {
  const upright = rest(0, 2, [0, -9.8, -0.2]).map((each) => ({ ...each, tilt: { beta: 89, gamma: 0 } }));
  const page = await open();
  await page.start();
  await page.move(upright);
  await page.page.waitForSelector('#trace polyline[points]');
  const [x, y, z, ...rotation] = await readings(page);
  expect([x, y, z]).toEqual(['0.0', '9.8', '0.2']);
  for (const each of rotation) expect(each).toMatch(/^-?0\.\d\d$/);
});

test.each([
  ['refusal', false],
  ['error', true],
])('a permission that is denied by %s is explained', async (_, rejects) => {
  const page = await open();
  await page.page.evaluate((isError) => {
    const requestPermission = () => (isError ? Promise.reject(new Error()) : Promise.resolve('denied'));
    Object.assign(DeviceMotionEvent, { requestPermission });
  }, rejects);
  await page.start();
  expect(await page.notice()).toContain('permission for motion data was refused');
  expect(await page.page.$('#record[hidden]')).not.toBeNull();
});

test('a device without a sensor is not confused with a sensor without gravity', async () => {
  const silent = await open();
  await silent.start();
  await silent.move([{ timeMs: 0 }]); // as a computer sends it
  expect(await silent.notice()).toContain('has no sensor');
  await silent.close();
  const linear = await open();
  await linear.start();
  await linear.move([{ timeMs: 0, linear: [0, 0, 0.1] }]);
  expect(await linear.notice()).toContain('without gravity');
});

test('acceleration that claims to have gravity, and has not, is refused', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2, [0.1, -0.2, 0.3]));
  expect(await page.notice()).toContain('without gravity');
  expect(await page.page.$('#now[hidden]')).not.toBeNull();
});

test('acceleration in g is refused, and the next try begins anew', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2, [0.01, 0.02, 1]));
  expect(await page.notice()).toContain('acceleration in g');
  expect(await page.page.$eval('#start', (button) => (button as HTMLButtonElement).disabled)).toBe(false);
  await page.start(); // other settings, and another try: what was refused counts no more
  await page.move(rest(2, 2));
  await page.page.waitForSelector('#trace polyline[points]');
  expect((await readings(page)).slice(0, 3)).toEqual(['0.1', '0.2', '9.8']);
});

test('gravity opposite to the training recordings is warned of, until it is not', async () => {
  const thrice = (sign: number, fromS: number) =>
    [0, 14.1, 28.2].flatMap((s) =>
      motionsOf(jitter, sign).map((each) => ({ ...each, timeMs: each.timeMs + 1000 * (fromS + s) })),
    );
  const page = await open();
  await page.start();
  await page.move(thrice(-1, 0));
  await page.page.waitForSelector('#warning:not([hidden])');
  expect(await page.text('#warning')).toContain('Gravity points opposite');
  await page.shoot('opposite-390-light');
  for (const fromS of [43, 86, 129]) await page.move(thrice(1, fromS));
  await page.page.waitForSelector('#warning[hidden]');
  expect(await page.page.$eval('#warning', (found) => found.textContent)).toBe('');
});

test('what lacks an axis, no motion gives, or comes too late is not recorded, and told once', async () => {
  const page = await open();
  await page.start();
  await page.move(rest(0, 2));
  await page.tapLabel('sitting');
  await page.move(rest(2, 12));
  const spike = { acc: [0, 0, 9.8], rotation: [0, 5001, 0] };
  await page.move([
    { ...spike, timeMs: 14_000 },
    { ...spike, timeMs: 14_001, rotation: [0, 4999, null] },
    { ...spike, timeMs: 14_002, acc: [null, 0, 9.8] },
    { ...spike, timeMs: 3000, rotation: [0, 4999, 0] },
    { ...spike, timeMs: 14_003, rotation: [0, 4999, 0] },
  ]);
  expect(await page.notice()).toContain(faulty.rule);
  await page.tapLabel('standing');
  await page.move([{ ...spike, timeMs: 14_100 }]);
  expect(await page.page.$('#notice[hidden]')).not.toBeNull();
  const [, ...rows] = rowsOf(await page.download('#save-recording', 'recording.csv'));
  expect(rows).toHaveLength(12 * 60 + 1);
  expect(Number(rows.at(-1)?.[5])).toBeCloseTo((4999 * Math.PI) / 180, 4);
  await page.page.waitForFunction(() => document.getElementById('rate')?.textContent === 'no motion data');
});

test('a browser without rotation is warned of, and recorded without it', async () => {
  const still = (fromS: number) => rest(fromS, 2).map(({ timeMs, acc = [] }) => ({ timeMs, acc }));
  const page = await open();
  await page.start();
  await page.move(still(0));
  expect(await page.notice()).toContain('no rotation');
  await page.tapLabel('sitting');
  await page.move(still(2));
  const [head] = rowsOf(await page.download('#save-recording', 'recording.csv'));
  expect(head).toEqual(['time_ms', 'acc_x_m_s2', 'acc_y_m_s2', 'acc_z_m_s2']);
  await page.page.waitForSelector('#trace polyline[points]');
  expect((await readings(page)).slice(2)).toEqual(['9.8', '–', '–', '–']);
});
