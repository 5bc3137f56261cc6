/** A filter over windows that a user can correct: har_jax/stream/corrections.py, with the same numbers. */

import type { Chain } from './chain';
import { fit, NEW_LOGIT, scores, softmax, type Features, type Weights } from './output_layer';

const LABELED_S = 60; // at most, by one correction
const MOST_CORRECTIONS = 32;
const REPLAYED = 32; // windows of each class
const UNSURE_S = 30; // not replayed: some windows before a correction had the same wrong answer
const SLACK_S = 1e-6;

export interface Correction {
  timeS: number;
  seconds: number;
  activity: string;
}

interface Answered {
  alone: number[]; // probabilities of the window alone
  probabilities: number[]; // adapted to the windows so far, until the first correction
  posterior: number[]; // with the windows before it
}

interface Layer {
  added: Weights;
  created: string[]; // activities that the model does not have; the last columns
  sinceS: number | null; // null: always
  correction: Correction | null;
  corrected: Features[];
  label: number;
  posterior?: number[] | undefined; // undefined: a chain starts
}

/** All that outlives a reload. */
export interface Learned {
  model: string; // checksum of the adapter that it adds to
  layers: Layer[];
  samples: [number, Features[]][];
  counts: [number, number][];
}

export class Learner {
  private layers: Layer[] = [];
  private recent: Features[] = [];
  // By the class that the layer as loaded predicts: the sample does not depend on corrections.
  private samples = new Map<number, Features[]>();
  private counts = new Map<number, number>();

  /** `model`: the checksum of its adapter. */
  constructor(
    private readonly model: string,
    readonly chain: Chain,
    private readonly classes: readonly string[],
    private readonly temperature: number,
    private readonly random: () => number = Math.random,
  ) {}

  get corrections(): Correction[] {
    return this.layers.flatMap(({ correction }) => correction ?? []);
  }

  /** Activities that the model does not have. */
  get created(): readonly string[] {
    return this.layers.at(-1)?.created ?? [];
  }

  get names(): string[] {
    return [...this.classes, ...this.created];
  }

  /** Of the corrections, to the layer's weights and, in the last row, its bias. */
  get added(): Weights | undefined {
    return this.layers.at(-1)?.added;
  }

  /** The windows so far do not count for the activity of the next one. */
  restart(): void {
    for (const layer of this.layers) layer.posterior = undefined;
  }

  /** `hidden`: without a 1 for the bias. `adapted`: logits that count until the first correction. */
  update(startS: number, hidden: number[], logits: number[], adapted = logits): Answered {
    const window = { stopS: startS + this.chain.windowS, hidden: [...hidden, 1], logits, adapted };
    if (!this.layers.length) {
      const added = window.hidden.map(() => logits.map(() => 0));
      this.layers.push({ added, created: [], sinceS: null, correction: null, corrected: [], label: 0 });
    }
    let [probabilities, posterior]: number[][] = [];
    for (const layer of this.layers) {
      probabilities = softmax(scoresOf(layer, window), this.temperature);
      layer.posterior = posterior = this.chain.update(layer.posterior, probabilities);
    }
    this.recent.push(window);
    if (this.recent.length > 1 + Math.trunc(LABELED_S / this.chain.hopS)) this.recent.shift();
    this.sample(window);
    const alone = this.corrections.length ? probabilities : softmax(logits, this.temperature);
    return { alone, probabilities, posterior };
  }

