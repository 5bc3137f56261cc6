/**
 * Faults put into the page one at a time by Stryker, and a table of them: `make web-mutants`.
 *
 * $SAMPLE and $SEED draw some of all faults; a larger sample of a seed has those of a smaller one.
 */

import console from 'node:console';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { CheckStatus } from '@stryker-mutator/api/check';
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';
import { EQUIVALENTS } from './equivalents.js';

/** @typedef {import('@stryker-mutator/api/core').Location} Location */

const { SAMPLE = '400', SEED = '0' } = process.env;
const FOLDER = '../runs/web_mutants';
const KILLED = ['Killed', 'Timeout', 'RuntimeError'];
const ALIVE = ['Survived', 'NoCoverage'];

/**
 * What a fault changes, as the table and the equivalents say it.
 *
 * @param {string} source
 * @param {Location} location
 * @param {string | undefined} replacement
 * @param {number} firstLine of the location's lines: 0 or 1
 */
function changeOf(source, { start, end }, replacement, firstLine) {
  const lines = source.split('\n').slice(start.line - firstLine, end.line - firstLine + 1);
  lines.push((lines.pop() ?? '').slice(0, end.column - firstLine));
  const before = lines.join('\n').slice(start.column - firstLine);
  return `${before} → ${replacement ?? ''}`.replaceAll(/\s+/g, ' ');
}

/**
 * The ids of faults that are equivalents. Throws if an entry is not one fault of its file.
 *
 * @param {{ id: string, path: string, change: string }[]} faults
 * @param {{ path: string, change: string }[]} entries
 */
export function findEquivalents(faults, entries) {
  const found = entries.flatMap(({ path, change }) => {
    const ofFile = faults.filter((fault) => fault.path === path);
    const same = ofFile.filter((fault) => fault.change === change);
    if (same.length !== 1 && (ofFile.length || !existsSync(path))) {
      const count = `${path} has ${same.length} faults “${change}”, not one`;
      throw new Error(`equivalents.js: ${count}: correct this entry or delete it`);
    }
    return same;
  });
  return new Set(found.map(({ id }) => id));
}

/** @type {import('@stryker-mutator/api/check').Checker} */
const drawn = {
  init: () => Promise.resolve(),

  group: (mutants) => Promise.resolve([mutants.map(({ id }) => id)]),

  /** All but the equivalents pass, if they are drawn. */
  check(mutants) {
    const faults = mutants.map(({ id, fileName, location, replacement }) => {
      const path = fileName.slice(fileName.lastIndexOf('src/'));
      const change = changeOf(readFileSync(fileName, 'utf8'), location, replacement, 0);
      const key = JSON.stringify([SEED, path, location, change]);
      return { id, path, change, place: createHash('sha256').update(key).digest('hex') };
    });
    const equivalents = findEquivalents(faults, EQUIVALENTS);
    faults.sort((a, b) => (a.place < b.place ? -1 : 1));
    /** @type {Record<string, import('@stryker-mutator/api/check').CheckResult>} */
    const results = {};
    for (const [index, { id }] of faults.entries()) {
      const isTried = index < Number(SAMPLE) && !equivalents.has(id);
      const reason = 'not drawn, or equivalent';
      results[id] = isTried ? { status: CheckStatus.Passed } : { status: CheckStatus.CompileError, reason };
    }
    return Promise.resolve(results);
  },
};

/** @type {import('@stryker-mutator/api/report').Reporter} */
const table = {
  /** Writes each file's faults and killed ones, then each survivor. */
  onMutationTestReportReady({ files }) {
    const tried = Object.entries(files).flatMap(([path, { source, mutants }]) =>
      mutants
        .filter(({ status }) => [...KILLED, ...ALIVE].includes(status))
        .map(({ location, replacement, status }) => {
          const change = changeOf(source, location, replacement, 1);
          return { path, status, text: `- ${path}:${location.start.line}: \`${change}\` (${status})` };
        }),
    );
    const rows = [...new Set(tried.map(({ path }) => path)), 'all'].map((name) => {
      const faults = tried.filter(({ path }) => path === name || name === 'all');
      const killed = faults.filter(({ status }) => KILLED.includes(status)).length;
      return `| ${name} | ${faults.length} | ${killed} (${Math.round((100 * killed) / faults.length)}%) |`;
    });
    const survivors = tried.filter(({ status }) => ALIVE.includes(status)).map(({ text }) => text);
    const text = ['| file | mutants | killed |', '|---|---|---|', ...rows, '', ...survivors, ''].join('\n');
    writeFileSync(`${FOLDER}/table.md`, text);
    console.log(text);
  },
};

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Checker, 'drawn', drawn),
  declareValuePlugin(PluginKind.Reporter, 'table', table),
];

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  plugins: ['@stryker-mutator/vitest-runner', './tests/mutants.js'],
  testRunner: 'vitest',
  vitest: { configFile: 'tests/mutants.config.ts', related: false },
  mutate: ['src/**/*.ts'],
  checkers: ['drawn'],
  reporters: ['table', 'progress-append-only'],
  tempDirName: `${FOLDER}/copy`,
  timeoutMS: 120_000, // a test of the page gives up earlier, and a new process takes long to start
};
