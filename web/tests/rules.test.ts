/** Rules of the page, each on a few made-up answers or samples, without a browser. */

import { expect, test, vi } from 'vitest';
import type { AdapterCard } from '../src/adapter';
import { answersCsv, tabulate, totals } from '../src/answers';
import { sumUpModerate, sumUpSitting } from '../src/bouts';
import { Chain } from '../src/chain';
import { FrameCheck } from '../src/frame';
import { signOf } from '../src/gravity';
import { inAll } from '../src/messages';
import type { Card } from '../src/model';
import { Recognizer, type Answer } from '../src/recognizer';
import { Recorder } from '../src/recorder';
import { Shift } from '../src/shift';
import { countSteps, lengthsOf, measureMovement } from '../src/steps';
import { isSession, nameOf, Timeline } from '../src/timeline';
import { adaptToRecording } from '../src/whole';

const ADAPTER = { checksum: 'x', temperature: 1, adaptation_temperature: 1 } as AdapterCard;
const CARD: Card = {
  file: '',
  classes: ['walking', 'rest'],
  input: { name: '', rate_hz: 50, window: 128, rotation: 'used' },
  stream: { hop_s: 1.28, mean_bout_s: 2, max_gap_s: 0.2 },
  signals: null,
};

const CHAIN = new Chain(2, 1.28, 2.56);
const near = (value: number): unknown => expect.closeTo(value, 6) as unknown;

/** The answers to windows of these probabilities, half a window apart, with a pause between the parts. */
async function answers(
  parts: number[][][],
  unknownBelow: number,
  adapter = ADAPTER,
  begin?: (recognizer: Recognizer) => void,
  onError?: (error: unknown) => void,
): Promise<Answer[]> {
  const waiting = parts.flat();
  const count = waiting.length;
  const made: Answer[] = [];
  await new Promise<void>((resolve, reject) => {
    const logits = (): number[] => (waiting.shift() ?? []).map(Math.log);
    const run = () => Promise.resolve({ hidden: [0], logits: logits() });
    const model = { card: CARD, adapter, run };
    const push = (answer: Answer): void => {
      made.push(answer);
      if (made.length === count) resolve();
    };
    const recognizer = new Recognizer(model, 100, () => unknownBelow, push, onError ?? reject);
    begin?.(recognizer);
    let number = 0;
    for (const part of parts) {
      for (let i = 0; i < 128 + 64 * (part.length - 1); i++) {
        recognizer.push({ timeS: number++ / 50, values: [0, 0, 9.8, 0, 0, 0] });
      }
      number += 15; // 0.3 s
    }
  });
  return made;
}

test('whether a bout is known does not depend on the bout before it', async () => {
  const sure = Array.from({ length: 9 }, () => [0.999, 0.001]);
  const doubtful = Array.from({ length: 5 }, () => [0.2, 0.8]);
  const made = await answers([[...sure, ...doubtful]], 0.85);
  const change = made.findIndex(({ best }) => best === 1);
  expect(change).toBeGreaterThan(8);
  expect(made.slice(0, change).map(({ isKnown }) => isKnown)).not.toContain(false);
  expect(made[change].isKnown).toBe(false);
  // No sample twice.
  expect(made.map(({ lengths }) => lengths.length)).toEqual([128, ...Array<number>(13).fill(64)]);
});

test('one doubtful window does not end what is known of a bout', async () => {
  const made = await answers([[...Array<number[]>(5).fill([0.99, 0.01]), [0.845, 0.155]]], 0.85);
  expect(made.map(({ best, isKnown }) => [best, isKnown])).toEqual(Array(6).fill([0, true]));
});

test('a change that fails is reported, and windows are answered after it', async () => {
  const reported: unknown[] = [];
  const fail = (recognizer: Recognizer): void => {
    const change = (): never => {
      throw new Error('no room');
    };
    void recognizer.change(change).catch((error: unknown) => reported.push(error));
  };
  const made = await answers([[[0.9, 0.1]]], 0, ADAPTER, fail, (error) => reported.push(error));
  expect(made).toHaveLength(1);
  expect(reported).toEqual([new Error('no room'), new Error('no room')]); // to who asked, and to the page
});

test('the shift is measured with adapted answers', async () => {
  const push = vi.spyOn(Shift.prototype, 'push');
  const card = { ...ADAPTER, class_logits: [[3, 0], [0, 3]] };
  const made = await answers([Array<number[]>(9).fill([0.6, 0.4])], 0, card);
  const [answer] = push.mock.calls[8];
  expect(answer).toEqual(made[8].probabilities.map(near));
  expect(Math.abs(answer[0] - 0.6)).toBeGreaterThan(0.05);
});

