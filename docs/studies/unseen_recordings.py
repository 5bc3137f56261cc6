"""Compare answers to whole recordings of kinds that the base has never seen, and fill docs/results/unseen.md.

python docs/studies/unseen_recordings.py --windows=windows
python docs/studies/unseen_recordings.py --nomeasure

People, labels and models are those of `unseen.py`. All windows of a tested person are one recording:
`adapted` means that they move the model's logits, as in `har-jax predict`; `adapted so far`, that each window
and those before it do, as in a `Stream`. A hidden Markov model then smooths
the answers to each file, as for the bouts of `har-jax predict`. Without labels, the base's own head answers,
and stairs have the level of the kind's names: one class, or one of each direction.
"""

import itertools
import warnings
from collections.abc import Iterator

import kinds
import numpy as np
import pandas as pd
import study
import unseen
from jaxtyping import Float

from har_jax import Recognizer, files
from har_jax.baselines import BASELINES
from har_jax.config import Windowing
from har_jax.report import csv_table, markdown
from har_jax.timeline.activities import to_level
from har_jax.timeline.bouts import MEAN_BOUT_S, Chain

FLAGS = kinds.FLAGS
TABLE, PAGE = study.places('unseen_recordings')[0], unseen.PAGE
_TYPES = {'labels': str}
_SEEDS = 0, 1, 2
_LABELS = '0', '0, no walking', '10', '1'  # windows of each activity
_ADAPTED_TO = 400  # windows, as in a stream
_PEOPLE = 12  # tested in a kind, drawn at random
_KEY = ['kind', 'labels', 'seed']
_Answers = dict[str, Float[np.ndarray, 'w y']]  # by each model


def _fitted(kind: kinds.Kind, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray, _Answers]:
  """Indices of the tested people's windows, the classes, and probabilities by each model."""
  signals, activities, people = kinds.load(kind)
  chosen, tested = kinds.draw(activities, people, labels, seed)
  drawn = np.random.default_rng(seed).permutation(np.unique(people[tested]))[:_PEOPLE]
  indices = np.flatnonzero(np.isin(people, drawn))
  classes, y = np.unique(activities[chosen], return_inverse=True)

  tested, of_person, base = signals[indices], people[indices], files.bundled_base()
  answers = {
    name: BASELINES[name](seed).fit(signals[chosen], y).predict_proba(tested) for name in ('forest', 'rocket')
  }
  scratch = Recognizer(base, method='scratch', random_state=seed)
  scratch.fit(signals[chosen], activities[chosen])
  probabilities = scratch.probabilities(tested)
  answers['scratch, adapted'] = scratch.adapt_probabilities(probabilities, of_person)
  model = Recognizer(base, method='side', random_state=seed)
  model.fit(signals[chosen], activities[chosen])
  probabilities = model.probabilities(tested)
  answers['side'] = probabilities
  answers['side, adapted'] = model.adapt_probabilities(probabilities, of_person)

  def adapted_so_far(own: np.ndarray) -> Float[np.ndarray, 'w y']:
    spans = (probabilities[own][max(stop - _ADAPTED_TO, 0) : stop] for stop in range(1, len(own) + 1))
    return np.stack([model.adapt_probabilities(span, np.zeros(len(span)))[-1] for span in spans])

  return indices, classes, answers | {'side, adapted so far': kinds.by_person(adapted_so_far, of_person)}


def _unlabeled(kind: kinds.Kind, seed: int, absent: str) -> tuple[np.ndarray, np.ndarray, _Answers]:
  """The same for the base's own head, on the windows of activities that it knows, but for one."""
  model = Recognizer.load()
  signals, activities, people = kinds.load(kind)
  is_known = np.isin(activities, model.classes_) & (activities != absent)
  if len(np.unique(activities[is_known])) < 3:  # LIARA and SPAR: exercises
    return np.arange(0), model.classes_, {}
  drawn = np.random.default_rng(seed).permutation(np.unique(people[is_known]))[:_PEOPLE]
  indices = np.flatnonzero(is_known & np.isin(people, drawn))
  signals, drawn_people = signals[indices], people[indices]

  probabilities = model.probabilities(signals)
  answers = {'base, each window': probabilities}
  compared = kinds.compare_with_walking(model, probabilities, signals, drawn_people)
  answers['base, compared with walking'] = compared
  adapted = model.adapt_probabilities(probabilities, drawn_people)
  adapted = kinds.compare_with_walking(model, adapted, signals, drawn_people)
  answers['base, adapted'] = model.adapt_probabilities(adapted, drawn_people)
  return indices, model.classes_, answers


def measure(case: study.Row) -> Iterator[study.Row]:
  """Rows of the table: macro-F1 of each window's answer, and of those that a hidden Markov model smoothed."""
  window_s = Windowing().seconds
  chain = Chain(MEAN_BOUT_S, window_s / 2, window_s)
  (kind,) = (one for one in unseen.KINDS if one.name == case['kind'])
  number, _, absent = case['labels'].partition(', no ')
  indices, classes, answers = (
    _fitted(kind, int(number), case['seed']) if int(number) else _unlabeled(kind, case['seed'], absent)
  )
  _, activities, people = kinds.load(kind)
  true, files = activities[indices], kinds.recordings_of(kind)[indices]
  is_scored = np.isin(true, classes)
  for name, answered in answers.items():
    probabilities, names = to_level(answered, classes.tolist(), np.unique(true[is_scored]).tolist())
    smoothed = np.array(probabilities, np.float64)
    for file in np.unique(files):
      smoothed[files == file] = chain.smoothed(smoothed[files == file])
    scores = [
      kinds.macro_f1(true[is_scored], np.array(names)[values.argmax(axis=1)][is_scored])
      for values in (probabilities, smoothed)
    ]
    yield case | {
      'model': name,
      'macro_f1': round(scores[0], 4),
      'smoothed': round(scores[1], 4),
      'people': len(np.unique(people[indices])),
    }


def _table(rows: pd.DataFrame, labels: str) -> str:
  names, columns = list(dict.fromkeys(rows.model)), ('macro_f1', 'smoothed')
  mean = rows.pivot_table(index='kind', columns='model', values=list(columns), sort=False)
  lines = [
    [kind, *(' / '.join(f'{row[column, name]:.3f}' for column in columns) for name in names)]
    for kind, row in [*mean.iterrows(), ('**mean**', mean.mean())]
  ]
  number, *absent = labels.split(', ')
  title = f'{labels} window{"s" if number != "1" else ""} of each activity' if number != '0' else 'No label'
  title = ', '.join([title, *absent])
  return f'**{title}**: each window / smoothed\n\n' + markdown.tabulated(
    pd.DataFrame(lines, columns=['kind', *names])
  )


def block() -> str:
  by_labels = csv_table.read(TABLE, _TYPES).groupby('labels', sort=False)
  return '\n\n'.join(_table(part, labels) for labels, part in by_labels)


def _measure_all() -> None:
  cases = (
    dict(zip(_KEY, (kind.name, labels, seed), strict=True))
    for labels, seed, kind in itertools.product(_LABELS, _SEEDS, unseen.KINDS)
  )
  with warnings.catch_warnings(action='ignore'):
    study.resume(TABLE, cases, measure, _KEY, _TYPES)


if __name__ == '__main__':
  study.run(__name__, _measure_all)
