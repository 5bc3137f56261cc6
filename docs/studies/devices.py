"""Measure what other devices cost, and what calibration gives, and fill docs/results/checks.md.

python docs/studies/devices.py --windows=windows
python docs/studies/devices.py --nomeasure

Each person has a device of their own: an accelerometer at the 95 % corner of the law of 41 phones and watches
of HHAR, no gyroscope, or 15 rows a second. Windows, people and
labels are those of `kinds.py`. Takes five minutes.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import kinds
import numpy as np
import study
from jaxtyping import Float
from scipy.signal import resample_poly

from har_jax import Recognizer
from har_jax.report import csv_table, markdown
from har_jax.signal import still

FLAGS = kinds.FLAGS
TABLE, PAGE = study.places('devices')[0], study.places('checks')[1]
KINDS = kinds.WAIST, kinds.POCKET
_LABELS, _SEEDS, _PEOPLE = 10, (0, 1, 2), 8
_BASE, _MODELS = 'base, no labels', ('side', 'forest')
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


def _at_15_hz(signals: _Person) -> _Person:
  """Signals of 50 Hz as a device of 15 Hz samples them, and as `har_jax.signal.cutting` resamples them."""
  times = np.arange(0, signals.shape[1] - 1, 50 / 15)
  before, part = times.astype(int), (times % 1)[None, :, None]
  sampled = signals[:, before] * (1 - part) + signals[:, before + 1] * part
  mean = sampled.mean(axis=1, keepdims=True)
  resampled = resample_poly(sampled - mean, 10, 3, axis=1, padtype='line') + mean
  return resampled[:, : signals.shape[1]].astype(np.float32)


DEVICES: dict[str, Callable[[_Person, int], _Person]] = {
  'as recorded': lambda signals, _: signals,
  'accelerometer at the corner': _corner,
  'the same, calibrated': _calibrated,
  'no gyroscope': lambda signals, _: signals * np.array([1, 1, 1, 0, 0, 0], np.float32),
  '15 Hz': lambda signals, _: _at_15_hz(signals),
  '15 Hz, samples repeated': lambda signals, _: kinds.repeat_samples(signals, 15.0),
}


def _rows() -> Iterator[dict[str, Any]]:
  for kind, seed in itertools.product(KINDS, _SEEDS):
    signals, activities, people = kinds.load(kind)
    fitted, tested = kinds.draw(activities, people, _LABELS, seed)
    drawn = np.random.default_rng(seed).permutation(np.unique(people[tested]))[:_PEOPLE]
    tested = np.flatnonzero(np.isin(people, drawn))
    numbers = np.unique(people, return_inverse=True)[1]
    for device, change in DEVICES.items():
      changed = signals.copy()
      for number in np.unique(numbers[np.r_[fitted, tested]]).tolist():
        changed[numbers == number] = change(signals[numbers == number], number)
      for name in (_BASE, *_MODELS):
        model = Recognizer.load() if name == _BASE else Recognizer(method=name, random_state=seed)
        if name != _BASE:
          model.fit(changed[fitted], activities[fitted])
        own = tested[np.isin(activities[tested], model.classes_)]
        predicted = _answers(model, changed[own], people[own])
        row = {'kind': kind.name, 'model': name, 'device': device, 'seed': seed}
        row['macro_f1'] = round(kinds.macro_f1(activities[own], predicted), 4)
        print(*row.values(), sep='\t', flush=True)
        yield row | {'people': len(drawn)}


def _answers(model: Recognizer, signals: _Person, people: np.ndarray) -> np.ndarray:
  """Activities; all windows of a person are one recording."""
  probabilities = model.adapt_probabilities(model.probabilities(signals), people)
  if model.recording_head_ is not None:
    probabilities = kinds.compare_with_walking(model, probabilities, signals, people)
    probabilities = model.adapt_probabilities(probabilities, people)
  return model.classes_[probabilities.argmax(axis=1)]


def _measure_all() -> None:
  with warnings.catch_warnings(action='ignore'):
    study.write(TABLE, _rows())


def block() -> str:
  table = csv_table.read(TABLE)
  wide = table.pivot_table(index=['kind', 'model'], columns='device', values='macro_f1', sort=False)
  shown = wide.map('{:.3f}'.format).reset_index()
  return markdown.tabulated(shown.astype(str))


if __name__ == '__main__':
  study.run(__name__, _measure_all)
