/** Samples as they arrive → windows of the model's length and rate, as har_jax/stream/stream.py cuts them. */

import { atRate, firstAtLeast, median, steps } from './resample';

export const CHANNELS = 6;

// Before a window, the resampling filter needs so long to settle: half of its length is so many samples.
const [SETTLING_S, SETTLING_SAMPLES] = [0.5, 10];
const SLACK_S = 1e-6;
const SLACK_SAMPLES = 1e-3;

/** Acceleration x y z in m/s² with gravity, then angular velocity x y z in rad/s; time on any clock. */
export interface Sample {
  timeS: number;
  values: number[];
}

export interface Window {
  startS: number;
  signal: Float32Array; // sample by sample, six values each
  rateHz: number; // of the samples that it was made from
  isFirst: boolean; // after the start or a gap: earlier windows no longer count
}

export interface Rules {
  samples: number; // a window
  rateHz: number;
  hopS: number;
  maxGapS: number;
}

/** How samples become a model's windows; of its card, the parts that say so. */
export function rulesOf({
  input,
  stream,
}: {
  input: { window: number; rate_hz: number };
  stream: { hop_s: number; max_gap_s: number };
}): Rules {
  return {
    samples: input.window,
    rateHz: input.rate_hz,
    hopS: stream.hop_s,
    maxGapS: stream.max_gap_s,
  };
}

/** Keeps half a second more than a window. A gap starts a new window. */
export class Windows {
  private timeS: number[] = [];
  private values: number[][] = Array.from({ length: CHANNELS }, () => []);
  private dueS = 0; // the next window starts then, or less than a sample later
  private isFirst = true;
  private readonly settlingS: number;

  constructor(private readonly rules: Rules) {
    this.settlingS = Math.max(SETTLING_S, SETTLING_SAMPLES / rules.rateHz);
  }

  /** The windows that end with this sample, which is later than the last. */
  push({ timeS, values }: Sample): Window[] {
    const last = this.timeS.at(-1) ?? -Infinity;
    if (timeS - last > this.rules.maxGapS) this.restart(timeS);
    this.timeS.push(timeS);
    this.values.forEach((axis, index) => axis.push(Math.fround(values[index])));
    const windows: Window[] = [];
    for (let window = this.next(); window; window = this.next()) windows.push(window);
    this.forget();
    return windows;
  }

  private restart(timeS: number): void {
    this.timeS = [];
    this.values = this.values.map(() => []);
    this.dueS = timeS;
    this.isFirst = true;
  }

  private next(): Window | undefined {
    const { timeS, rules } = this;
    const first = firstAtLeast(timeS, this.dueS - this.settlingS - SLACK_S);
    if (first === timeS.length) return undefined;
    // The window starts on the grid that resampling makes from `first`: at its rate, on a sample.
    const offset = Math.max(Math.ceil((this.dueS - timeS[first]) * rules.rateHz - SLACK_SAMPLES), 0);
    const startS = timeS[first] + offset / rules.rateHz;
    const lastS = startS + (rules.samples - 1) / rules.rateHz - SLACK_S;
    if (timeS[timeS.length - 1] < lastS) return undefined;
    const stop = firstAtLeast(timeS, lastS) + 1;
    const signal = this.signal(first, stop, offset);
    const rateHz = 1 / median(steps(timeS.slice(first, stop)));
    const window = { startS, signal, rateHz, isFirst: this.isFirst };
    this.dueS += rules.hopS;
    this.isFirst = false;
    return window;
  }

  private signal(first: number, stop: number, offset: number): Float32Array {
    const timeS = this.timeS.slice(first, stop);
    // One sensor at a time, as in Python: where a curve is flat depends on all axes of its sensor.
    const sensors = [this.values.slice(0, 3), this.values.slice(3)];
    const axes = sensors.flatMap((sensor) => {
      const values = sensor.map((axis) => axis.slice(first, stop));
      return atRate({ timeS, values }, this.rules.rateHz, timeS[0], timeS[timeS.length - 1]);
    });
    const signal = new Float32Array(this.rules.samples * CHANNELS);
    axes.forEach((axis, channel) => {
      for (let i = 0; i < this.rules.samples; i++) signal[i * CHANNELS + channel] = axis[offset + i];
    });
    return signal;
  }

  private forget(): void {
    const needed = firstAtLeast(this.timeS, this.dueS - this.settlingS - SLACK_S);
    const keep = Math.min(needed, this.timeS.length - 1); // always the last, to notice a gap after it
    this.timeS.splice(0, keep);
    for (const axis of this.values) axis.splice(0, keep);
  }
}
