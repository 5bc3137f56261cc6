/** What the page says, where it is more than a word. */

import type { BoutSum } from './bouts';
import type { Contradiction } from './frame';
import type { Correction } from './learner';
import type { Failure } from './sensor';
import type { Movement } from './steps';

export const FAILURES: Record<Failure, string> = {
  insecure: 'Browsers give motion data only to pages with https. Open this page by its https address.',
  unsupported: 'This browser has no access to motion sensors: open it in Safari or Chrome on a phone.',
  denied:
    'The permission for motion data was refused. Reload this page and tap Allow. If you are not asked, ' +
    'close the tab, and allow motion data in the settings of the browser.',
  silent:
    'No motion data arrive. This device has no sensor, or the browser blocks it: in Chrome, look at ' +
    'Settings, Site settings, Motion sensors.',
  no_gravity:
    'This browser gives acceleration without gravity, from which activities cannot be recognized. ' +
    'Try another browser.',
  in_g: 'This browser gives acceleration in g, where m/s² is the standard. Try another browser.',
};

export const CONTRADICTIONS: Record<Contradiction, string> = {
  lacks_gravity:
    'Acceleration lacks gravity, and the model was trained with it: these answers are worthless.',
  has_gravity:
    'Acceleration has gravity, and the model was trained without it: these answers are worthless.',
  opposite:
    'Gravity points opposite to the training recordings, so these answers may be wrong: the phone is worn ' +
    'upside down, or signs differ.',
  elsewhere:
    'Gravity points elsewhere than in the training recordings, so these answers may be wrong: the phone is ' +
    'worn otherwise.',
  slower: 'The sensors are much slower than in training, so quick movements look different to the model.',
};

export const UNLIKE =
  'The movements are unlike those of the same activities in training. The model seems not to know this ' +
  'phone, place or person, so expect more errors. Record and label some windows of each activity, and adapt.';

export const IMPOSSIBLE =
  'Samples beyond 50 g or 5,000 °/s count as missing: no motion gives them. Sensor or browser have a fault.';

export const NO_MODEL = 'The model cannot be loaded, so nothing is recognized. Recording works.';
export const NOT_STORED =
  'The storage of this browser is full or switched off: what you record is lost if this page is closed. ' +
  'Save recording and labels soon.';
export const DAMAGED =
  'A part of the earlier recording or answers is damaged, and was left out: there is a gap.';
export const NO_ROTATION =
  'This browser gives no rotation, and the model was trained with it: expect more errors.';

export const OTHER_MODEL = 'What was learned belongs to another model, and is not used with this one.';
export const NOT_SAVED =
  'The adapter cannot be saved. Save recording and labels, and adapt on a computer.';

export function tooShort(activity: string, neededS: number): string {
  return `Too short to learn “${activity}” from: it takes ${Math.ceil(neededS)} seconds without a gap.`;
}

export function learnedFrom(corrections: readonly Correction[]): string {
  const counts = new Map<string, number>();
  for (const { activity } of corrections) counts.set(activity, (counts.get(activity) ?? 0) + 1);
  const times = [...counts].map(([each, count]) => `${each} ${count} ×`);
  return `Learned: ${times.join(', ')}`;
}

export function inAll(totals: ReadonlyMap<string, number>, movement: Movement): string {
  const { steps, cadence, moderate, sitting } = movement;
  const times = [...totals].map(([each, lastsS]) => `${each} ${seconds(lastsS)}`);
  const pace = cadence === undefined ? '' : `, ${Math.round(cadence)} a minute while walking`;
  const counted = steps ? `. ${steps} step${steps > 1 ? 's' : ''} of walking and running${pace}` : '';
  const bouts = boutsOf('moderate movement or more', moderate) + boutsOf('sitting', sitting);
  return `All windows together: ${times.join(', ')}${counted}.${bouts}`;
}

/** Whole minutes: bouts last for whole windows, while the times above are of their middles. */
function boutsOf(what: string, { lastsS, longestS, leastS, bouts }: BoutSum): string {
  const [lasts, longest, least] = [lastsS, longestS, leastS].map((each) => Math.round(each / 60));
  if (!lasts) return '';
  const count = `${bouts || 'no'} bout${bouts > 1 ? 's' : ''} of ${least} minutes or more`;
  const breaks = longest > lasts ? ', breaks included' : '';
  return ` ${lasts} min of ${what}, ${longest} min in the longest bout${breaks}; ${count}.`;
}

/** `label`: what was being recorded. */
export function paused(fromMs: number, toMs: number, label: string | undefined): string {
  const [from, to] = [fromMs, toMs].map((ms) => new Date(ms).toLocaleTimeString());
  const before = `Paused from ${from} to ${to}: a page that is hidden gets no motion data.`;
  return label === undefined ? before : `${before} “${label}” ended at ${from}: tap it to continue.`;
}

export function seconds(value: number): string {
  const whole = Math.floor(value);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
