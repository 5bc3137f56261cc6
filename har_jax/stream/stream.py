"""Recognition of a live stream: samples in as they arrive, a prediction per hop out.

n samples, w windows, y classes.
"""

import collections
import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from har_jax import config_fields
from har_jax.config import CHANNELS
from har_jax.errors import UserError
from har_jax.files import baseline_adapter
from har_jax.recognizer import distribution_shift, frame_check, validation
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recognizer.recording_adaptation import adapt_to_recording
from har_jax.signal import physics
from har_jax.signal.cutting import MAX_GAP_S, resample
from har_jax.signal.recording import Recording, Samples
from har_jax.stream import head_update
from har_jax.stream.corrections import CorrectedFilter, Correction
from har_jax.stream.refusals import Refusals
from har_jax.timeline.bouts import MEAN_BOUT_S, UNKNOWN, Chain
from har_jax.train.step import compiled_predict

# Before a window, the resampling filter needs so long to settle: half of its length is so many samples.
_SETTLING_S, _SETTLING_SAMPLES = 0.5, 10
_SLACK_S = 1e-6
_LATEST_S = 1e11  # in milliseconds since 1970, all times after 1973 are beyond
_SLACK_SAMPLES = 1e-3
_CORRECTED_S = 5.0
_LIMITS = np.repeat([physics.MAX_ACC_M_S2, physics.MAX_GYRO_RAD_S], 3)
_ADAPTED_TO = 400  # windows: some nine minutes, and a millisecond for each prediction
_CHECKED_AT = (frame_check.FEWEST_WINDOWS, 80, 320)  # windows, that overlap by half at most


class Prediction(NamedTuple):
  """Prediction for the window that starts at `time_s`.

  `confidence`: posterior of the activity, from this window and those before it without a gap; of `unknown`
  that of the most probable activity.
  """

  time_s: float
  activity: str
  confidence: float


