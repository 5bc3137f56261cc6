"""Fit the functions that tell from a recording's movements whether its time runs too fast or too slow.

python docs/studies/pace.py --archives=<folder with the archives>

They are fitted to archives whose license lets weights be shared: those below, and SPAR as an own dataset, of
people whom docs/studies/checks.py gives no fault. Recordings that are known to be right are also read at
twice and at half their rate. The command writes har_jax/signal/pace.json. Takes some minutes.
"""

import collections
import json
import pathlib
import sys
from collections.abc import Iterator

import checks
import numpy as np
from sklearn.linear_model import LogisticRegression

from har_jax.archives import own_dataset
from har_jax.archives.source import Source
from har_jax.cli import command
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import to_windows
from har_jax.signal import pace
from har_jax.signal.recording import Recording

FLAGS, _define = command.new_flags()
_ARCHIVES = _define('archives', None, 'folder with a folder of each archive')
_SHARED = ('motionsense', 'wisdm', 'dsads', 'liara')
_AS_RECORDED = ('sp_sw_har', 'spar')  # too few activities, or exercises as slow as gait at half the rate
_SPEEDS = (0.5, 1.0, 2.0)
_MOST_WINDOWS = 25  # of a person at a speed


def main() -> None:
  examples = list(_examples(pathlib.Path(str(_ARCHIVES.value))))
  path = pathlib.Path(pace.__file__).with_name('pace.json')
  path.write_text(json.dumps(fit(examples)) + '\n', encoding='utf-8')
  print(path)


Examples = tuple[tuple[str, str], float, np.ndarray]  # archive and position, speed, quantities of windows


def _examples(folder: pathlib.Path) -> Iterator[Examples]:
  classes = set(map(str, Recognizer.load().classes_))
  for place, people in checks.read_people(folder):
    if place[0] in _SHARED + _AS_RECORDED:
      yield from read_examples(place, people, classes)
  tables = sorted((folder / 'spar').glob('**/dataset.toml'))
  if not tables:  # without its slow exercises, those of others look half as fast
    raise UserError(
      f'no dataset.toml of SPAR in {folder / "spar"}; see docs/own_dataset.md for how to write it'
    )
  for path in tables:
    archive = own_dataset.load(path)
    subjects: dict[str, list[Recording]] = {}
    for recording in archive.read(Source(path.parent), archive.positions[0], collections.Counter()):
      subjects.setdefault(recording.subject, []).append(recording)
    yield from read_examples(('spar', archive.positions[0]), subjects, classes)


def read_examples(
  place: tuple[str, str], people: dict[str, list[Recording]], classes: set[str]
) -> Iterator[Examples]:
  """Examples of the people of an archive and position who have no fault in the study of faults."""
  drawn = checks.draw(people)
  for person, parts in people.items():
    if person in drawn:
      continue
    if place[0] in _AS_RECORDED:
      yield place, 1.0, _describe(parts)
      continue
    some = checks.take_minutes(parts, classes)
    for speed in _SPEEDS if some else ():
      yield place, speed, _describe(checks.at_speed(some, speed))


def _describe(parts: list[Recording]) -> np.ndarray:
  windows = to_windows(checks.join(parts), pace.WINDOWING, unlabeled=True)
  signals = np.array([window.signal for window in windows], np.float32).reshape(-1, pace.WINDOWING.samples, 6)
  signals = signals[pace.is_moving(signals)]
  return pace.describe(signals[:: max(len(signals) // _MOST_WINDOWS, 1)])


def fit(examples: list[Examples]) -> dict[str, list[float]]:
  """Differences of the logits of a logistic regression in which each place and person weighs the same."""
  examples = [example for example in examples if len(example[2])]
  places = [place for place, _, _ in examples]
  values = np.concatenate([described for _, _, described in examples])
  speeds = np.concatenate([np.full(len(described), speed) for _, speed, described in examples])
  weights = np.concatenate(
    [np.full(len(described), 1 / places.count(place) / len(described)) for place, _, described in examples]
  )
  mean, deviation = values.mean(axis=0), values.std(axis=0)
  model = LogisticRegression(C=0.1, max_iter=1000, fit_intercept=False)
  terms = pace.quadratic((values - mean) / deviation)
  model.fit(terms, speeds.astype(str), sample_weight=weights * len(values) / weights.sum())
  logits = dict(zip(map(float, model.classes_), model.coef_, strict=True))
  tables = {'mean': mean, 'deviation': deviation}
  tables |= {'fast': logits[2.0] - logits[1.0], 'slow': logits[0.5] - logits[1.0]}
  return {name: [float(f'{number:.5g}') for number in numbers] for name, numbers in tables.items()}


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))
