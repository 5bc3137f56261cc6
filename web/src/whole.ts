/** What Python has in har_jax/recognizer/recording_adaptation.py and prediction_sets.py. */

import type { AdapterCard } from './adapter';
import { softmax } from './output_layer';

const ITERATIONS = 5;
const PRIOR_WINDOWS = 3; // of a class that have not moved, in a recording of all classes
const TINY = 1e-30;
const COVERAGE = 0.9;

/**
 * Probabilities, adapted to the recording: how far each class's logits have moved is found from the windows
 * themselves, without labels. `classLogits`: mean logits of the training windows of each class.
 */
export function adaptToRecording(
  probabilities: readonly (readonly number[])[],
  classLogits: readonly (readonly number[])[],
): number[][] {
  const logits = probabilities.map((row) => row.map((each) => Math.log(Math.max(each, TINY))));
  const classes = classLogits.map((_, index) => index);
  let adapted = logits.map((row) => softmax(row));
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const counts = classes.map((each) => adapted.reduce((sum, row) => sum + row[each], 0));
    const entropy = counts.reduce((sum, count) => sum - entropyOf(count / adapted.length), 0);
    const prior = PRIOR_WINDOWS * (classes.length / Math.exp(entropy)) ** 2;
    const moves = classes.map((each) =>
      classes.map((other) => {
        const sum = adapted.reduce((total, row, window) => total + row[each] * logits[window][other], 0);
        return (sum - counts[each] * classLogits[each][other]) / (prior + counts[each]);
      }),
    );
    adapted = logits.map((row, window) =>
      softmax(
        row.map((logit, other) =>
          classes.reduce((sum, each) => sum - adapted[window][each] * moves[each][other], logit),
        ),
      ),
    );
  }
  return adapted;
}

/** Of a card, with the temperature at which windows adapt. */
export function classLogitsOf(card: AdapterCard): number[][] | undefined {
  return card.class_logits?.map((row) => row.map((each) => each / card.adaptation_temperature));
}

function entropyOf(share: number): number {
  return share > 0 ? share * Math.log(share) : 0;
}

/** Indices of the classes that a window may be of, at a coverage of 90 %. `scores`: those of the card. */
export function setOf(probabilities: readonly number[], scores: readonly number[]): number[] {
  const rank = Math.ceil((scores.length + 1) * COVERAGE - 1e-9);
  const limit = rank > scores.length ? Infinity : scores[rank - 1];
  const best = Math.max(...probabilities);
  return [...probabilities.keys()].filter(
    (each) => 1 - probabilities[each] <= limit || probabilities[each] === best,
  );
}
