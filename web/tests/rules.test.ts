/** Rules of the page, each on a few made-up answers or samples, without a browser. */

import { expect, test } from 'vitest';
import type { AdapterCard } from '../src/adapter';
import { answersCsv, tabulate, totals } from '../src/answers';
import { Chain } from '../src/chain';
import { FrameCheck } from '../src/frame';
import type { Card } from '../src/model';
import { Recognizer, type Answer } from '../src/recognizer';
import { Recorder } from '../src/recorder';
import { Timeline } from '../src/timeline';

const ADAPTER = { checksum: 'x', temperature: 1 } as AdapterCard;
const CARD: Card = {
  file: '',
  classes: ['walking', 'rest'],
  input: { name: '', rate_hz: 50, window: 128, rotation: 'used' },
  stream: { hop_s: 1.28, mean_bout_s: 2, max_gap_s: 0.2 },
  signals: null,
};

const CHAIN = new Chain(2, 1.28, 2.56);

/** The answers to windows of these probabilities, half a window apart. */
async function answers(probabilities: number[][], unknownBelow: number): Promise<Answer[]> {
  const waiting = [...probabilities];
  const made: Answer[] = [];
  await new Promise<void>((resolve, reject) => {
    const logits = (): number[] => (waiting.shift() ?? []).map(Math.log);
    const run = () => Promise.resolve({ hidden: [0], logits: logits() });
    const model = { card: CARD, adapter: ADAPTER, run };
    const push = (answer: Answer): void => {
      made.push(answer);
      if (made.length === probabilities.length) resolve();
    };
    const recognizer = new Recognizer(model, 0, () => unknownBelow, push, reject);
    for (let i = 0; i < 128 + 64 * (probabilities.length - 1); i++) {
      recognizer.push({ timeS: i / 50, values: [0, 0, 9.8, 0, 0, 0] });
    }
  });
  return made;
}

test('whether a bout is known does not depend on the bout before it', async () => {
  const sure = Array.from({ length: 9 }, () => [0.999, 0.001]);
  const doubtful = Array.from({ length: 5 }, () => [0.2, 0.8]);
  const made = await answers([...sure, ...doubtful], 0.85);
  const change = made.findIndex(({ best }) => best === 1);
  expect(change).toBeGreaterThan(8);
  expect(made.slice(0, change).map(({ isKnown }) => isKnown)).not.toContain(false);
  expect(made[change].isKnown).toBe(false);
  // No sample twice.
  expect(made.map(({ lengths }) => lengths.length)).toEqual([128, ...Array<number>(13).fill(64)]);
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
});

test('an answer after a gap begins a bar of its own', () => {
  const timeline = new Timeline('x', 1.28);
  for (const [startS, isFirst] of [[0, true], [1.28, false], [3, true]] as const) {
    timeline.push({ ...ANSWER, startS, isFirst });
  }
  expect(timeline.bars(0).get('walking')).toEqual([
    { startS: 0, stopS: 2.56 },
    { startS: 3, stopS: 4.28 },
  ]);
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
});
