"""The recognizer: a scikit-learn classifier of windows, adapted from a pretrained base.

w windows, n samples, y classes.
"""

import os
import warnings
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from har_jax import config, files, storage
from har_jax.errors import UserError, shorten
from har_jax.files import baseline_adapter
from har_jax.recognizer import (
  adapter_fit,
  fitting,
  frame_check,
  loading,
  parameters,
  prediction_sets,
  recording_adaptation,
  recording_head,
  validation,
)
from har_jax.recognizer.validation import Estimator
from har_jax.signal.summary import SignalSummary, summarize
from har_jax.variables import Variables

if TYPE_CHECKING:
  from har_jax.recognizer import budget

_FITTED = ('adapter_', 'base_', 'classes_', 'plan_', 'recording_head_', 'variables_')


class Recognizer(parameters.Parameters, Estimator):
  """Adapts a pretrained base to labeled windows and classifies new windows.

  Until it is fitted, it recognizes what the head of its base knows: the bundled one, common activities.

  Windows are arrays [w, n, 6] of the base's length and rate, not normalized: 128 samples at 50 Hz for the
  bundled base, and without one. Their channels are acceleration x y z in
  m/s² with gravity, then angular velocity x y z in rad/s. Labels are strings or numbers.

  Parameters
  ----------
  base : files.Base or str or path-like, default None
    Pretrained encoder, or the folder of one. None: the bundled one, and none for the method 'scratch'.
  method : str, default 'auto'
    Fine-tuning method, a name in `har_jax.methods.METHODS`, such as 'side', 'linear', 'lora' or 'qlora'; or
    a baseline, 'forest' or 'rocket', which uses `random_state` and `validation_fraction` alone.
    'auto': 'side', or another one where the three limits below ask for it.
    `max_steps` is then an upper limit. Whatever the method, the head is linear and fitted last; it also takes
    window statistics.
  max_memory_mb, max_minutes, max_adapter_kb : float or None, default None
    Limits for 'auto'. None: no limit. Megabytes are those of a training step: weights, optimizer,
    temporaries. Minutes are of training, compilation and trials; if these use them up, a
    head is fitted all the same, where that alone fits. Kilobytes are of the adapter's arrays.
  rank : int, default 8
    Rank of the adapters of lora and qlora. 'auto' halves it until the file fits.
  alpha : float, default 16.0
    The adapters are scaled by alpha / rank. This ratio also holds for a rank that 'auto' halves.
  max_steps : int, default 300
    Training steps.
  learning_rate : float, default 1e-3
    Peak learning rate. A pretrained encoder's own weights, if they train, have half of it.
  batch : int, default 32
    Windows per step.
  rotation_std_deg : float, default 10.0
    Rotation augmentation: standard deviation of the angle about each axis, in degrees. Unseen subjects wear
    the device differently; 0 is best where training and prediction have one subject and one day.
  random_state : int, default 0
    Seed of all random draws.
  validation_fraction : float in [0, 1), default 0.0
    Fraction of the subjects, or without `groups` of each class's windows, to hold out for validation. They
    are then not trained on. Windows that overlap leak between the parts, so pass the subjects as `groups` if
    they are known.
  tta_shifts : int, default 1
    Test-time augmentation: `predict` averages the logits over so many circular shifts. Exports and streams
    do not use it.
  verbose : bool, default False
    Show a progress bar.

  Attributes
  ----------
  classes_ : ndarray
    The sorted labels.
  base_ : files.Base or None
    The base that was adapted.
  adapter_ : files.Adapter
    The trained weights and their card. A baseline's has some 2000 of its training windows at most.
  variables_ : dict
    The adapted model's variables, 'collection/module/leaf' → array.
  recording_head_ : recognizer.recording_head.RecordingHead or None
    A base's head for whole recordings, with which `har-jax predict` answers; None after a fit.
  plan_ : recognizer.budget.Plan or None
    What 'auto' has chosen, and its predicted and actual cost.

  Examples
  --------
  >>> import numpy as np
  >>> from har_jax import Recognizer
  >>> y = np.tile(['still', 'walking'], 20)
  >>> std = np.where(y == 'walking', 3.0, 0.1)[:, None, None]
  >>> X = np.array([0, 0, 9.8, 0, 0, 0]) + std * np.random.default_rng(0).standard_normal((40, 128, 6))
  >>> recognizer = Recognizer.load().adapt(X, y, max_steps=10)
  >>> recognizer.predict(X[:4]).tolist()
  ['still', 'walking', 'still', 'walking']
  >>> recognizer.predict_proba(X).shape
  (40, 2)
  """

  adapter_: files.Adapter
  base_: files.Base | None
  classes_: np.ndarray
  plan_: 'budget.Plan | None'
  recording_head_: recording_head.RecordingHead | None
  variables_: Variables

  @classmethod
  def load(cls, path: str | os.PathLike[str] | None = None, base: parameters.Base = None) -> 'Recognizer':
    """Loads a recognizer, fitted or not, by what `path` is.

    None: the base that comes with the package. It recognizes its own `classes_` until it is fitted.
    The folder of a base or of a pretraining stage: the same if it has a head, else not fitted.
    The folder that `save` wrote, or the result file of a run, .../seed<k>.json: fitted.
    `base`, a Base or a folder, replaces the base of a fitted one, for example if it was saved elsewhere.
    An adapter without its base is put on the bundled one, if it needs that one.
    Raises UserError if nothing of these is there, or if adapter and base do not match.
    """
    return cls.from_stored(loading.load(path, base))

  @classmethod
  def from_stored(cls, stored: loading.Stored) -> 'Recognizer':
    recognizer = cls(stored.base, **stored.options)
    recognizer._answer_with(stored)
    return recognizer

  if not TYPE_CHECKING:  # a type checker would take any name for an attribute

    def __getattr__(self, name: str) -> Any:
      """Answers with the base's head, if it has one, until `fit`. Else raises AttributeError."""
      if name in _FITTED and 'adapter_' not in self.__dict__ and (base := self.load_base()) is not None:
        path = files.BUNDLED if self.base is None else self.base
        folder = None if isinstance(path, files.Base) else storage.place(path)
        self._answer_with(loading.with_own_head(base, folder))
      try:
        return self.__dict__[name]
      except KeyError:
        raise AttributeError(
          f'{type(self).__name__} has no attribute {name!r}', name=name, obj=self
        ) from None

  def set_params(  # type: ignore[override]
    self, **changed: Unpack[parameters.ParameterChanges]
  ) -> 'Recognizer':
    """Changes parameters and returns itself; `fit` uses them. Raises ValueError where one is unknown."""
    return super().set_params(**changed)

  def adapt(
    self,
    X: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    **changed: Unpack[parameters.ParameterChanges],
  ) -> 'Recognizer':
    """A new recognizer, fitted, with this one's base and parameters except for those in `changed`."""
    return type(self)(**self.get_params()).set_params(**changed).fit(X, y, groups)

  def fit(
    self,
    X: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    held_out: ArrayLike | None = None,
  ) -> 'Recognizer':
    """Trains from the base on; fitting again starts anew.

    `groups`: the subject of each window, any names or numbers.
    `held_out`, bool per window, True: for validation only. It replaces `validation_fraction`.
    Raises UserError on windows or labels of another form, fewer than two classes, parameters out of range.
    """
    base, experiment = parameters.check(self)
    windowing = experiment.model.windowing
    signals = validation.check_windows(X, windowing)
    classes, labels = validation.check_labels(y, len(signals))
    frame_check.warn(frame_check.fit_warnings(signals, windowing.rate_hz))
    parts = fitting.divide(self, signals, labels, groups, held_out, experiment.protocol.normalize)
    summary = summarize(signals, classes[labels].tolist(), windowing.rate_hz)
    entries = {'classes': classes.tolist(), 'signals': summary}
    adapter, plan = adapter_fit.fit(self, base, experiment, parts, entries)
    self._set_adapter(base, adapter)
    self.plan_ = plan
    return self

  def refit(self, X: ArrayLike, y: ArrayLike) -> 'Recognizer':
    """Fits the head, or the baseline, anew to these windows, and nothing else; metrics and calibration stay.

    After a fit with `held_out` and a calibration, give all labeled windows: those held out are then not lost.
    Raises UserError as `fit`, and unless the labels are those of `classes_`.
    """
    self.check_fitted()
    signals = self.prepare(X)
    classes, labels = validation.check_labels(y, len(signals))
    if classes.tolist() != self.classes_.tolist():
      given, fitted = (shorten(', '.join(map(repr, names.tolist()))) for names in (classes, self.classes_))
      raise UserError(f'the labels are {given}; give windows of each of the classes of the fit: {fitted}')
    base, plan, windows = self.base_, self.plan_, {'signal': signals, 'label': labels}
    self._set_adapter(base, adapter_fit.refit(base, self.adapter_, self.variables_, windows))
    self.plan_ = plan
    return self

  def predict(self, X: ArrayLike) -> np.ndarray:
    """The most probable of `classes_` for each window.

    Warns where frame or units are not those of the training windows (`frame_check.FrameWarning`).
    """
    indices = self.predict_proba(X).argmax(axis=1)
    return self.classes_[indices]

  def predict_recordings(self, X: ArrayLike, recordings: ArrayLike | None = None) -> np.ndarray:
    """Predicts the windows of each recording together, adapted to it (`recording_adaptation`).

    `recordings`: the recording of each window, any names or numbers; None: all are of one. A recording is of
    one person and device, and of several activities. Its answers depend on all of its windows.
    """
    probabilities = self.predict_proba(X)
    of_windows = np.zeros(len(probabilities)) if recordings is None else recordings
    of_windows = validation.one_per_window(of_windows, len(probabilities), 'recording')
    return self.classes_[self.adapt_probabilities(probabilities, of_windows).argmax(axis=1)]

  def adapt_probabilities(
    self, probabilities: Float[np.ndarray, 'w y'], recordings: np.ndarray
  ) -> Float[np.ndarray, 'w y']:
    """Probabilities of `predict_proba`, adapted to the recording of each window (`recording_adaptation`)."""
    power = self.temperature / self.adapter_.card.adaptation_temperature
    return recording_adaptation.adapt_to_recordings(probabilities, self.class_logits, recordings, power)

  def predict_set(
    self, X: ArrayLike, coverage: float | int = prediction_sets.COVERAGE
  ) -> Bool[np.ndarray, 'w y']:
    """True for the classes that each window may be of (`prediction_sets`).

    The true class is among them with this probability, if the windows are like those that
    `calibration.calibrate` had. Warns with a `SetWarning` if these were too few; then all is True.
    Warns as `predict`. Raises UserError unless coverage is between 0 and 1.
    """
    self.check_fitted()
    if (sentence := prediction_sets.shortage(self.set_scores, coverage)) is not None:
      warnings.warn(sentence, prediction_sets.SetWarning, stacklevel=2)
    return prediction_sets.make_sets(self.predict_proba(X), self.set_scores, coverage)

  def predict_proba(self, X: ArrayLike) -> Float[np.ndarray, 'w y']:
    """Probabilities of `classes_`, at a temperature that the number of labels tells until it is calibrated.

    `calibration` explains it. Warns as `predict`.
    """
    probabilities, rate_hz = self.probabilities(X), self.windowing.rate_hz
    signals = validation.check_windows(X, self.windowing)
    doubts = frame_check.unit_warnings(signals, rate_hz)
    frame_check.warn(doubts or frame_check.check(self.signals, signals, 'as_is', rate_hz).warnings)
    return probabilities

  def probabilities(self, X: ArrayLike) -> Float[np.ndarray, 'w y']:
    """`predict_proba` without its comparison of frames, for windows of a recording that has been compared."""
    self.check_fitted()
    if self.adapter_.baseline is not None:
      return self._softmax(baseline_adapter.logits(self.adapter_.baseline, self.prepare(X)))
    return self.answer_with_inputs(X)[0]

  def answer_with_inputs(self, X: ArrayLike) -> tuple[Float[np.ndarray, 'w y'], Float[np.ndarray, 'w f']]:
    """`probabilities`, and the inputs of the output layer, in one pass. Not for a baseline."""
    parameters.check_shifts(self.tta_shifts)
    objective, shifts = self.adapter_.objective, int(self.tta_shifts)
    outputs = fitting.predict(objective.with_hidden, self.variables_, self.prepare(X), shifts)
    logits = outputs[:, -objective.classes :].astype(np.float64)
    return self._softmax(logits), objective.hidden(outputs)

  def _softmax(self, logits: Float[np.ndarray, 'w y']) -> Float[np.ndarray, 'w y']:
    from scipy import special  # late, as all that recognizing may do without

    return special.softmax(logits / self.adapter_.card.temperature, axis=1)

  def prepare(self, X: ArrayLike) -> Float[np.ndarray, 'w n 6']:
    """The model's input: normalized; without angular velocity if training had none. Raises as `fit`."""
    self.check_fitted()
    return self.adapter_.normalizer(validation.check_windows(X, self.windowing))

  @property
  def temperature(self) -> float:
    """Temperature of `predict_proba`."""
    return self.adapter_.card.temperature

  @property
  def set_scores(self) -> list[float]:
    """Scores of prediction sets; none if it was not calibrated, or corrected since."""
    return self.adapter_.card.set_scores or []

  @property
  def unknown_scores(self) -> list[float]:
    """Scores of held-out windows of known activities; none if it was not calibrated, or corrected since."""
    return self.adapter_.card.unknown_scores or []

  @property
  def class_logits(self) -> Float[np.ndarray, 'y y'] | None:
    """Mean logits of the training windows of each class, as windows adapt to them; None if unknown."""
    card = self.adapter_.card
    return None if card.class_logits is None else np.array(card.class_logits) / card.adaptation_temperature

  @property
  def signals(self) -> SignalSummary | None:
    """Summary of the training windows, or of the base's before it is fitted; None if unknown."""
    source = self.adapter_ if hasattr(self, 'adapter_') else self.load_base()
    return None if source is None else source.card.signals

  @property
  def windowing(self) -> config.Windowing:
    """Length and rate of the windows that the model takes: those of its base."""
    source = self.adapter_.objective if hasattr(self, 'adapter_') else self.load_base()
    return (source or config.Experiment()).model.windowing

  @property
  def has_gyro(self) -> bool:
    """Returns whether the training windows had angular velocity."""
    return self.adapter_.normalizer.has_gyro

  def save(self, folder: str | os.PathLike[str], *, with_base: bool = True, overwrite: bool = False) -> None:
    """Writes the adapter and, by default, its base: both or none.

    Raises UserError if they cannot be written, and if the folder holds files, unless `overwrite`.
    """
    self.check_fitted()
    place = storage.place(folder)
    storage.refuse_used(place, overwrite=overwrite)
    is_needed = with_base and self.adapter_.card.base is not None
    files.save_adapter(place, self.adapter_, self.base_ if is_needed else None)

  def _answer_with(self, stored: loading.Stored) -> None:
    if stored.adapter is not None:
      self._set_adapter(stored.base, stored.adapter)
      self.recording_head_ = stored.recording_head

  def _set_adapter(self, base: files.Base | None, adapter: files.Adapter) -> None:
    self.base_, self.adapter_ = base, adapter
    self.plan_ = self.recording_head_ = None
    self.variables_ = files.attach(base, adapter)
    self.classes_ = np.array(adapter.card.classes)
