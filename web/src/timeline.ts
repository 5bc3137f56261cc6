/** All answers: as bars of the last minutes, and as sessions that outlive a reload. */

import type { Answer } from './recognizer';
import type { Series } from './store';

export const UNKNOWN = 'unknown';

export interface Bar {
  startS: number;
  stopS: number;
}

/** Answers of one model. A row: time, 1 after a gap, index of the name or -1, confidence, probabilities, and
 * lengths of acceleration. */
export interface Session extends Series {
  names: readonly string[];
  model: string; // checksum of its adapter
  corrections: number;
}

export function isSession({ names, model, corrections }: Partial<Session>): boolean {
  return Array.isArray(names) && typeof model === 'string' && typeof corrections === 'number';
}

export function nameOf({ names, best, isKnown }: Pick<Answer, 'names' | 'best' | 'isKnown'>): string {
  return isKnown ? names[best] : UNKNOWN;
}

export class Timeline {
  readonly sessions: Session[] = [];
  private current: Session | undefined;

  /** `model`: the checksum of its adapter. */
  constructor(
    private readonly model: string,
    private readonly hopS: number,
  ) {}

  /** The session to which it belongs. */
  push(answer: Answer): Session {
    const { names, corrections, best, isKnown } = answer;
    if (this.current?.corrections !== corrections || this.current.names.join() !== names.join()) {
      this.current = { names, model: this.model, corrections, rows: [] };
      this.sessions.push(this.current);
    }
    const numbers = [Number(answer.isFirst), isKnown ? best : -1, answer.posterior[best]];
    this.current.rows.push([1000 * answer.startS, ...numbers, ...answer.alone, ...answer.lengths]);
    return this.current;
  }

  clear(): void {
    this.sessions.length = 0;
    this.current = undefined;
  }

  /** The times since `fromS` at which each name was shown; adjoining ones as one bar. */
  bars(fromS: number): Map<string, Bar[]> {
    const bars = new Map<string, Bar[]>();
    for (const { names, rows } of this.sessions) {
      for (const [timeMs, isFirst, shown] of rows.slice(firstAfter(rows, 1000 * fromS))) {
        const name = shown < 0 ? UNKNOWN : names[shown];
        const of = bars.get(name) ?? [];
        bars.set(name, of);
        const last = of.at(-1);
        const [startS, stopS] = [timeMs / 1000, timeMs / 1000 + this.hopS];
        if (last && !isFirst && startS - last.stopS < this.hopS / 2) last.stopS = stopS;
        else of.push({ startS, stopS });
      }
    }
    return bars;
  }
}

function firstAfter(rows: readonly number[][], fromMs: number): number {
  let first = rows.length;
  while (first && rows[first - 1][0] >= fromMs) first--;
  return first;
}
