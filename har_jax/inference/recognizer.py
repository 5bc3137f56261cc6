"""A recognizer for Python programs, with scikit-learn's habits.

>>> import jax, numpy as np
>>> from har_jax import Recognizer, config, files
>>> from har_jax.train.objective import Reconstruct
>>> model = config.Model(patch=32, width=24, mlp_dim=48, blocks=1, decoder_depth=1, heads=2, head=(16,))
>>> drawn = Reconstruct(model).init(jax.random.key(0))  # in earnest: files.load_base(<a folder>)
>>> base = files.make_base(drawn, {'model': knobs.to_json(model)})

Two activities of made-up windows: 128 samples at 50 Hz of acceleration in m/s² and rotation in rad/s.

>>> y = np.array(['still', 'walking'] * 20)
>>> swing = np.where(y == 'walking', 3.0, 0.1)[:, None, None]
>>> X = np.array([0, 0, 9.8, 0, 0, 0]) + swing * np.random.default_rng(0).standard_normal((40, 128, 6))
>>> recognizer = Recognizer(base, rank=4, max_steps=40, batch=16, learning_rate=0.01).fit(X, y)
>>> [str(label) for label in recognizer.predict(X[:4])]
['still', 'walking', 'still', 'walking']
>>> recognizer.predict_proba(X).shape
(40, 2)
"""

import dataclasses
import math
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np
import scipy.special
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from har_jax import config, config_fields, files, storage, variables
from har_jax.data import normalization, splits, validation
from har_jax.errors import UserError
from har_jax.methods import METHODS
from har_jax.train import loop
from har_jax.train.objective import Classify

_EVALUATIONS = 10  # of a fit at most, to show how it goes
_STEPS_BETWEEN = 10  # two num_evals, at least: each takes as long as some steps
_FEWEST = 5  # windows of a class, below which none is kept apart to measure by
_FEWEST_SUBJECTS = 4  # with fewer, windows are kept apart, not people
_DRAWS = 100  # of subjects, until the others show every class
_STILL = (
  1e-5  # rad/s, a deviation below which there was no gyroscope: the noise of one is a hundred times that
)


