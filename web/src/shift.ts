/** The distribution shift of a recording, as har_jax/recognizer/distribution_shift.py. */

import type { AdapterCard } from './adapter';

const LARGE = 1;
const FEWEST = 30; // windows
const FEWEST_OF_CLASS = 3;

export class Shift {
  private windows = 0;
  private readonly counts: number[];
  private readonly sums: number[][];

  constructor(private readonly card: Pick<AdapterCard, 'class_means' | 'class_spread'>) {
    this.counts = (card.class_means ?? []).map(() => 0);
    this.sums = (card.class_means ?? []).map((means) => means.map(() => 0));
  }

  /** `answers`: probabilities of the card's classes. `hidden`: the output layer's inputs. */
  push(answers: readonly number[], hidden: readonly number[]): void {
    this.windows += 1;
    this.counts.forEach((_, each) => {
      this.counts[each] += answers[each];
      hidden.forEach((value, input) => (this.sums[each][input] += answers[each] * value));
    });
  }

  /** Undefined where it cannot be measured, or not yet. */
  get value(): number | undefined {
    const { class_means, class_spread } = this.card;
    if (!class_means || !class_spread || this.windows < FEWEST) return undefined;
    const frequent = [...this.counts.keys()].filter((each) => this.counts[each] > FEWEST_OF_CLASS);
    const weights = frequent.reduce((sum, each) => sum + this.counts[each], 0);
    const total = frequent.reduce((sum, each) => {
      const moves = class_means[each].map((mean, input) => this.sums[each][input] / this.counts[each] - mean);
      return sum + this.counts[each] * moves.reduce((squares, move) => squares + move * move, 0);
    }, 0);
    return weights ? total / weights / class_spread : undefined;
  }

  get isLarge(): boolean {
    return (this.value ?? 0) > LARGE;
  }
}
