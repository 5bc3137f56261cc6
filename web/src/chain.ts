/** The hidden Markov model over consecutive windows of har_jax/timeline/bouts.py. */

const MIN_PROBABILITY = 1e-12;
const WINDOWS_OF_EVIDENCE = 2; // in a window's length

export class Chain {
  private readonly power: number;

  /** `meanBoutS`: mean time between changes of activity; 0: each window alone. */
  constructor(
    private readonly meanBoutS: number,
    readonly hopS: number,
    readonly windowS: number,
  ) {
    this.power = meanBoutS ? Math.min((WINDOWS_OF_EVIDENCE * hopS) / windowS, 1) : 1;
  }

  /** The forward filter. `before`: what the window before got; without it, a chain starts. */
  update(before: number[] | undefined, probabilities: number[]): number[] {
    const prior = before && this.moved(before);
    return normalized(this.likelihoods(probabilities).map((each, index) => each * (prior?.[index] ?? 1)));
  }

  /** Forward-backward: posteriors from all windows of the chain. */
  smoothed(probabilities: readonly number[][]): number[][] {
    let before: number[] | undefined;
    const smoothed = probabilities.map((row) => (before = this.update(before, row)));
    let later = smoothed[0].map(() => 1);
    for (let index = smoothed.length - 2; index >= 0; index--) {
      const next = this.likelihoods(probabilities[index + 1]);
      later = normalized(this.moved(normalized(later.map((each, i) => each * next[i]))));
      smoothed[index] = normalized(smoothed[index].map((each, i) => each * later[i]));
    }
    return smoothed;
  }

  private likelihoods(probabilities: readonly number[]): number[] {
    return probabilities.map((each) => Math.max(each, MIN_PROBABILITY) ** this.power);
  }

  private moved(probabilities: number[]): number[] {
    const count = probabilities.length;
    const mean = probabilities.reduce((total, each) => total + each, 0) / count;
    const rate = count / Math.max(count - 1, 1);
    const kept = this.meanBoutS ? Math.exp((-this.hopS / this.meanBoutS) * rate) : 0;
    return probabilities.map((each) => kept * each + (1 - kept) * mean);
  }
}

function normalized(values: number[]): number[] {
  const sum = values.reduce((total, each) => total + each, 0);
  return values.map((each) => each / sum);
}
