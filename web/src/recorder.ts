/** What was recorded under which label, and the two CSV files that `har-jax adapt` reads. */

import type { Series } from './store';
import type { Sample } from './windows';

const NAMES = ['acc_x_m_s2', 'acc_y_m_s2', 'acc_z_m_s2', 'gyro_x_rad_s', 'gyro_y_rad_s', 'gyro_z_rad_s'];
const DIGITS = 5;

/** One activity, from a tap to the next. Its rows hold the samples. */
export interface Take extends Series {
  label: string;
  hasRotation: boolean;
}

export function isTake({ label }: Partial<Take>): boolean {
  return typeof label === 'string';
}

export class Recorder {
  hasRotation = true;
  readonly takes: Take[] = [];
  private current: Take | undefined;

  /** `originMs`: the Unix time from which samples' times count. */
  constructor(private readonly originMs: number) {}

  get active(): Take | undefined {
    return this.current;
  }

  /** Ends the label before it. */
  start(label: string): void {
    this.stop();
    this.current = { label, hasRotation: this.hasRotation, rows: [] };
    this.takes.push(this.current);
  }

  stop(): void {
    if (this.current?.rows.length === 0) this.takes.pop();
    this.current = undefined;
  }

  push({ timeS, values }: Sample): void {
    this.current?.rows.push([this.timeMs(timeS), ...values]);
  }

  /** Undefined: there is none. One that is being recorded is the last, even without a sample. */
  removeLast(): Take | undefined {
    this.current = undefined;
    return this.takes.pop();
  }

  clear(): void {
    this.stop();
    this.takes.length = 0;
  }

  recordingCsv(): string {
    const names = this.takes.every(({ hasRotation }) => hasRotation) ? NAMES : NAMES.slice(0, 3);
    const rows = this.takes.flatMap((take) => take.rows);
    const cells = rows.map(([timeMs, ...values]) => [
      timeMs.toFixed(3),
      ...values.slice(0, names.length).map((each) => each.toFixed(DIGITS)),
    ]);
    return csv(['time_ms', ...names], cells);
  }

  /** `trimS`: what to leave out at both ends of each label, while the phone goes into the pocket. */
  labelsCsv(trimS: number): string {
    const kept = this.takes.filter((take) => lengthS(take, trimS) > 0);
    const cells = kept.map(({ label, rows }) => [
      (rows[0][0] + 1000 * trimS).toFixed(3),
      (rows[rows.length - 1][0] - 1000 * trimS).toFixed(3),
      label,
    ]);
    return csv(['start_ms', 'end_ms', 'activity'], cells);
  }

  timeMs(timeS: number): number {
    return this.originMs + 1000 * timeS;
  }
}

/** What a label keeps. */
export function lengthS({ rows }: Take, trimS: number): number {
  return rows.length ? Math.max((rows[rows.length - 1][0] - rows[0][0]) / 1000 - 2 * trimS, 0) : 0;
}

export function csv(head: string[], rows: string[][]): string {
  return [head, ...rows].map((cells) => `${cells.map(quoted).join(',')}\n`).join('');
}

function quoted(text: string): string {
  // A spreadsheet takes some texts for formulas.   Source: OWASP, CSV injection.
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
