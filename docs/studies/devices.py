"""Measure what other devices cost, and what calibration gives, and fill docs/results/checks.md.

python docs/studies/devices.py --windows=windows
python docs/studies/devices.py --nomeasure

Each person has a device of their own: an accelerometer at the 95 % corner of the law of 41 phones and watches
of HHAR, no gyroscope, or 15 rows a second. Windows, people and
labels are those of `kinds.py`. Takes some minutes.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import kinds
import numpy as np
import study
from jaxtyping import Float

from har_jax import Recognizer, files
from har_jax.report import csv_table, markdown
from har_jax.signal import still

FLAGS = kinds.FLAGS
TABLE, PAGE = study.places('devices')[0], study.places('checks')[1]
KINDS = kinds.WAIST, kinds.POCKET
_LABELS, _SEED, _PEOPLE = (0, 10), 0, 8
# Of an axis: 95 % of HHAR's 41 devices have at most this bias, in m/s², and this gain.
_BIAS_M_S2, _GAIN = 0.5, 0.015
_Person = Float[np.ndarray, 'w n 6']


def _corner(signals: _Person, person: int) -> _Person:
  signs = np.random.default_rng(person).choice([-1, 1], (2, 3))
  changed = signals.copy()
  changed[..., :3] = changed[..., :3] * (1 + _GAIN * signs[0]) + _BIAS_M_S2 * signs[1]
  return changed


def _calibrated(signals: _Person, person: int) -> _Person:
  """Calibrates a device at the corner on its moments of rest, if they have all six directions."""
  changed = _corner(signals, person)
  fit = still.calibrate(changed[still.is_still(changed)][..., :3].mean(axis=1))
  if fit is not None:
    changed[..., :3] = (changed[..., :3] - fit.bias_m_s2) / fit.gain
  return changed


DEVICES: dict[str, Callable[[_Person, int], _Person]] = {
  'as recorded': lambda signals, _: signals,
  'accelerometer at the corner': _corner,
  'the same, calibrated': _calibrated,
  'no gyroscope': lambda signals, _: signals * np.array([1, 1, 1, 0, 0, 0], np.float32),
  '15 Hz': lambda signals, _: kinds.repeat_samples(signals, 15.0),
}


def _rows() -> Iterator[dict[str, Any]]:
  base = files.bundled_base()
  own = Recognizer.load()
  for kind, labels in itertools.product(KINDS, _LABELS):
    signals, activities, people = kinds.load(kind)
    fitted, tested = kinds.draw(activities, people, max(labels, 1), _SEED)
    drawn = np.random.default_rng(_SEED).permutation(np.unique(people[tested]))[:_PEOPLE]
    tested = np.flatnonzero(np.isin(people, drawn))
    tested = tested[np.isin(activities[tested], activities[fitted] if labels else own.classes_)]
    numbers = np.unique(people, return_inverse=True)[1]
    for device, change in DEVICES.items():
      changed = signals.copy()
      for number in np.unique(numbers[np.r_[fitted, tested]]).tolist():
        changed[numbers == number] = change(signals[numbers == number], number)
      test, model = changed[tested], own
      if labels:
        model = Recognizer(base, method='linear')
        model.fit(changed[fitted], activities[fitted])
      probabilities = model.adapt_probabilities(model.probabilities(test), people[tested])
      if not labels:
        probabilities = kinds.compare_with_walking(own, probabilities, test, people[tested])
        probabilities = model.adapt_probabilities(probabilities, people[tested])
      predicted = model.classes_[probabilities.argmax(axis=1)]
      row = {'kind': kind.name, 'labels': labels, 'device': device}
      row['macro_f1'] = round(kinds.macro_f1(activities[tested], predicted), 4)
      print(*row.values(), sep='\t', flush=True)
      yield row | {'people': len(drawn)}


def _measure_all() -> None:
  with warnings.catch_warnings(action='ignore'):
    study.write(TABLE, _rows())


def block() -> str:
  table = csv_table.read(TABLE)
  wide = table.pivot_table(index=['kind', 'labels'], columns='device', values='macro_f1', sort=False)
  shown = wide.map('{:.3f}'.format).reset_index()
  return markdown.tabulated(shown.astype(str))


if __name__ == '__main__':
  study.run(__name__, _measure_all)
