"""Compare answers to whole recordings of kinds that the base has never seen, and fill docs/results/unseen.md.

python docs/studies/unseen_recordings.py --windows=windows
python docs/studies/unseen_recordings.py --nomeasure

People, labels and models are those of `unseen.py`. All windows of a tested person are one recording:
`adapted` means that they move the model's logits, as in `har-jax predict`; `adapted so far`, that each window
and those before it do, as in a `Stream`. A hidden Markov model then smooths
the answers to each file, as for the bouts of `har-jax predict`. Without labels, the base's own head answers,
and stairs have the level of the kind's names: one class, or one of each direction.
"""

import functools
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import study
import unseen
from absl import flags
from jaxtyping import Float

from har_jax.cli import command
from har_jax.recognizer.recording_adaptation import adapt_to_recordings
from har_jax.report import csv_table, markdown
from har_jax.timeline.activities import to_level
from har_jax.timeline.bouts import MEAN_BOUT_S, Chain

FLAGS = flags.FlagValues()
_WINDOWS = flags.DEFINE_string('windows', 'windows', 'folder of `har-jax prepare`', flag_values=FLAGS)
_MEASURE = flags.DEFINE_bool('measure', True, 'measure what the table lacks', flag_values=FLAGS)
TABLE, PAGE = unseen.TABLE.with_name('unseen_recordings.csv'), unseen.PAGE
_SEEDS = 0, 1, 2
_LABELS = '0', '0, no walking', '10', '1'  # windows of each activity
_ADAPTED_TO = 400  # windows, as in a stream
_PEOPLE = 12  # tested in a kind, drawn at random
_KEY = ['kind', 'labels', 'seed', 'model']
_Answers = Iterator[tuple[str, Float[np.ndarray, 'w y']]]


def _by_person(
  answer: Callable[[np.ndarray], Float[np.ndarray, 'w y']], people: np.ndarray
) -> Float[np.ndarray, 'w y']:
  """Probabilities, where `answer` takes the indices of all windows of one person."""
  parts = [np.flatnonzero(people == person) for person in np.unique(people)]
  answers = [answer(part) for part in parts]
  joined = np.empty((len(people), answers[0].shape[1]))
  for part, probabilities in zip(parts, answers, strict=True):
    joined[part] = probabilities
  return joined


def _fitted(kind: unseen.Kind, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray, _Answers]:
  """Indices of the tested people's windows, the classes, and probabilities by each model."""
  from har_jax import Recognizer, files
  from har_jax.baselines import BASELINES

  signals, activities, people = unseen.load(kind)
  chosen, tested = unseen.draw(activities, people, labels, seed)
  drawn = np.random.default_rng(seed).permutation(np.unique(people[tested]))[:_PEOPLE]
  indices = np.flatnonzero(np.isin(people, drawn))
  classes, y = np.unique(activities[chosen], return_inverse=True)

  def answers() -> _Answers:
    for name in ('forest', 'rocket'):
      yield name, BASELINES[name](seed).fit(signals[chosen], y).predict_proba(signals[indices])
    base = files.bundled_base()
    scratch = Recognizer(base, method='scratch', validation_fraction=0.0, random_state=seed)
    scratch.fit(signals[chosen], activities[chosen])
    probabilities = scratch.probabilities(signals[indices])
    yield 'scratch, adapted', adapt_to_recordings(probabilities, scratch.class_logits, people[indices])
    model = Recognizer(base, method='linear', validation_fraction=0.0)
    model.fit(signals[chosen], activities[chosen])
    probabilities = model.probabilities(signals[indices])
    yield 'linear', probabilities
    yield 'linear, adapted', adapt_to_recordings(probabilities, model.class_logits, people[indices])

    def adapted_so_far(own: np.ndarray) -> Float[np.ndarray, 'w y']:
      spans = (probabilities[own][max(stop - _ADAPTED_TO, 0) : stop] for stop in range(1, len(own) + 1))
      return np.stack(
        [adapt_to_recordings(span, model.class_logits, np.zeros(len(span)))[-1] for span in spans]
      )

    yield 'linear, adapted so far', _by_person(adapted_so_far, people[indices])

  return indices, classes, answers()