test('after a pause nothing before it counts', async () => {
  const made = await answers([Array<number[]>(3).fill([0.9, 0.1]), [[0.68, 0.32], [0.9, 0.1]]], 0.7);
  expect(made.map(({ isFirst }) => isFirst)).toEqual([true, false, false, true, false]);
  expect(made[3].posterior).toEqual(made[3].alone.map(near));
  expect(made[3].isKnown).toBe(false);
  expect(made.map(({ startS }) => startS - 100)).toEqual([0, 1.28, 2.56, 5.42, 6.7].map(near));
  expect((await answers([[[0.5, 0.5]]], 0.5))[0].isKnown).toBe(true); // not below the threshold
});

test('windows are adapted to the four hundred before them', async () => {
  const class_logits = [[1, 0], [0, 1]];
  const rows = Array.from({ length: 404 }, (_, i) => (i < 3 ? [0.99, 0.01] : [0.5 + 0.3 * Math.sin(i), 0]));
  for (const row of rows) row[1] = 1 - row[0];
  const doubled = class_logits.map((row) => row.map((each) => 2 * each));
  const made = await answers([rows], 0, { ...ADAPTER, class_logits: doubled, adaptation_temperature: 2 });
  const roots = rows.slice(3).map((row) => row.map(Math.sqrt)); // logits, divided by 2
  expect(made[403].probabilities).toEqual(adaptToRecording(roots, class_logits)[400].map(near));
});

test.each([
  [3.5, true],
  [3.7, false],
])('thirty windows are said to be unlike the training windows: a spread of %f', async (spread, is) => {
  const rows = Array.from({ length: 40 }, () => [0.9, 0.1]); // 36 and 4 windows, and squares of 4 and 0
  const made = await answers([rows], 0, { ...ADAPTER, class_means: [[2], [0]], class_spread: spread });
  expect(made.map(({ isUnlike }) => isUnlike)).toEqual(rows.map((_, index) => is && index >= 29));
});

const ANSWER: Answer = {
  startS: 0,
  isFirst: false,
  alone: [0.9, 0.1],
  probabilities: [0.9, 0.1],
  posterior: [0.8, 0.2],
  best: 0,
  isKnown: true,
  names: CARD.classes,
  corrections: 0,
  contradiction: undefined,
  isUnlike: false,
  lengths: [9.8],
};

test('answers with an activity that was learned stand beside those before it', () => {
  const timeline = new Timeline('x', 1.28);
  const names = [...CARD.classes, 'rowing'];
  timeline.push(ANSWER);
  timeline.push({ ...ANSWER, startS: 1.28, isKnown: false });
  const learned = { names, corrections: 1, alone: [0, 0.1, 0.9], posterior: [0, 0, 1], best: 2 };
  timeline.push({ ...ANSWER, ...learned, startS: 2.56 });
  expect(timeline.sessions.map(({ rows }) => rows.length)).toEqual([2, 1]);
  const rows = tabulate(timeline.sessions, { ...ADAPTER, set_scores: Array<number>(20).fill(0.95) }, CHAIN);
  expect(answersCsv(rows).trim().split('\n')).toEqual([
    'time_ms,activity,confidence,p_walking,p_rest,p_rowing,adapted,set',
    '0.000,walking,0.8000,0.9000,0.1000,,walking,walking | rest',
    '1280.000,unknown,0.8000,0.9000,0.1000,,walking,walking | rest',
    '2560.000,rowing,1.0000,0.0000,0.1000,0.9000,rowing,',
  ]);
  expect([...totals(rows, 1.28)]).toEqual([['walking', 2.56], ['rowing', 1.28]]);
  expect([true, false].map((isKnown) => nameOf({ ...ANSWER, isKnown }))).toEqual(['walking', 'unknown']);
  timeline.push({ ...ANSWER, ...learned, startS: 3.84, corrections: 2 });
  expect(timeline.sessions).toHaveLength(3);
  timeline.clear();
  timeline.push({ ...ANSWER, ...learned, startS: 5.12, corrections: 2 });
  expect(timeline.sessions.map(({ rows }) => rows.length)).toEqual([1]);
});

test('a session has names, a model and a number of corrections', () => {
  const session = { names: ['walking'], model: 'x', corrections: 0 };
  expect(isSession(session)).toBe(true);
  for (const name of ['names', 'model', 'corrections']) {
    expect(isSession({ ...session, [name]: undefined })).toBe(false);
  }
});

