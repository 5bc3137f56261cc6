/** The hidden Markov model over consecutive windows of har_jax/timeline/decoding.py. */

const MIN_PROBABILITY = 1e-12;

export class Chain {
  private readonly power: number;

  /** `meanBoutS`: mean time between changes of activity; 0: each window alone. */
  constructor(
    private readonly meanBoutS: number,
    private readonly hopS: number,
    windowS: number,
  ) {
    this.power = meanBoutS ? Math.min(hopS / windowS, 1) : 1;
  }

  /** The forward filter. `before`: what the window before got; without it, a chain starts. */
  update(before: number[] | undefined, probabilities: number[]): number[] {
    const likelihoods = probabilities.map((each) => Math.max(each, MIN_PROBABILITY) ** this.power);
    const prior = before && this.moved(before);
    const joint = likelihoods.map((each, index) => each * (prior?.[index] ?? 1));
    const sum = joint.reduce((total, each) => total + each, 0);
    return joint.map((each) => each / sum);
  }

  private moved(probabilities: number[]): number[] {
    const count = probabilities.length;
    const mean = probabilities.reduce((total, each) => total + each, 0) / count;
    const rate = count / Math.max(count - 1, 1);
    const kept = this.meanBoutS ? Math.exp((-this.hopS / this.meanBoutS) * rate) : 0;
    return probabilities.map((each) => kept * each + (1 - kept) * mean);
  }
}
