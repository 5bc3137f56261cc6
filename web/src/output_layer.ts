/** An addition to the model's output layer, fitted to windows' features: har_jax/stream/head_update.py. */

export const NEW_LOGIT = 0; // of an activity that the model does not have, before it is fitted
const PENALTY = 0.1; // of the squared weights, relative to the windows' summed cross-entropy
const [MOST_STEPS, REMEMBERED] = [100, 10];
const SMALL_GRADIENT = 1e-5;
const TINY = 1e-300;
const SUFFICIENT = 1e-4; // share of the decrease that the gradient predicts

/** What the output layer gets of a window, with a 1 for the bias, and what it gave as loaded. */
export interface Features {
  stopS: number;
  hidden: number[];
  logits: number[];
  adapted: number[]; // the same logits, adapted to the windows so far
}

type Vector = Float64Array<ArrayBuffer>;

/** [input][activity]. */
export type Weights = number[][];

/** Logits of as many activities as the addition has. */
export function scores({ hidden, logits }: Features, added: Weights): number[] {
  const sums = added[0].map((_, activity) => logits.at(activity) ?? NEW_LOGIT);
  return sums.map((logit, activity) =>
    hidden.reduce((sum, value, input) => sum + value * added[input][activity], logit),
  );
}

export function softmax(logits: readonly number[], temperature = 1): number[] {
  const highest = Math.max(...logits);
  const powers = logits.map((each) => Math.exp((each - highest) / temperature));
  const sum = powers.reduce((total, each) => total + each, 0);
  return powers.map((each) => each / sum);
}

/** Minimizes the windows' cross-entropy to the targets, plus the penalty. The loss is strictly convex. */
export function fit(windows: readonly Features[], targets: readonly number[][]): Weights {
  const [inputs, activities] = [windows[0].hidden.length, targets[0].length];
  // Plain loops: a window has hundreds of inputs, and a phone fits within a second.
  const loss = (flat: Vector): [number, Vector] => {
    const gradient = flat.map((weight) => PENALTY * weight);
    let value = (PENALTY / 2) * dot(flat, flat);
    windows.forEach(({ hidden, logits }, index) => {
      const sums = [...logits];
      for (let i = 0; i < inputs; i++) {
        for (let j = 0; j < activities; j++) sums[j] += hidden[i] * flat[i * activities + j];
      }
      const errors = softmax(sums).map((probability, activity) => {
        const target = targets[index][activity];
        if (target) value -= target * Math.log(Math.max(probability, TINY));
        return probability - target;
      });
      for (let i = 0; i < inputs; i++) {
        for (let j = 0; j < activities; j++) gradient[i * activities + j] += hidden[i] * errors[j];
      }
    });
    return [value, gradient];
  };
  return unflattened(minimum(loss, inputs * activities), activities);
}

type Loss = (x: Vector) => [number, Vector];

interface Pair {
  step: Vector;
  change: Vector; // of the gradient
}

/** L-BFGS from zero, with steps halved until they suffice.   Source: Nocedal and Wright, algorithm 7.4. */
function minimum(loss: Loss, size: number): Vector {
  let x = new Float64Array(size);
  let [value, gradient] = loss(x);
  const pairs: Pair[] = [];
  for (let step = 0; step < MOST_STEPS; step++) {
    const length = Math.sqrt(dot(gradient, gradient));
    if (length < SMALL_GRADIENT) break;
    const direction = descent(gradient, pairs);
    const slope = dot(gradient, direction);
    let scale = pairs.length ? 1 : Math.min(1, 1 / length);
    let [next, after] = [moved(x, direction, scale), loss(moved(x, direction, scale))];
    while (after[0] > value + SUFFICIENT * scale * slope) {
      scale /= 2;
      if (scale < 1e-12) return x; // rounding: no step is better
      next = moved(x, direction, scale);
      after = loss(next);
    }
    pairs.push({ step: moved(next, x, -1), change: moved(after[1], gradient, -1) });
    if (pairs.length > REMEMBERED) pairs.shift();
    x = next;
    [value, gradient] = after;
  }
  return x;
}

/** The gradient, turned by the curvature of the last steps, downwards. */
function descent(gradient: Vector, pairs: readonly Pair[]): Vector {
  let direction = gradient.map((each) => -each);
  const shares = new Map<Pair, number>();
  for (const pair of [...pairs].reverse()) {
    const share = dot(pair.step, direction) / dot(pair.step, pair.change);
    shares.set(pair, share);
    direction = moved(direction, pair.change, -share);
  }
  const last = pairs.at(-1);
  const curvature = last ? dot(last.step, last.change) / dot(last.change, last.change) : 1;
  direction = direction.map((each) => each * curvature);
  for (const pair of pairs) {
    const share = dot(pair.change, direction) / dot(pair.step, pair.change);
    direction = moved(direction, pair.step, (shares.get(pair) ?? 0) - share);
  }
  return direction;
}

function moved(from: Vector, direction: Vector, scale: number): Vector {
  return from.map((each, index) => each + scale * direction[index]);
}

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function unflattened(flat: Vector, width: number): Weights {
  return Array.from({ length: flat.length / width }, (_, row) => [
    ...flat.subarray(row * width, (row + 1) * width),
  ]);
}