test('windows on both sides of a gap say nothing of each other', () => {
  const rows = [0, 1.28, 2.56, 9].map((startS) => [1000 * startS, Number(startS === 9), 0, 1, 0.9, 0.1]);
  for (const row of [rows[1], rows[3]]) row.splice(4, 2, 0.45, 0.55);
  const made = tabulate([{ names: CARD.classes, model: '', corrections: 0, rows }], ADAPTER, CHAIN);
  expect(made.map(({ activity }) => activity)).toEqual(['walking', 'walking', 'walking', 'rest']);
  expect(made.map(({ isFirst }) => isFirst)).toEqual([true, false, false, true]);
});

test('a break of a minute does not end a bout, unless breaks are too much of it', () => {
  const bout = (name: string, startS: number, stopS: number, cadence?: number) => {
    return { name, startS, stopS, cadence };
  };
  const sat = [bout('sitting', 0, 1000), bout('standing', 1000, 1060), bout('typing', 1060, 1800)];
  expect(sumUpSitting(sat)).toEqual({ lastsS: 1740, longestS: 1800, leastS: 1800, bouts: 1 });
  expect(sumUpSitting([sat[0], bout('sitting', 1061, 1800)])).toMatchObject({ longestS: 1000, bouts: 0 });
  const moved = [bout('walking', 0, 200, 100), bout('walking', 200, 230, 99), bout('running', 230, 240)];
  expect(sumUpModerate(moved)).toMatchObject({ lastsS: 210, longestS: 240, bouts: 0 });
  expect(sumUpModerate([bout('running', 0, 40), bout('cycling', 60, 70)])).toMatchObject({ longestS: 40 });
  const parts = [bout('upstairs', 0, 80), bout('downstairs', 80, 90), bout('stairs', 95, 100)];
  expect(sumUpModerate(parts)).toMatchObject({ longestS: 100 });
  const later = parts.map((each) => ({ ...each, startS: each.startS + 9000, stopS: each.stopS + 9000 }));
  expect(sumUpModerate(later)).toEqual(sumUpModerate(parts));
  const [moderate, sitting] = [sumUpModerate(parts), sumUpSitting(sat)];
  const all = inAll(new Map([['rest', 5]]), { steps: 0, cadence: undefined, moderate, sitting });
  expect(all).toBe(
    'All windows together: rest 0:05. 2 min of moderate movement or more, 2 min in the longest bout; ' +
      'no bout of 10 minutes or more. 29 min of sitting, 30 min in the longest bout, breaks included; ' +
      '1 bout of 30 minutes or more.',
  );
  const walked = { steps: 120, cadence: 99.6, moderate: sumUpModerate([]), sitting: sumUpSitting([]) };
  const pace = '120 steps of walking and running, 100 a minute while walking.';
  expect(inAll(new Map([['walking', 72]]), walked)).toBe(`All windows together: walking 1:12. ${pace}`);
  const one = { ...walked, steps: 1, cadence: undefined };
  expect(inAll(new Map(), one)).toMatch(/ 1 step of walking and running\.$/);
  const still = { steps: 0, cadence: undefined, moderate: sumUpModerate([]), sitting };
  expect(inAll(new Map(), still)).not.toMatch('moderate');
});

test('an answer after a gap or another activity begins a bar of its own', () => {
  const timeline = new Timeline('x', 1.28);
  const shown = [[0, true, 0], [1.28, false, 0], [3, true, 0], [4.28, false, 1], [5.56, false, 0]] as const;
  for (const [startS, isFirst, best] of shown) timeline.push({ ...ANSWER, startS, isFirst, best });
  const last = [3, 5.56].map((startS) => ({ startS, stopS: near(startS + 1.28) }));
  expect(timeline.bars(0).get('walking')).toEqual([{ startS: 0, stopS: 2.56 }, ...last]);
  expect(timeline.bars(1.28).get('walking')).toEqual([{ startS: 1.28, stopS: 2.56 }, ...last]);
});

test('labels leave out both ends, and labels without more than these', () => {
  const recorder = new Recorder(500);
  const takes: Record<string, number[]> = { walking: [0, 1, 10], lying: [], rest: [20, 26] };
  for (const [label, timesS] of Object.entries(takes)) {
    recorder.start(label);
    for (const timeS of timesS) recorder.push({ timeS, values: [0, 0, 9.8, 0, 0, 0] });
  }
  expect(recorder.takes.map(({ label, rows }) => `${label} ${rows.length}`)).toEqual(['walking 3', 'rest 2']);
  expect(recorder.labelsCsv(3)).toBe('start_ms,end_ms,activity\n3500.000,7500.000,walking\n');
  expect(recorder.labelsCsv(2.9)).toContain('23400.000,23600.000,rest\n');
});

