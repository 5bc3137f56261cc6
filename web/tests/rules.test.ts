/** Rules of the page, each on a few made-up answers or samples, without a browser. */

import { expect, test } from 'vitest';
import { FrameCheck } from '../src/frame';
import type { Card } from '../src/model';
import { Recognizer, type Answer } from '../src/recognizer';
import { Recorder } from '../src/recorder';
import { Timeline } from '../src/timeline';

const CARD: Card = {
  file: '',
  classes: ['walking', 'rest'],
  input: { name: '', rate_hz: 50, window: 128, rotation: 'used' },
  output: { name: '' },
  stream: { hop_s: 1.28, mean_bout_s: 2, max_gap_s: 0.2 },
  signals: null,
};

/** The answers to windows of these probabilities, half a window apart. */
async function answers(probabilities: number[][], unknownBelow: number): Promise<Answer[]> {
  const waiting = [...probabilities];
  const made: Answer[] = [];
  await new Promise<void>((resolve, reject) => {
    const model = { card: CARD, run: () => Promise.resolve(waiting.shift() ?? []) };
    const push = (answer: Answer): void => {
      made.push(answer);
      if (made.length === probabilities.length) resolve();
    };
    const recognizer = new Recognizer(model, () => unknownBelow, push, reject);
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
});

test('an answer after a gap begins a bar of its own', () => {
  const timeline = new Timeline(CARD.classes, 1.28);
  const answer = { probabilities: [1, 0], posterior: [1, 0], best: 0, isKnown: true, contradiction: undefined };
  for (const [startS, isFirst] of [[0, true], [1.28, false], [3, true]] as const) {
    timeline.push({ ...answer, startS, isFirst });
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
