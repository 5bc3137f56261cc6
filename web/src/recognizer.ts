/** Samples → answers: windows, model, and the filter over time that learns from its user, in order. */

import { Chain } from './chain';
import { FrameCheck, type Contradiction } from './frame';
import { Learner } from './learner';
import type { Model } from './model';
import { softmax } from './output_layer';
import { Shift } from './shift';
import { lengthsOf } from './steps';
import { adaptToRecording, classLogitsOf } from './whole';
import { rulesOf, Windows, type Sample, type Window } from './windows';

const ADAPTED_TO = 400; // windows: some nine minutes
const TINY = Number.MIN_VALUE * 2 ** 52; // the smallest normal number

export interface Answer {
  startS: number; // Unix time
  isFirst: boolean; // after the start or a gap
  alone: number[]; // probabilities of this window
  probabilities: number[]; // adapted to the windows so far
  posterior: number[]; // with the windows before it
  best: number; // index of the posterior's highest
  isKnown: boolean;
  names: readonly string[]; // of the probabilities
  corrections: number; // that the answer rests on
  contradiction: Contradiction | undefined; // of all windows so far with the training recordings
  isUnlike: boolean; // all windows so far are unlike the training windows
  lengths: number[]; // of acceleration, of the samples that the window before does not have
}

export class Recognizer {
  private readonly windows: Windows;
  private readonly chain: Chain;
  private readonly frame: FrameCheck;
  private readonly shift: Shift;
  readonly learner: Learner;
  private recent: number[][] = []; // logits
  private lastS = -Infinity; // start of the last window
  private known: number[] | undefined;
  private best = -1;
  private turn: Promise<void> = Promise.resolve(); // the model takes one window at a time

  constructor(
    private readonly model: Model,
    private readonly originS: number, // Unix time from which samples' times count
    private readonly unknownBelow: () => number,
    private readonly onAnswer: (answer: Answer) => void,
    private readonly onError: (error: unknown) => void,
  ) {
    const { classes, input, stream, signals } = model.card;
    this.frame = new FrameCheck(signals, input.rate_hz);
    this.shift = new Shift(model.adapter);
    this.windows = new Windows(rulesOf(model.card));
    this.chain = new Chain(stream.mean_bout_s, stream.hop_s, input.window / input.rate_hz);
    this.learner = new Learner(model.adapter.checksum, this.chain, classes, model.adapter.temperature);
  }

  push(sample: Sample): void {
    for (const window of this.windows.push(sample)) {
      this.turn = this.turn.then(() => this.answer(window)).catch(this.onError);
    }
  }

  /** Calls with the learner between two windows. */
  change<T>(change: (learner: Learner) => T): Promise<T> {
    const result = this.turn.then(() => change(this.learner));
    this.turn = result.then(() => undefined, this.onError);
    return result;
  }

  private async answer(window: Window): Promise<void> {
    const { learner, model } = this;
    const { hidden, logits } = await model.run(window.signal);
    const startS = this.originS + window.startS;
    const { isFirst } = window;
    if (isFirst) learner.restart();
    const adapted = this.adapt(logits);
    const { alone, probabilities, posterior } = learner.update(startS, hidden, logits, adapted);
    const best = posterior.indexOf(Math.max(...posterior));
    const isKnown = this.isKnown(probabilities, isFirst || best !== this.best);
    this.best = best;
    const contradiction = this.frame.push(window);
    this.shift.push(softmax(adapted, model.adapter.temperature), hidden);
    const isUnlike = this.shift.isLarge;
    const sinceS = isFirst ? Infinity : window.startS - this.lastS;
    this.lastS = window.startS;
    const lengths = lengthsOf(window, Math.round(sinceS * model.card.input.rate_hz));
    const [names, corrections] = [learner.names, learner.corrections.length];
    this.onAnswer({
      ...{ startS, isFirst, alone, probabilities, posterior, best, isKnown, names, corrections },
      ...{ contradiction, isUnlike, lengths },
    });
  }

  /** As `Stream` adapts: to the windows so far, which overlap by half. */
  private adapt(logits: number[]): number[] {
    const { temperature, adaptation_temperature } = this.model.adapter;
    const classLogits = classLogitsOf(this.model.adapter);
    if (!classLogits) return logits;
    const soFar = [...this.recent, logits];
    this.recent = soFar.slice(-ADAPTED_TO);
    const rows = soFar.map((row) => softmax(row, adaptation_temperature));
    const adapted = adaptToRecording(rows, classLogits)[rows.length - 1];
    return adapted.map((each) => temperature * Math.log(Math.max(each, TINY)));
  }

  /** As bouts are decoded: a second chain within each bout, of known and unknown. */
  private isKnown(probabilities: number[], isNewBout: boolean): boolean {
    const pair = [Math.max(...probabilities), this.unknownBelow()];
    this.known = this.chain.update(isNewBout ? undefined : this.known, pair);
    return this.known[0] >= this.known[1];
  }
}