test('a stride is the shortest period that fits nearly as well as the best', () => {
  const lengths = Array.from({ length: 600 }, (_, i) => Math.sin(i / 50 / 0.8 * 2 * Math.PI));
  const uneven = lengths.map((value, i) => value + 0.3 * Math.sin(i / 50 / 1.6 * 2 * Math.PI));
  expect(countSteps(uneven, 50, [0.8, 1.6]).cadence).toBeCloseTo(150, 0);
  // Three peaks of a stride, of which the second fits it by less than half.
  const wave = (i: number, periodS: number): number => Math.sin((i / 50 / periodS) * 2 * Math.PI);
  const thrice = lengths.map((_, i) => wave(i, 1.35) + wave(i, 0.45));
  expect(countSteps(thrice, 50, [0.8, 1.6]).cadence).toBeCloseTo(120 / 1.35, 0);
  // In a walk of two seconds, a stride may be as long as two thirds.
  const short = Array.from({ length: 101 }, (_, i) => wave(i, 0.6) + wave(i, 1.2));
  expect(countSteps(short, 50, [0.8, 1.6]).cadence).toBeCloseTo(100, 0);
});

test('steps are counted from acceleration, however an activity is written, and bouts end at gaps', () => {
  expect(lengthsOf({ signal: Float32Array.of(3, 4, 0, 9, 9, 9) }, 1)).toEqual([5]);
  const lengths = Array.from({ length: 512 }, (_, i) => Math.sin((2 * Math.PI * i) / 50));
  const moment = { timeMs: 0, isFirst: true, activity: ' Nordic-walking', lengths };
  expect(measureMovement([moment], 10.24, 50).steps).toBeGreaterThan(15);
  const sat = { ...moment, activity: 'sitting', lengths: [] };
  const apart = measureMovement([sat, { ...sat, timeMs: 600_000 }], 10.24, 50).sitting;
  expect([apart.lastsS, apart.longestS]).toEqual([near(20.48), near(10.24)]);
});

test('iOS has the other sign, also an iPad that says that it is a Mac', () => {
  const agents = [['iPhone', 5], ['Macintosh', 2], ['Macintosh', 1], ['Android', 5]] as const;
  const signs = agents.map(([userAgent, maxTouchPoints]) => signOf({ userAgent, maxTouchPoints }));
  expect(signs).toEqual([-1, -1, 1, 1]);
});

test('a recording has rotation only if all its parts have', () => {
  const recorder = new Recorder(0);
  for (const hasRotation of [true, false]) {
    recorder.hasRotation = hasRotation;
    recorder.start('walking');
    recorder.push({ timeS: recorder.takes.length, values: [1, 2, 3, 0, 0, 0] });
  }
  const [head, ...rows] = recorder.recordingCsv().trim().split('\n');
  expect(head).toBe('time_ms,acc_x_m_s2,acc_y_m_s2,acc_z_m_s2');
  expect(rows).toEqual(['1000.000,1.00000,2.00000,3.00000', '2000.000,1.00000,2.00000,3.00000']);
});

test('what the first windows contradict is taken back when later ones do not', () => {
  const gravity = [{ position: '', windows: 9, mean: [0, 0, 1], covariance: [0, 0, 0, 0, 0, 0] }];
  const check = new FrameCheck({ gravity, length_g: 1, rates_hz: [] }, 50);
  const window = (z: number) =>
    new Float32Array(128 * 6).map((_, index) => (index % 6 === 2 ? z + Math.sin(index) : 0));
  const said = [...Array<number>(20).fill(-9.8), ...Array<number>(60).fill(9.8)].map((z) =>
    check.push({ signal: window(z), rateHz: 50 }),
  );
  expect([said[18], said[19], said[78], said[79]]).toEqual([undefined, 'opposite', 'opposite', undefined]);
  const table = new FrameCheck({ gravity, length_g: 1, rates_hz: [] }, 50); // where it lay at first
  const still = new Float32Array(128 * 6).map((_, index) => (index % 6 === 2 ? -9.8 : 0));
  const signals = [...Array<Float32Array>(70).fill(still), ...Array<Float32Array>(10).fill(window(9.8))];
  expect(signals.map((signal) => table.push({ signal, rateHz: 50 }))[79]).toBeUndefined();
});

test('how likely gravity is follows from all of its covariance', () => {
  const gravity = [{ position: '', windows: 9, mean: [0, 0, 1], covariance: [0.5, 0.3, 0.2, 0.4, 0.1, 0.3] }];
  const trained = { gravity, length_g: 1, rates_hz: [] };
  const check = new FrameCheck(trained, 50);
  const mean = [0.3, -0.2, 0.9, 0, 0, 0].map((value) => 9.80665 * value);
  check.push({ signal: new Float32Array(128 * 6).map((_, index) => mean[index % 6]), rateHz: 50 });
  expect(check.gains(trained).opposite).toBeCloseTo(-3.55271, 4); // by NumPy
});