def _unlabeled(kind: unseen.Kind, seed: int, absent: str) -> tuple[np.ndarray, np.ndarray, _Answers]:
  """The same for the base's own head, on the windows of activities that it knows, but for one."""
  from har_jax import Recognizer
  from har_jax.baselines import relative_features

  model = Recognizer.load()
  signals, activities, people = unseen.load(kind)
  is_known = np.isin(activities, model.classes_) & (activities != absent)
  if len(np.unique(activities[is_known])) < 3:  # LIARA and SPAR: exercises
    return np.arange(0), model.classes_, iter(())
  drawn = np.random.default_rng(seed).permutation(np.unique(people[is_known]))[:_PEOPLE]
  indices = np.flatnonzero(is_known & np.isin(people, drawn))
  head, classes, drawn_people = model.recording_head_, model.classes_.tolist(), people[indices]
  assert head is not None

  def answers() -> _Answers:
    probabilities = model.probabilities(signals[indices])
    yield 'base, each window', probabilities

    def compared(before: Float[np.ndarray, 'w y'], own: np.ndarray) -> Float[np.ndarray, 'w y']:
      described = relative_features.describe(signals[indices[own]], 50)
      return head.combine(before[own], described, classes, model.temperature)

    yield 'base, compared with walking', _by_person(functools.partial(compared, probabilities), drawn_people)
    adapted = adapt_to_recordings(probabilities, model.class_logits, drawn_people)
    adapted = _by_person(functools.partial(compared, adapted), drawn_people)
    yield 'base, adapted', adapt_to_recordings(adapted, model.class_logits, drawn_people)

  return indices, model.classes_, answers()


def measure(kind: unseen.Kind, labels: str, seed: int) -> Iterator[dict[str, Any]]:
  """Rows of the table: macro-F1 of each window's answer, and of those that a hidden Markov model smoothed."""
  from har_jax.config import Windowing

  window_s = Windowing().seconds
  chain = Chain(MEAN_BOUT_S, window_s / 2, window_s)
  number, _, absent = labels.partition(', no ')
  indices, classes, answers = (
    _fitted(kind, int(number), seed) if int(number) else _unlabeled(kind, seed, absent)
  )
  _, activities, people = unseen.load(kind)
  true, files = activities[indices], np.array(unseen.open_windows(kind).recording)[indices]
  is_scored = np.isin(true, classes)
  for name, answered in answers:
    probabilities, names = to_level(answered, classes.tolist(), np.unique(true[is_scored]).tolist())
    smoothed = np.array(probabilities, np.float64)
    for file in np.unique(files):
      smoothed[files == file] = chain.smoothed(smoothed[files == file])
    scores = [
      unseen.macro_f1(true[is_scored], np.array(names)[values.argmax(axis=1)][is_scored])
      for values in (probabilities, smoothed)
    ]
    yield dict(zip(_KEY, (kind.name, labels, seed, name), strict=True)) | {
      'macro_f1': round(scores[0], 4),
      'smoothed': round(scores[1], 4),
      'people': len(np.unique(people[indices])),
    }


def main() -> dict[str, Any]:
  unseen.FLAGS([sys.argv[0], f'--windows={_WINDOWS.value}'])
  rows = _read().to_dict('records') if TABLE.exists() else []
  done = {tuple(row[name] for name in _KEY[:3]) for row in rows}
  for labels, seed, kind in itertools.product(_LABELS, _SEEDS, unseen.KINDS if _MEASURE.value else ()):
    if (kind.name, labels, seed) in done:
      continue
    with warnings.catch_warnings(action='ignore'):
      rows.extend(measure(kind, labels, seed))
    csv_table.write(pd.DataFrame(rows), TABLE)
    print(kind.name, labels, seed, sep='\t', flush=True)
  study.fill(PAGE, 'unseen_recordings', block())
  return {'out': TABLE}


def _read() -> pd.DataFrame:
  return csv_table.read(TABLE, {'labels': str})


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
  tables = [_table(part, labels) for labels, part in _read().groupby('labels', sort=False)]
  return '\n\n'.join(tables)


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))