  /** Labels the windows from `fromS` to `toS`, of the last minute at most. False: there is none. */
  correct(activity: string, fromS: number, toS = Infinity): boolean {
    const { windowS, hopS } = this.chain;
    const every = Math.max(1, Math.round(windowS / 2 / hopS)); // they overlap by half, not more
    const corrected = this.recent
      .filter(({ stopS }) => stopS <= toS + SLACK_S)
      .reverse()
      .filter(({ stopS }, index) => index % every === 0 && stopS - windowS >= fromS - SLACK_S);
    const last = this.layers.at(-1);
    const nowS = this.recent.at(-1)?.stopS;
    if (!corrected.length || !last || nowS === undefined) return false;
    const names = this.names.includes(activity) ? this.names : [...this.names, activity];
    const correction = { timeS: nowS, seconds: nowS - fromS, activity };
    const created = names.slice(this.classes.length);
    const label = names.indexOf(activity);
    const layer: Layer = { added: last.added, created, sinceS: nowS, correction, corrected, label };
    const before = this.layers.slice(-MOST_CORRECTIONS);
    const layers = [...before.slice(1), layer];
    // A window that was corrected twice has the later label.
    const labeled = new Map(
      layers.flatMap((each) => each.corrected.map((window) => [window.stopS, { window, label: each.label }])),
    );
    const replay = this.replay(layers.flatMap((each) => each.correction ?? []));
    const oneHot = (index: number): number[] => names.map((_, i) => Number(i === index));
    const targets = [
      ...[...labeled.values()].map((each) => oneHot(each.label)),
      ...replay.map((window) => padded(this.answer(window), names.length, 0)),
    ];
    const windows = [...[...labeled.values()].map(({ window }) => window), ...replay];
    layer.added = fit(
      windows.map((window) => ({ ...window, logits: padded(window.logits, names.length, NEW_LOGIT) })),
      targets,
    );
    layer.posterior = oneHot(label);
    this.layers = [...before, layer];
    return true;
  }

  /** Takes the last correction back, as if it had not been made. False: none is left. */
  undo(): boolean {
    return this.corrections.length > 0 && this.layers.pop() !== undefined;
  }

  /** Takes all corrections back. False: there is none. */
  forget(): boolean {
    const hadAny = this.corrections.length > 0;
    this.layers = [];
    return hadAny;
  }

  save(): Learned {
    const layers = this.layers.map((layer) => ({
      ...layer,
      added: layer.added.map(brief),
      corrected: layer.corrected.map(briefly),
      posterior: undefined,
    }));
    const samples = [...this.samples].map(([each, all]): [number, Features[]] => [each, all.map(briefly)]);
    return { model: this.model, layers, samples, counts: [...this.counts] };
  }

  /** False: it belongs to another model, and is left out. */
  restore({ model, layers, samples, counts }: Learned): boolean {
    if (model !== this.model) return false;
    [this.layers, this.samples, this.counts] = [layers, new Map(samples), new Map(counts)];
    return true;
  }

  /** Keeps each window of a class with equal probability.   Source: Vitter 1985, algorithm R. */
  private sample(window: Features): void {
    const predicted = window.logits.indexOf(Math.max(...window.logits));
    const sample = this.samples.get(predicted) ?? [];
    const count = (this.counts.get(predicted) ?? 0) + 1;
    this.samples.set(predicted, sample);
    this.counts.set(predicted, count);
    const index = sample.length < REPLAYED ? sample.length : Math.floor(this.random() * count);
    if (index < REPLAYED) sample[index] = window;
  }

  private replay(corrections: readonly Correction[]): Features[] {
    const isUnsure = (stopS: number): boolean =>
      corrections.some(
        ({ timeS, seconds }) =>
          timeS - Math.max(seconds, UNSURE_S) < stopS && stopS <= timeS + SLACK_S,
      );
    return [...this.samples.values()].flat().filter(({ stopS }) => !isUnsure(stopS));
  }

  /** The probabilities that the window got, without those before it, of the activities of that time. */
  private answer(window: Features): number[] {
    const earlier = this.layers.filter(({ sinceS }) => sinceS === null || sinceS < window.stopS);
    return softmax(scoresOf(earlier.at(-1) ?? this.layers[0], window));
  }
}

function scoresOf({ correction, added }: Layer, window: Features): number[] {
  return correction ? scores(window, added) : window.adapted;
}

function briefly({ stopS, hidden, logits, adapted }: Features): Features {
  return { stopS, hidden: brief(hidden), logits: brief(logits), adapted: brief(adapted) };
}

/** With the digits of float32, for half of the bytes. */
function brief(values: readonly number[]): number[] {
  return values.map((each) => Number(each.toPrecision(7)));
}

function padded(values: readonly number[], length: number, value: number): number[] {
  return [...values, ...Array<number>(length - values.length).fill(value)];
}
