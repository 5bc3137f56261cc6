/** Bouts of sitting and of moderate movement, by the rules and sources of har_jax/timeline/movement.py. */

// Three METs or more; so is walking with 100 steps a minute.
const MODERATE = new Set(
  (
    'running jogging upstairs downstairs stairs cycling jumping rowing nordic_walking ' +
    'treadmill_incline_walking exercising_on_stepper exercising_on_cross_trainer playing_soccer ' +
    'playing_basketball'
  ).split(' '),
);
const MODERATE_CADENCE = 100;
const SITTING = new Set(['sitting', 'watching_tv', 'computer_work', 'typing', 'writing', 'driving']);
const BREAK_S = 60;

/** `cadence`: steps a minute of a walk. */
export interface Bout {
  name: string;
  startS: number;
  stopS: number;
  cadence: number | undefined;
}

/** `bouts`: those of `leastS` or more, with short breaks. */
export interface BoutSum {
  lastsS: number;
  longestS: number;
  leastS: number;
  bouts: number;
}

export function sumUpModerate(bouts: readonly Bout[]): BoutSum {
  const isModerate = ({ name, cadence = 0 }: Bout) => MODERATE.has(name) || cadence >= MODERATE_CADENCE;
  return sumUp(bouts.filter(isModerate), 0.8, 600);
}

export function sumUpSitting(bouts: readonly Bout[]): BoutSum {
  return sumUp(
    bouts.filter(({ name }) => SITTING.has(name)),
    0.9,
    1800,
  );
}

/** `part`: so much of a bout with its breaks, at least. */
function sumUp(bouts: readonly Bout[], part: number, leastS: number): BoutSum {
  const joinedS: number[] = [];
  let [lastsS, memberS, firstS, lastS] = [0, 0, -Infinity, -Infinity];
  for (const { startS, stopS } of bouts) {
    const lengthS = stopS - startS;
    if (startS - lastS > BREAK_S || memberS + lengthS < part * (stopS - firstS)) {
      [firstS, memberS] = [startS, 0];
      joinedS.push(0);
    }
    lastS = stopS;
    memberS += lengthS;
    lastsS += lengthS;
    joinedS[joinedS.length - 1] = stopS - firstS;
  }
  return {
    lastsS,
    longestS: Math.max(...joinedS, 0),
    leastS,
    bouts: joinedS.filter((each) => each >= leastS).length,
  };
}
