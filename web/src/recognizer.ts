/** Samples → answers: windows, model, and the filter over time, in order. */

import { Chain } from './chain';
import { FrameCheck, type Contradiction } from './frame';
import type { Model } from './model';
import { rulesOf, Windows, type Sample, type Window } from './windows';

export interface Answer {
  startS: number;
  isFirst: boolean; // after the start or a gap
  probabilities: number[]; // of this window alone
  posterior: number[]; // with the windows before it
  best: number; // index of the posterior's highest
  isKnown: boolean;
  contradiction: Contradiction | undefined; // of all windows so far with the training recordings
}

export class Recognizer {
  private readonly windows: Windows;
  private readonly chain: Chain;
  private readonly frame: FrameCheck;
  private posterior: number[] | undefined;
  private known: number[] | undefined;
  private best = -1;
  private turn: Promise<void> = Promise.resolve(); // the model takes one window at a time

  constructor(
    private readonly model: Model,
    private readonly unknownBelow: () => number,
    private readonly onAnswer: (answer: Answer) => void,
    private readonly onError: (error: unknown) => void,
  ) {
    const { input, stream, signals } = model.card;
    this.frame = new FrameCheck(signals, input.rate_hz);
    this.windows = new Windows(rulesOf(model.card));
    this.chain = new Chain(stream.mean_bout_s, stream.hop_s, input.window / input.rate_hz);
  }

  push(sample: Sample): void {
    for (const window of this.windows.push(sample)) {
      this.turn = this.turn.then(() => this.answer(window)).catch(this.onError);
    }
  }

  private async answer(window: Window): Promise<void> {
    const probabilities = await this.model.run(window.signal);
    this.posterior = this.chain.update(window.isFirst ? undefined : this.posterior, probabilities);
    const best = this.posterior.indexOf(Math.max(...this.posterior));
    const isKnown = this.isKnown(probabilities, window.isFirst || best !== this.best);
    this.best = best;
    const { startS, isFirst } = window;
    const posterior = this.posterior;
    const contradiction = this.frame.push(window);
    this.onAnswer({ startS, isFirst, probabilities, posterior, best, isKnown, contradiction });
  }

  /** As bouts are decoded: a second chain within each bout, of known and unknown. */
  private isKnown(probabilities: number[], isNewBout: boolean): boolean {
    const pair = [Math.max(...probabilities), this.unknownBelow()];
    this.known = this.chain.update(isNewBout ? undefined : this.known, pair);
    return this.known[0] >= this.known[1];
  }
}
