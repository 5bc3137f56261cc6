/** The last minutes: what was shown when, as bars of each activity and as a CSV file. */

import { csv } from './recorder';
import type { Answer } from './recognizer';

export const UNKNOWN = 'unknown';

export interface Bar {
  startS: number;
  stopS: number;
}

export class Timeline {
  private readonly answers: Answer[] = [];

  constructor(
    private readonly classes: readonly string[],
    private readonly hopS: number,
  ) {}

  push(answer: Answer): void {
    this.answers.push(answer);
  }

  nameOf({ best, isKnown }: Answer): string {
    return isKnown ? this.classes[best] : UNKNOWN;
  }

  /** The times since `fromS` at which each name was shown; adjoining ones as one bar. */
  bars(fromS: number): Map<string, Bar[]> {
    const bars = new Map<string, Bar[]>();
    for (const answer of this.answers.slice(this.firstAfter(fromS))) {
      const of = bars.get(this.nameOf(answer)) ?? [];
      bars.set(this.nameOf(answer), of);
      const last = of.at(-1);
      const [startS, stopS] = [answer.startS, answer.startS + this.hopS];
      if (last && !answer.isFirst && startS - last.stopS < this.hopS / 2) last.stopS = stopS;
      else of.push({ startS, stopS });
    }
    return bars;
  }

  /** As in windows.csv of `har-jax predict`, the probabilities are those of each window alone. */
  csv(timeMs: (timeS: number) => number): string {
    const head = ['time_ms', 'activity', 'confidence', ...this.classes.map((name) => `p_${name}`)];
    const rows = this.answers.map((answer) => [
      timeMs(answer.startS).toFixed(3),
      this.nameOf(answer),
      answer.posterior[answer.best].toFixed(4),
      ...answer.probabilities.map((each) => each.toFixed(4)),
    ]);
    return csv(head, rows);
  }

  private firstAfter(fromS: number): number {
    let first = this.answers.length;
    while (first && this.answers[first - 1].startS >= fromS) first--;
    return first;
  }
}
