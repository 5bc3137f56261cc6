/** The parts of the page that change, and nothing of why they do. */

import { seconds } from './messages';
import type { Bar } from './timeline';

const SPAN_S = 300;
const SVG = 'http://www.w3.org/2000/svg';
const TRACE_M_S2 = 25; // half of the height: running exceeds it, at times

export function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** Of an input or a select. */
export function valueOf(id: string): number {
  return Number((element(id) as HTMLInputElement).value);
}

/** Keeps the choice of an input or a select over reloads. */
export function keep(id: string): void {
  const control = element(id) as HTMLInputElement;
  const key = `har_jax ${id} ${location.pathname}`;
  try {
    control.value = localStorage.getItem(key) ?? control.value;
    control.addEventListener('change', () => localStorage.setItem(key, control.value));
  } catch (error) {
    console.warn(error); // private tabs have no storage
  }
}

export function enable(id: string, isEnabled: boolean): void {
  (element(id) as HTMLButtonElement).disabled = !isEnabled;
}

export function onClick(id: string, listener: () => void): void {
  element(id).addEventListener('click', listener);
}

/** Written only where it changes, so that a screen reader repeats nothing. */
export function write(id: string, text: string): void {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

export function notify(text: string): void {
  write('notice', text);
  element('notice').hidden = !text;
}

/** Of the answers that are shown; undefined: nothing is wrong with them. */
export function warn(text: string | undefined): void {
  write('warning', text ?? '');
  element('warning').hidden = !text;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

interface Row {
  row: HTMLElement;
  share: HTMLElement | undefined;
  bar: HTMLElement | undefined;
  strip: SVGElement;
}

/** A row for each activity: its probability, and when it was shown. */
export class Activities {
  private readonly rows = new Map<string, Row>();

  constructor(names: readonly string[], withoutProbability: string) {
    for (const name of new Set([...names, withoutProbability])) {
      this.rows.set(name, addRow(name, names.includes(name)));
    }
  }

  show(shown: string, names: readonly string[], probabilities: readonly number[]): void {
    for (const name of names) if (!this.rows.has(name)) this.rows.set(name, addRow(name, true));
    for (const [name, { row, share, bar }] of this.rows) {
      row.classList.toggle('shown', name === shown);
      const probability = names.includes(name) ? probabilities[names.indexOf(name)] : 0;
      if (share) share.textContent = percent(probability);
      bar?.style.setProperty('--share', percent(probability).replace(' ', ''));
    }
  }

  showTimeline(bars: Map<string, Bar[]>, nowS: number): void {
    for (const [name, { strip }] of this.rows) {
      const of = bars.get(name) ?? [];
      strip.replaceChildren(...of.map((bar) => rect(bar, nowS)));
      const total = of.reduce((sum, { startS, stopS }) => sum + stopS - startS, 0);
      strip.setAttribute('aria-label', `${seconds(total)} of the last 5 minutes`);
    }
  }
}

function addRow(name: string, hasProbability: boolean): Row {
  const row = document.createElement('tr');
  const [head, probability, last] = ['th', 'td', 'td'].map((tag) => document.createElement(tag));
  head.setAttribute('scope', 'row');
  head.textContent = name;
  const strip = document.createElementNS(SVG, 'svg');
  strip.setAttribute('class', 'strip');
  strip.setAttribute('role', 'img');
  strip.setAttribute('viewBox', `0 0 ${SPAN_S} 1`);
  strip.setAttribute('preserveAspectRatio', 'none');
  last.append(strip);
  row.append(head, probability, last);
  document.querySelector('#activities tbody')?.append(row);
  if (!hasProbability) return { row, share: undefined, bar: undefined, strip };
  const [cell, share, bar] = ['div', 'span', 'i'].map((tag) => document.createElement(tag));
  cell.className = 'probability';
  share.textContent = '–';
  cell.append(share, bar);
  probability.append(cell);
  return { row, share, bar, strip };
}

function rect({ startS, stopS }: Bar, nowS: number): SVGElement {
  const box = document.createElementNS(SVG, 'rect');
  const sides = { x: startS - nowS + SPAN_S, y: 0, width: stopS - startS, height: 1 };
  for (const [name, value] of Object.entries(sides)) box.setAttribute(name, value.toFixed(2));
  return box;
}

/** One big button a label. */
export class LabelButtons {
  private readonly buttons = new Map<string, { button: HTMLButtonElement; kept: HTMLElement }>();

  constructor(private readonly onTap: (label: string) => void) {}

  add(label: string): void {
    if (this.buttons.has(label)) return;
    const button = document.createElement('button');
    button.type = 'button';
    const kept = document.createElement('small');
    button.append(label, kept);
    button.addEventListener('click', () => this.onTap(label));
    this.buttons.set(label, { button, kept });
    element('labels').append(button);
  }

  /** `keptS`: what each label has so far. */
  show(active: string | undefined, keptS: Map<string, number>): void {
    for (const [label, { button, kept }] of this.buttons) {
      button.setAttribute('aria-pressed', String(label === active));
      const has = keptS.get(label);
      const time = has === undefined ? '' : seconds(has); // less than in the bar: both ends are left out
      kept.textContent = label === active ? `recording${time && `, ${time} kept`}` : time;
    }
  }
}

/** Which activities a list offers. */
export function choices(id: string, names: readonly string[]): void {
  const select = element(id) as HTMLSelectElement;
  const { value } = select;
  select.replaceChildren(...names.map((name) => new Option(name)));
  if (names.includes(value)) select.value = value;
}

/** In a bar that is seen wherever one has scrolled. */
export function showRecording(label: string | undefined, lastsS: number): void {
  element('recording').hidden = label === undefined;
  write('recording-label', label ?? '');
  write('recording-time', seconds(lastsS));
}

/** The latest values as numbers and, over the last seconds, as lines. `recent`: samples, six values each. */
export function showSensors(recent: readonly (readonly number[])[], hasRotation: boolean): void {
  const cells = document.querySelectorAll('#readings td:not(:empty)');
  const latest = recent[recent.length - 1];
  cells.forEach((cell, index) => {
    if (index < 3 || hasRotation) cell.textContent = rounded(latest[index], index < 3 ? 1 : 2);
  });
  document.querySelectorAll('#trace polyline').forEach((line, axis) => {
    const points = recent.map((values, index) => {
      const y = 50 - (50 * Math.max(-1, Math.min(values[axis] / TRACE_M_S2, 1)));
      return `${((250 * index) / (recent.length - 1)).toFixed(1)},${y.toFixed(1)}`;
    });
    line.setAttribute('points', points.join(' '));
  });
}

/** Without the sign of a zero. */
function rounded(value: number, digits: number): string {
  return value.toFixed(digits).replace(/^-(?=[0.]+$)/, '');
}

export function csvFile(name: string, text: string): File {
  return new File([text], name, { type: 'text/csv' });
}

export function save(file: File): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // iOS reads it only after the user has agreed
}

/** False where a browser shares no files, or none of these types. */
export function canShare(files: File[]): boolean {
  return (navigator as Partial<Navigator>).canShare?.({ files }) ?? false;
}

/** To another app, all at once; where that cannot be, one after the other to where the browser saves. */
export async function handOver(files: File[]): Promise<void> {
  if (!canShare(files)) {
    files.forEach(save);
    return;
  }
  await navigator.share({ files }).catch((error: unknown) => {
    if (!(error instanceof DOMException && error.name === 'AbortError')) files.forEach(save);
  });
}