class Stream:
  """Recognizes each window as soon as its last sample arrives. Keeps half a second more than a window.

  Samples are as a Recognizer's: acceleration x y z in m/s² with gravity, angular velocity x y z in rad/s.
  At the model's rate a window is the samples themselves. `signal.cutting` resamples others, even or uneven.
  After a gap of more than 0.2 s a new window starts, and smoothing begins anew.
  Until the first correction, probabilities are adapted to the last minutes, as `har-jax predict` adapts
  them to a whole recording.
  `correct` takes a user's answer and changes the output layer for all later windows; `undo` takes it back.
  Compiles its program on construction.
  """

  def __init__(
    self,
    recognizer: Recognizer,
    *,
    hop_s: float | int | None = None,
    mean_bout_s: float | int = MEAN_BOUT_S,
    refusal_rate: float | int = 0.0,
    frame: str = 'auto',
  ):
    """`hop_s`: from one window to the next, rounded to samples; None: half a window.

    `mean_bout_s`: mean time between changes of activity, for a hidden Markov model over windows. A prediction
    comes as early with it as without. A single deviating window is outvoted, unless its probability is high;
    so a change may be predicted some windows late. 0: each window alone, and changes at once.
    `refusal_rate`: predict `unknown` where windows are unlike all activities of the adapter, until the first
    correction. Of windows of these activities, this fraction, such as 0.05, is refused, too; 0: none.
    `frame`: as in `frame_check.check`, which sees the windows so far after half a minute and twice later.
    What it corrects counts from then on, with a `frame_check.FrameWarning`; `push` raises its UserError.
    Raises UserError if hop_s is less than a sample, mean_bout_s negative, or refusal_rate not a fraction that
    the adapter's calibration allows.
    """
    rule = 'give a Recognizer, such as Recognizer.load(folder)'
    config_fields.check_value('recognizer', recognizer, rule, kind=Recognizer)
    recognizer.check_fitted()
    self._windowing = windowing = recognizer.windowing
    rate_hz = windowing.rate_hz
    hop_s = windowing.step_s if hop_s is None else hop_s
    rule = f'give {1 / rate_hz:g} s or more'
    config_fields.check_value('hop_s', hop_s, rule, lambda value: value * rate_hz >= 1 - _SLACK_SAMPLES)
    self._settling_s = max(_SETTLING_S, _SETTLING_SAMPLES / rate_hz)
    self._recognizer = recognizer
    self._hop_s = round(hop_s * rate_hz) / rate_hz
    objective = recognizer.adapter_.objective
    chain = Chain(mean_bout_s, self._hop_s, windowing.seconds)
    self._refusals = None if refusal_rate == 0 else Refusals(recognizer, refusal_rate)
    self._filter = CorrectedFilter(chain, objective.hidden_width + 1, objective.classes)
    self._frame = frame
    blank = np.zeros((windowing.samples, CHANNELS), np.float32)
    self._finding = frame_check.check(recognizer.signals, blank[None][:0], frame, rate_hz)
    # Of windows that do not overlap by more than half: as pushed, what the output layer has of them, and the
    # last one's start.
    self._seen: list[np.ndarray] = []
    self._logits: collections.deque[np.ndarray] = collections.deque(maxlen=_ADAPTED_TO)
    self._inputs: collections.deque[np.ndarray] = collections.deque(maxlen=_ADAPTED_TO)  # of their layer
    self._apart_s = -math.inf
    self._program = compiled_predict(objective.with_hidden)
    self._variables = jax.device_put(recognizer.variables_)
    self._time_s, self._values = np.zeros(0), np.zeros((0, CHANNELS), np.float32)  # without a gap
    self._has_warned = False  # of samples that no motion gives
    self._due_s = 0.0  # the next window starts then, or less than a sample later
    self._now_s = 0.0  # time of the next sample if it comes without one
    self._recognize(blank)

  def push(
    self, samples: ArrayLike, time_s: ArrayLike | None = None, *, rate_hz: float | int | None = None
  ) -> list[Prediction]:
    """Takes samples [n, 6], any number of them, and returns the predictions that are due, in order.

    `time_s` [n]: time of each sample, on any clock. Default: at `rate_hz`, or the model's
    rate, starting at 0 in the first call.
    Samples that are not finite, or that no motion gives (`signal.physics`), count as missing. The first of
    the latter is a `frame_check.FrameWarning`. Raises UserError on other shapes and on times that decrease.
    """
    rate_hz = self._windowing.rate_hz if rate_hz is None else rate_hz
    values, times_s = self._check_samples(samples, time_s, rate_hz)
    is_measured = self._find_measured(values)
    if not is_measured.any():
      return []
    was_empty = not len(self._time_s)
    self._time_s = np.r_[self._time_s, times_s[is_measured]]
    self._values = np.concatenate([self._values, values[is_measured]])
    size = len(self._time_s)
    gaps = np.flatnonzero(np.diff(self._time_s) > MAX_GAP_S)
    bounds = [0, *(gaps + 1).tolist(), size]
    predictions: list[Prediction] = []
    for index, (first, stop) in enumerate(itertools.pairwise(bounds)):
      if index or was_empty:
        self._due_s = float(self._time_s[first])
        self._filter.restart()
        if self._refusals is not None:
          self._refusals.restart()
      predictions += self._recognize_due(self._time_s[first:stop], self._values[first:stop])
    needed = int(np.searchsorted(self._time_s, self._due_s - self._settling_s - _SLACK_S))
    keep = min(max(needed, bounds[-2]), size - 1)  # always the last sample, to detect a gap after it
    self._time_s, self._values = self._time_s[keep:].copy(), self._values[keep:].copy()
    return predictions

  def correct(self, activity: Any, *, seconds: float | int | None = None, new: bool = False) -> None:
    """The user says that the last `seconds`, up to the end of the latest window, were this activity.

    Fits an addition to the output layer to all corrections, in milliseconds. Other windows of this stream are
    to keep their answers, except for those of the `seconds`, or of half a minute if that is longer. Of more
    than a minute, the last minute is learned. The next prediction starts from this activity. Features of
    windows are kept in memory only. The last 32 corrections count.
    `seconds`: None: 5, or more where a window is so long that hardly one would be within 5 s.
    `new`: the activity may be one that the recognizer does not have. It is then one of `activities`.
    Raises UserError if the activity is not one of them without `new`, or is no name. Also if there is no
    window yet, for seconds less than the length of a window, and if a baseline answers.
    """
    self._recognizer.adapter_.refuse_baseline()
    names = self.activities
    if str(activity) not in names:
      if not new:
        raise UserError(
          f'{activity!r} is not a class of the recognizer; it has {", ".join(names)}. Pass new=True to add it'
        )
      if not (isinstance(activity, str) and activity.strip()):
        raise UserError(f'{activity!r} cannot be a new class; give its name')
      if self._recognizer.classes_.dtype.kind != 'U':  # NumPy would make texts of them all
        raise UserError(f'{activity!r} cannot be a new class: the others are numbers, {", ".join(names)}')
      names.append(activity)
    label = names.index(str(activity))
    if seconds is None:
      seconds = max(_CORRECTED_S, math.ceil(1.5 * self._windowing.seconds))  # as on the phone's page
    self._filter.correct(label, names[label], seconds)

  @property
  def activities(self) -> list[str]:
    """Activities of predictions: the recognizer's classes, and new ones of corrections."""
    return [*map(str, self._recognizer.classes_), *self._filter.new]

  def undo(self) -> Correction:
    """Takes the last correction back, as if it had not been made. Raises UserError if none is left."""
    return self._filter.undo()

  @property
  def distribution_shift(self) -> float | None:
    """The distance of the last windows, some nine minutes, from the training windows of the same activities.

    A value above 1 is that of a device, place or person that the adapter does not know
    (`recognizer.distribution_shift`). None before thirty windows, and where it cannot be measured.
    """
    adapter, class_logits = self._recognizer.adapter_, self._recognizer.class_logits
    if adapter.card.class_spread is None or class_logits is None or not self._logits:
      return None
    answers = self._adapted(self._logits, class_logits)
    return distribution_shift.measure(adapter, np.stack(self._inputs), answers, np.zeros(len(answers)))

  @property
  def corrections(self) -> list[Correction]:
    """Corrections that count, in order of time: at most the last 32."""
    return self._filter.corrections

  def to_recognizer(self) -> Recognizer:
    """A recognizer with the corrections so far in its adapter's head, to save, to export, or to stream with.

    The card counts them. Nothing else of the stream is in it: no window, no time.
    """
    count = self._recognizer.adapter_.card.corrections + len(self.corrections)
    # Metrics of the layer before corrections do not hold for this one.
    entries = {'corrections': count, 'metrics': {'validation': None}}
    return head_update.add(self._recognizer, self._filter.added, self._filter.new, **entries)

  def _find_measured(self, values: Float[np.ndarray, 'n 6']) -> Bool[np.ndarray, 'n']:
    """True: a motion may give the sample. As in a recording that is read, others are left out."""
    is_possible = (np.abs(values) <= _LIMITS).all(axis=1)  # and no NaN
    is_impossible = np.isfinite(values).all(axis=1) & ~is_possible
    if is_impossible.any() and not self._has_warned:
      self._has_warned = True
      warnings.warn(
        f'Samples {physics.RULE} count as missing: acceleration is in m/s², angular velocity in rad/s.',
        frame_check.FrameWarning,
        stacklevel=3,
      )
    return is_possible

  def _check_samples(self, samples, time_s, rate_hz: float | int) -> tuple[np.ndarray, np.ndarray]:
    expected = f'give [n, {CHANNELS}]: acceleration x y z in m/s², angular velocity x y z in rad/s'
    if hasattr(samples, 'columns'):  # of a table, whose order is any
      raise UserError(f'the samples are a table, without an order of columns; {expected}, as of .to_numpy()')
    values = validation.as_array(samples, f'the samples are of different lengths; {expected}')
    if values.ndim != 2 or values.shape[1] != CHANNELS or values.dtype.kind not in 'fiu':
      raise UserError(f'the samples are {list(values.shape)} of {values.dtype.name}; {expected}')
    config_fields.check_value('rate_hz', rate_hz, 'it must be positive, such as 50', lambda value: value > 0)
    if time_s is None:
      times_s = self._now_s + np.arange(len(values)) / rate_hz
    else:
      times_s = validation.as_array(time_s, 'time_s is a list of lists; give a finite time each')
      is_number = times_s.dtype.kind in 'fiu'
      if times_s.shape != (len(values),) or not (is_number and np.isfinite(times_s).all()):
        raise UserError(f'time_s is {list(times_s.shape)} for {len(values)} samples; give a finite time each')
    times_s = times_s.astype(np.float64)
    if len(times_s):
      if (np.diff(np.r_[self._time_s[-1:], times_s]) < 0).any():
        raise UserError('time_s decreases; push samples in order of time')
      is_apart = len(times_s) > 2 and np.diff(times_s).min() > MAX_GAP_S
      if is_apart or times_s[-1] > _LATEST_S:  # no window would ever be without a gap
        raise UserError(f'all samples are over {MAX_GAP_S} s apart: is time_s in seconds, and rate_hz right?')
      self._now_s = float(times_s[-1]) + 1 / rate_hz
    return values.astype(np.float32), times_s

  def _recognize_due(
    self, time_s: Float[np.ndarray, 'n'], values: Float[np.ndarray, 'n 6']
  ) -> list[Prediction]:
    predictions: list[Prediction] = []
    samples, rate_hz = self._windowing.samples, self._windowing.rate_hz
    while True:
      first = int(np.searchsorted(time_s, self._due_s - self._settling_s - _SLACK_S))
      if first == len(time_s):
        return predictions
      # The window starts on the grid that resampling makes from `first`: at its rate, on a sample.
      offset = max(math.ceil((self._due_s - time_s[first]) * rate_hz - _SLACK_SAMPLES), 0)
      start_s = float(time_s[first]) + offset / rate_hz
      last_s = start_s + (samples - 1) / rate_hz - _SLACK_S
      if time_s[-1] < last_s:
        return predictions
      stop = int(np.searchsorted(time_s, last_s)) + 1
      part_s, part = time_s[first:stop], values[first:stop]
      recording = Recording('', '', Samples(part_s, part[:, :3]), Samples(part_s, part[:, 3:]), ())
      (piece,) = resample(recording, collections.Counter(), self._windowing)
      window = piece.signal[offset : offset + samples]
      # By when they are due: with uneven times, a window may start a sample late, and the next one does not.
      is_apart = self._due_s >= self._apart_s + self._windowing.step_s - _SLACK_S
      if is_apart:
        self._apart_s = self._due_s
        self._check_frame(window)
      hidden, logits = self._recognize(self._finding(window))
      if is_apart:
        self._inputs.append(hidden[:-1])
      # The current temperature: a later calibration takes effect.
      temperature = self._recognizer.adapter_.card.temperature
      adapted = self._adapt(logits, temperature, is_apart=is_apart)
      posterior = self._filter.update(start_s, hidden, logits, temperature, adapted)
      best = int(posterior.argmax())
      is_refused = self._refusals is not None and self._refusals.is_refused
      # Refusals were calibrated for the output layer as loaded.
      activity = UNKNOWN if is_refused and not self.corrections else self.activities[best]
      predictions.append(Prediction(start_s, activity, float(posterior[best])))
      self._due_s += self._hop_s

  def _adapt(
    self, logits: Float[np.ndarray, 'y'], temperature: float, *, is_apart: bool
  ) -> Float[np.ndarray, 'y']:
    """Logits of the next window, adapted to those so far that overlap by half at most."""
    class_logits = self._recognizer.class_logits
    if class_logits is None:
      return logits
    adapted = self._adapted([*self._logits, logits], class_logits)
    if is_apart:
      self._logits.append(logits)
      if self._refusals is not None:
        self._refusals.add(self._inputs, adapted[-len(self._inputs) :])
    return temperature * np.log(np.maximum(adapted[-1], np.finfo(float).tiny))

  def _adapted(
    self, logits: Sequence[Float[np.ndarray, 'y']], class_logits: Float[np.ndarray, 'y y']
  ) -> Float[np.ndarray, 'w y']:
    """Probabilities of windows, adapted to them all."""
    from scipy import special

    scaled = np.stack(logits).astype(float) / self._recognizer.adapter_.card.adaptation_temperature
    return adapt_to_recording(special.softmax(scaled, axis=1), class_logits)

  def _check_frame(self, window: Float[np.ndarray, 'n 6']) -> None:
    """Checks the frame of all windows so far at some of their numbers, the last time for good."""
    if len(self._seen) == _CHECKED_AT[-1]:
      return
    self._seen.append(window)
    if len(self._seen) not in _CHECKED_AT:
      return
    said = {*self._finding.notes, *self._finding.warnings}
    expected, rate_hz = self._recognizer.signals, self._windowing.rate_hz
    self._finding = frame_check.check(expected, np.stack(self._seen), self._frame, rate_hz)
    changes = [] if self._finding.is_as_is else self._finding.notes
    for sentence in changes + self._finding.warnings:
      if sentence not in said:
        warnings.warn(sentence, frame_check.FrameWarning, stacklevel=4)

  def _recognize(
    self, window: Float[np.ndarray, 'n 6']
  ) -> tuple[Float[np.ndarray, 'f'], Float[np.ndarray, 'y']]:
    """Input and logits of the output layer as loaded."""
    signal, adapter = self._recognizer.prepare(window[None]), self._recognizer.adapter_
    if adapter.baseline is not None:  # it has no output layer, and so no input of one
      (logits,) = baseline_adapter.logits(adapter.baseline, signal)
      return np.zeros(adapter.objective.hidden_width + 1), logits
    outputs = np.asarray(self._program(self._variables, {'signal': signal}, np.int32(0)))[0]
    classes = len(self._recognizer.classes_)
    return outputs[:-classes], outputs[-classes:]
