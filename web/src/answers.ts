/** All answers as a table: as they were given, and as all windows together change them. */

import type { AdapterCard } from './adapter';
import type { Chain } from './chain';
import { csv } from './recorder';
import type { Moment } from './steps';
import { UNKNOWN, type Session } from './timeline';
import { adaptToRecording, classLogitsOf, setOf } from './whole';

const FIRST_PROBABILITY = 4; // of a row

interface Row extends Moment {
  shown: string;
  confidence: number;
  probabilities: number[];
  set: string[];
  names: readonly string[];
}

/**
 * The rows of all sessions. As by `har-jax predict`, windows that the model answered without corrections are
 * adapted to their recording, and then all are decoded from both sides.
 */
export function tabulate(sessions: readonly Session[], card: AdapterCard, chain: Chain): Row[] {
  const isPlain = (session: Session): boolean => session.model === card.checksum && !session.corrections;
  const own = (row: number[], { names }: Session): number[] => row.slice(FIRST_PROBABILITY, lastOf(names));
  const plainSessions = sessions.filter(isPlain);
  const plain = plainSessions.flatMap(({ rows }) => rows);
  const classLogits = classLogitsOf(card);
  const probabilities = plainSessions.flatMap((session) => session.rows.map((row) => own(row, session)));
  const power = card.temperature / card.adaptation_temperature;
  const powers = probabilities.map((row) => row.map((each) => each ** power));
  const adapted = classLogits && plain.length ? adaptToRecording(powers, classLogits) : probabilities;
  const byRow = new Map(plain.map((row, index) => [row, adapted[index]]));
  return sessions.flatMap((session) => {
    const { names, rows } = session;
    const scores = isPlain(session) ? card.set_scores : undefined;
    const changed = rows.map((row) => byRow.get(row) ?? own(row, session));
    const decoded = unbroken(rows).flatMap(([first, stop]) => chain.smoothed(changed.slice(first, stop)));
    return rows.map((row, index) => ({
      timeMs: row[0],
      isFirst: index === 0 || row[1] === 1,
      shown: row[2] < 0 ? UNKNOWN : names[row[2]],
      confidence: row[3],
      probabilities: own(row, session),
      activity: names[decoded[index].indexOf(Math.max(...decoded[index]))],
      lengths: row.slice(lastOf(names)),
      set: scores ? setOf(changed[index], scores).map((each) => names[each]) : [],
      names,
    }));
  });
}

function lastOf(names: readonly string[]): number {
  return FIRST_PROBABILITY + names.length;
}

export function answersCsv(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => row.names))];
  const head = ['time_ms', 'activity', 'confidence', ...names.map((name) => `p_${name}`), 'adapted', 'set'];
  const cells = rows.map((row) => [
    row.timeMs.toFixed(3),
    row.shown,
    row.confidence.toFixed(4),
    ...names.map((name) => probabilityOf(row, name)),
    row.activity,
    row.set.join(' | '),
  ]);
  return csv(head, cells);
}

/** Empty where the model did not have the activity. */
function probabilityOf({ names, probabilities }: Row, name: string): string {
  return names.includes(name) ? probabilities[names.indexOf(name)].toFixed(4) : '';
}

/** Seconds of each activity, longest first. */
export function totals(rows: readonly Row[], hopS: number): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { activity } of rows) sums.set(activity, (sums.get(activity) ?? 0) + hopS);
  return new Map([...sums].sort(([, a], [, b]) => b - a));
}

/** First and last index of each part without a gap. */
function unbroken(rows: readonly number[][]): [number, number][] {
  const firsts = [...rows.keys()].filter((index) => index === 0 || rows[index][1]);
  return firsts.map((first, index) => [first, firsts.at(index + 1) ?? rows.length]);
}