class Recognizer(ClassifierMixin, BaseEstimator):
  """Adapts a pretrained base to labeled windows, and tells what others show.

  X is [w, 128, 6]: windows of 2.56 s at 50 Hz, acceleration x y z in m/s² with gravity, then rotation x y z in rad/s, not
  normalized. y holds any strings or numbers.

  base: a `files.Base`, or the folder of one; None for the method 'scratch' alone.
  method: full, probe, lora, qlora or scratch; rank and alpha are lora's and qlora's.
  steps, of `batch` windows each, at the peak `learning_rate`; under full, the base's own weights move at half of it.
  rotation: each window of a step is turned, about each axis by an angle of this deviation, in degrees. Some 10 help to recognize
    people whom it never saw, who wear the device otherwise; 0 turns none, and is best for those it learns from.
  validation: a share of the subjects, or of each class's windows, that is kept apart to measure and calibrate by; 0 for none.
    Windows mostly overlap, so give `fit` the subjects where you know them.
  shifts: `predict` looks at each window so many times, moved on by parts of a token; 4 help with people whom it never saw, for four
    times the time. A program that is exported, and a stream, look once.
  verbose: a progress bar.
  """

  def __init__(
    self,
    base=None,
    *,
    method='lora',
    rank=32,
    alpha=64.0,
    max_steps=300,
    learning_rate=1e-3,
    batch=64,
    rotation_std_deg=0.0,
    random_state=0,
    validation_fraction=0.1,
    tta_shifts=1,
    verbose=False,
  ):
    self.base = base
    self.method = method
    self.rank = rank
    self.alpha = alpha
    self.max_steps = max_steps
    self.learning_rate = learning_rate
    self.batch = batch
    self.rotation_std_deg = rotation_std_deg
    self.random_state = random_state
    self.validation_fraction = validation_fraction
    self.tta_shifts = tta_shifts
    self.verbose = verbose

  @classmethod
  def load(cls, place=None, base=None) -> 'Recognizer':
    """A recognizer of one of five things.

    None: the base that comes with the package; a base's folder, or a pretraining's, .../<target>/pretrain: it is to be fitted.
    A folder of `save`, or a run's result file, .../seed<k>.json: it is fitted; `base`, a Base or a folder, stands in where theirs lies elsewhere.
    Raises UserError where there is none of these, or where adapter and base do not belong together.
    """
    if place is None:
      return cls(files.bundled_base())
    path = storage.place(str(place))
    base = _base(base)
    if path.name.endswith('.json'):
      return cls._of(*files.load_run(path, base))
    if not (path / 'adapter.json').exists():
      return cls(files.load_base(path))
    adapter = files.load_adapter(path)
    if base is None and adapter.card['base'] is not None and (path / 'base.json').exists():
      base = files.load_base(path)
    return cls._of(base, adapter)

  @classmethod
  def _of(cls, base: files.Base | None, adapter: files.Adapter) -> 'Recognizer':
    card = adapter.card
    known = {name: card[name] for name in ('method', 'rank', 'alpha')}
    training = card.get('training', {})
    known |= {
      name: training[name]
      for name in (
        'max_steps',
        'learning_rate',
        'batch',
        'rotation_std_deg',
        'random_state',
        'validation_fraction',
        'tta_shifts',
      )
      if name in training
    }
    made = cls(base, **known)
    made._hold(base, adapter)
    made.classes_ = np.array(card['classes'])
    return made

  def adapt(self, X, y, groups=None, **parameters) -> 'Recognizer':
    """A new recognizer, fitted: this one's base and parameters, but for those given, such as method='qlora'."""
    return clone(self).set_params(**parameters).fit(X, y, groups)

  def fit(self, X, y, groups=None, held_out=None) -> 'Recognizer':
    """`subjects` says whose each window is, by any name. Fitting again starts anew.

    `held_out`, True: this window is kept apart to measure by; it stands in for the share that `validation` draws.
    Raises UserError: windows or labels that are not as the class says, fewer than two classes, parameters out of range.
    """
    signals = validation.windows(X)
    classes, labels = validation.labels(y, len(signals))
    subject = validation.groups(groups, len(signals))
    base, method, experiment = self._begin()
    if held_out is None:
      held_out, by = self._hold_out(labels, subject)
    else:
      held_out = validation.held_out(held_out, labels)
      by = 'given' if held_out.any() else ''
    normalizer = normalization.fit(signals[~held_out])
    all_of = {'signal': normalizer(signals), 'label': labels}
    learned = {name: array[~held_out] for name, array in all_of.items()}
    learned['origin'] = normalizer.origins(len(learned['label']))
    # Without any to measure by, those learned from, heeded by nobody: there is one validation, after the last step.
    measured_by = {name: array[held_out] for name, array in all_of.items()} if by else all_of
    objective = Classify(experiment.model, len(classes), experiment.precision)
    head_key, adapter_key = jax.random.split(jax.random.key(int(self.random_state)))
    started = objective.init(head_key) | (base.variables if base is not None and method.pretrained else {})
    adapted = method.adapt(started, experiment, adapter_key)
    statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
    trainable, frozen = variables.split(rest, lambda path: method.trains(path, experiment))
    with tempfile.TemporaryDirectory(prefix='har_jax-') as folder:
      run = loop.Run(
        trainable,
        statistics,
        frozen,
        learned,
        measured_by,
        int(self.random_state),
        folder=pathlib.Path(folder),
        title=f'{method.name}, {len(classes)} classes',
      )
      (end,) = loop.train(
        objective,
        [run],
        training=self._training(validated=bool(by)),
        pretrained=method.pretrained,
        progress=bool(self.verbose),
      )
    last = end.history[-1]
    card = {
      'method': method.name,
      'rank': experiment.lora.rank,
      'alpha': experiment.lora.alpha,
      'targets': list(experiment.lora.targets),
      'model': config_fields.to_json(experiment.model),
      'precision': config_fields.to_json(experiment.precision),
      'classes': classes.tolist(),
      'normalizer': {'mean': normalizer.mean.tolist(), 'deviation': normalizer.deviation.tolist()},
      'metrics': {'validation': {name: last[name] for name in ('macro_f1', 'accuracy')} if by else None},
      # Numbers alone: an adapter is given away, and names of people are nobody's business.
      'split': {
        'by': by or 'none kept apart',
        'windows': {'train': len(learned['label']), 'validation': int(held_out.sum())},
      },
      'training': {
        'max_steps': int(
          self.max_steps
        ),  # a search over parameters gives NumPy's numbers, which JSON knows not
        'learning_rate': float(self.learning_rate),
        'batch': int(self.batch),
        'rotation_std_deg': float(self.rotation_std_deg),
        'random_state': int(self.random_state),
        'validation_fraction': float(self.validation_fraction),
        'tta_shifts': int(self.tta_shifts),
        'step': end.step,
      },
    }
    self._hold(base, files.make_adapter(base, end.variables | frozen, card))
    self.classes_ = classes
    return self

  def predict(self, X) -> np.ndarray:
    """The likeliest label of each window, one of `classes_`."""
    probabilities = self.predict_proba(X)
    return self.classes_[probabilities.argmax(axis=1)]

  def predict_proba(self, X) -> Float[np.ndarray, 'w y']:
    """Of each window a share for each of `classes_`, which add up to one. Overconfident, as all such networks, unless calibrated."""
    check_is_fitted(self)
    if self.tta_shifts < 1:
      raise UserError(f'tta_shifts is {self.tta_shifts!r}; give 1 or more')
    signals = self.prepare(X)
    # With labels that nobody reads: the program is then that of the validations.
    windows = {'signal': signals, 'label': np.zeros(len(signals), np.int32)}
    logits = loop.predict(self.adapter_.objective, self.variables_, windows, tta_shifts=int(self.tta_shifts))
    return scipy.special.softmax(logits.astype(np.float64) / self.adapter_.card['temperature'], axis=1)

  def prepare(self, X) -> Float[np.ndarray, 'w 128 6']:
    """Windows as the model is given them: normalized, without rotation where it was fitted without. Raises UserError as `fit`."""
    check_is_fitted(self)
    signals = self.adapter_.normalizer(validation.windows(X))
    if not self.has_gyro:
      signals[..., config.CHANNELS // 2 :] = 0.0
    return signals

  @property
  def has_gyro(self) -> bool:
    """Whether the windows that it was fitted on held rotation."""
    return bool(self.adapter_.normalizer.deviation[1] > _STILL)

  def save(self, folder, *, with_base=True) -> None:
    """The adapter and, unless its users have it, its base, as files for `load`. Raises UserError where they cannot be written."""
    check_is_fitted(self)
    if with_base and self.base_ is not None and self.adapter_.card['base'] is not None:
      files.save_base(folder, self.base_.variables, self.base_.card)
    files.save_adapter(folder, self.adapter_)

  def _hold(self, base: files.Base | None, adapter: files.Adapter) -> None:
    self.base_, self.adapter_ = base, adapter
    self.variables_ = files.attach(base, adapter)

  def _begin(self) -> tuple[files.Base | None, Any, config.Experiment]:
    if self.method not in METHODS:
      raise UserError(f'unknown method {self.method!r}; one of {", ".join(METHODS)}')
    method, base = METHODS[self.method], _base(self.base)
    if method.pretrained and base is None:
      raise UserError(
        f"{self.method} adapts a pretrained base, and base is None: give a folder of one, or method='scratch'"
      )
    if not 0 <= self.validation_fraction < 1:
      raise UserError(f'validation_fraction is {self.validation_fraction!r}; give a number in [0, 1)')
    if self.max_steps < 1:
      raise UserError(f'max_steps is {self.max_steps!r}; give 1 or more')
    experiment = config.Experiment(
      model=config.Experiment().model if base is None else base.model,
      lora=config.Lora(rank=int(self.rank), alpha=float(self.alpha)),
      precision=config.Precision() if base is None else base.precision,
    )
    return base, method, experiment

  def _training(self, *, validated: bool) -> config.Training:
    return dataclasses.replace(
      config.Experiment().finetune,
      epochs=float(self.max_steps),  # no fewer steps than asked for, however few the windows
      max_steps=int(self.max_steps),
      batch=int(self.batch),
      learning_rate=float(self.learning_rate),
      encoder_learning_rate=float(self.learning_rate) / 2,
      rotation_std_deg=float(self.rotation_std_deg),
      num_evals=min(_EVALUATIONS, math.ceil(self.max_steps / _STEPS_BETWEEN)) if validated else 1,
      patience=0,
    )

  def _hold_out(self, labels: Int[np.ndarray, 'w'], subject: Any) -> tuple[np.ndarray, str]:
    """True: kept apart to measure by; and by what, empty where none is."""
    apart = np.zeros(len(labels), bool)
    if not self.validation_fraction or np.bincount(labels).min() < _FEWEST:
      return apart, ''
    if subject is not None and len(np.unique(subject)) >= _FEWEST_SUBJECTS:
      for draw in range(_DRAWS):
        held_out = splits.hold_out(subject, self.validation_fraction, seed=int(self.random_state) + draw)
        if len(np.unique(labels[~held_out])) == len(np.unique(labels)):
          return held_out, 'subject'
      # A class that too few people show: better that windows are kept apart than that it is not learned.
    rng = np.random.default_rng(self.random_state)
    for label in np.unique(labels):
      places = rng.permutation(np.flatnonzero(labels == label))
      # One at least, and one at least is left to learn from.
      apart[places[: min(max(1, round(self.validation_fraction * len(places))), len(places) - 1)]] = True
    return apart, 'window'

  def __sklearn_tags__(self):
    tags = super().__sklearn_tags__()
    tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
    return tags


def _base(base: Any) -> files.Base | None:
  return base if base is None or isinstance(base, files.Base) else files.load_base(base)
