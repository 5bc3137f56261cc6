/** Before all tests: the page, built and exported, and Python's answers in a new folder; and a server. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build, preview } from 'vite';
import type { TestProject } from 'vitest/node';
import type { AdapterCard } from '../src/adapter';
import type { Contradiction, Signals } from '../src/frame';
import type { Card } from '../src/model';

export const PYTHON = process.env.PYTHON ?? path.resolve('../.venv/bin/python');

export interface Case {
  time_s: number[];
  samples: number[][];
  start_s: number[];
  activity: string[];
  confidence: number[];
  windows: number[][];
  probabilities: number[][];
}

export interface FrameCase {
  axis: number[];
  sign: number[];
  opposite: number;
  best: number;
  contradiction: Contradiction | null;
}

export interface Event {
  window?: { start_s: number; hidden: number[]; logits: number[]; adapted: number[] };
  posterior?: number[];
  correct?: [string, number];
  undo?: boolean;
  restart?: boolean;
  added?: number[][];
}

export interface Expected {
  cases: Record<string, Case>;
  faulty: Omit<Case, 'samples'> & { samples: (number | null)[][]; rule: string };
  chain: { rows: number[][]; posteriors: number[][] };
  unknown_below: number;
  lengths: Record<string, { card: Pick<Card, 'input' | 'stream'>; cases: Record<string, Case> }>;
  corrections: Event[];
  recording: Record<'probabilities' | 'class_logits' | 'adapted' | 'smoothed', number[][]> & {
    scores: number[];
    sets: boolean[][];
  };
  steps: {
    samples: number[][];
    bouts: { start_s: number; end_s: number; activity: string }[];
    movement: { steps: number; walking_cadence: number } & Record<
      'moderate' | 'sitting',
      { minutes: number; longest_minutes: number }
    >;
  };
  gaits: { rate_hz: number; lengths: number[]; steps: number; cadence: number | null }[];
  adapters: Record<string, { added: number[][]; card: AdapterCard }>;
  shift: {
    card: Pick<AdapterCard, 'class_means' | 'class_spread'>;
    hidden: number[][];
    answers: number[][];
    shifts: (number | null)[];
  };
  frames: { signals: Signals; windows: number[][]; cases: Record<string, FrameCase> };
}

export function readExpected(folder: string): Expected {
  return JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as Expected;
}

declare module 'vitest' {
  export interface ProvidedContext {
    folder: string;
    address: string;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'har_jax-web-'));
  await build({ build: { outDir: path.join(folder, 'built') }, logLevel: 'warn' });
  execFileSync(PYTHON, ['tests/expected.py', folder], { stdio: 'inherit' });
  const server = await preview({
    configFile: false,
    build: { outDir: path.join(folder, 'page') },
    preview: { port: 0, host: '127.0.0.1' },
  });
  project.provide('folder', folder);
  project.provide('address', server.resolvedUrls?.local[0] ?? '');
  return async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  };
}
