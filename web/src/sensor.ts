/** Motion events → samples in m/s² and rad/s with Android's signs. Events without gravity are refused. */

import { findGravity, signOf, upFrom, type Moment } from './gravity';
import type { Sample } from './windows';

export type Failure = 'insecure' | 'unsupported' | 'denied' | 'silent' | 'no_gravity' | 'in_g';

export interface Listener {
  ready(hasRotation: boolean): void;
  sample(sample: Sample): void;
  /** For the first sample that no motion gives. */
  findImpossible(): void;
  fail(failure: Failure): void;
}

const CHECK_S = 1;
const CHECK_SAMPLES = 10; // a slow sensor takes longer than a second
const SILENCE_MS = 3000;
const RAD = Math.PI / 180;
// As har_jax/signal/physics.py: beyond, no sensor on a person measures.
const MAX_ACC_M_S2 = 50 * 9.80665;
const MAX_ROTATION = 5000;

interface Raw {
  timeS: number;
  acc: number[];
  rotation: number[] | undefined; // degrees a second about x, y, z
}

type AsksPermission = typeof DeviceMotionEvent & { requestPermission?: () => Promise<PermissionState> };

export class Sensor {
  private up: number[] | undefined;
  private first: (Raw & Moment)[] = []; // until gravity is checked
  private sign: 1 | -1 | undefined;
  private hasOnlyLinear = false;
  private hasRotation = false;
  private hasImpossible = false;
  private lastS = -Infinity;
  private timer = 0;
  private readonly onMotion = (event: DeviceMotionEvent): void => this.take(event);
  private readonly onOrientation = (event: DeviceOrientationEvent): void => {
    if (event.beta !== null && event.gamma !== null) this.up = upFrom(event.beta, event.gamma);
  };

  constructor(private readonly listener: Listener) {}

  /** Must be called from a tap: iOS asks its user only then. */
  async start(): Promise<void> {
    const refused = await refusal();
    if (refused) {
      this.listener.fail(refused);
      return;
    }
    addEventListener('devicemotion', this.onMotion);
    addEventListener('deviceorientation', this.onOrientation);
    this.timer = window.setTimeout(() => this.fail(this.hasOnlyLinear ? 'no_gravity' : 'silent'), SILENCE_MS);
  }

  private fail(failure: Failure): void {
    clearTimeout(this.timer);
    removeEventListener('devicemotion', this.onMotion);
    removeEventListener('deviceorientation', this.onOrientation);
    this.first = [];
    this.listener.fail(failure);
  }

  private take(event: DeviceMotionEvent): void {
    const raw = read(event);
    // A computer without a sensor sends one event of nothing.
    if (!raw) {
      this.hasOnlyLinear ||= vector(event.acceleration) !== undefined;
    } else if (!isPossible(raw)) {
      clearTimeout(this.timer); // it is not silent
      if (!this.hasImpossible) this.listener.findImpossible();
      this.hasImpossible = true;
    } else if (this.sign === undefined) {
      this.check(raw);
    } else {
      this.give(raw, this.sign);
    }
  }

  private check(raw: Raw): void {
    this.first.push({ ...raw, up: this.up });
    const { first } = this;
    if (raw.timeS - first[0].timeS < CHECK_S || first.length < CHECK_SAMPLES) return;
    const { isIncluded, isInG, sign } = findGravity(first, signOf(navigator));
    if (!isIncluded) { this.fail(isInG ? 'in_g' : 'no_gravity'); return; }
    clearTimeout(this.timer);
    this.sign = sign;
    this.hasRotation = first.some(({ rotation }) => rotation !== undefined);
    this.listener.ready(this.hasRotation);
    for (const each of first) this.give(each, sign);
    this.first = [];
  }

  /** The signs of rotation are the same on every platform. A phone without rotation has zeros. */
  private give({ timeS, acc, rotation }: Raw, sign: 1 | -1): void {
    if (timeS <= this.lastS || (this.hasRotation && !rotation)) return;
    this.lastS = timeS;
    const values = [...acc.map((each) => each * sign), ...(rotation ?? [0, 0, 0]).map((each) => each * RAD)];
    this.listener.sample({ timeS, values });
  }
}

async function refusal(): Promise<Failure | undefined> {
  if (!isSecureContext) return 'insecure';
  if (!('DeviceMotionEvent' in window)) return 'unsupported';
  const { requestPermission } = DeviceMotionEvent as AsksPermission;
  try {
    // Nothing may be awaited before: it would no longer be the tap that asks.
    const answer = await requestPermission?.call(DeviceMotionEvent);
    return answer === undefined || answer === 'granted' ? undefined : 'denied';
  } catch {
    return 'denied'; // for example in a page within a page
  }
}

function read(event: DeviceMotionEvent): Raw | undefined {
  const acc = vector(event.accelerationIncludingGravity);
  if (!acc) return undefined;
  const { alpha, beta, gamma } = event.rotationRate ?? {};
  const rotation = [alpha, beta, gamma];
  return { timeS: event.timeStamp / 1000, acc, rotation: rotation.every(isNumber) ? rotation : undefined };
}

function vector(of: DeviceMotionEventAcceleration | null): number[] | undefined {
  const values = [of?.x, of?.y, of?.z];
  return values.every(isNumber) ? values : undefined;
}

function isNumber(value: number | null | undefined): value is number {
  return Number.isFinite(value);
}

function isPossible({ acc, rotation = [] }: Raw): boolean {
  const isWithin = (values: number[], limit: number) => values.every((each) => Math.abs(each) <= limit);
  return isWithin(acc, MAX_ACC_M_S2) && isWithin(rotation, MAX_ROTATION);
}
