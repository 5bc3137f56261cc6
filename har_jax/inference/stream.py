"""Recognition while it is recorded: samples in as they come, an answer a hop out.   n samples, y classes."""

import collections
import itertools
import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy import special
from sklearn.utils.validation import check_is_fitted

from har_jax.config import CHANNELS, WINDOW_SAMPLES
from har_jax.data.recording import RATE_HZ, STEP_SAMPLES, Recording, Samples
from har_jax.data.resample import MAX_GAP_S, resample
from har_jax.errors import UserError
from har_jax.inference.recognizer import Recognizer
from har_jax.train.step import compiled_predict

_BEFORE_S = 0.5  # of what came before a window, for the filter that resamples it to settle
_LAST_S = (WINDOW_SAMPLES - 1) / RATE_HZ  # a window's last sample, from its first
_SLACK_S = 1e-6
_SLACK = 1e-3  # of a sample


class Answer(NamedTuple):
  """Of the 2.56 s from `time_s` on."""

  time_s: float
  activity: str
  confidence: float


class Stream:
  """Windows of what comes in, each recognized as soon as its last sample is there.

  Samples are as a Recognizer's: acceleration x y z in m/s² with gravity, rotation x y z in rad/s. At 50 Hz a window is the
  samples themselves; at any other rate, even or not, the last 3 s are resampled as archives are (`data.resample`). After a
  pause of more than 0.2 s windows begin anew. Held are the last 3 s. A program for one window at a time is compiled here.
  """

  def __init__(self, recognizer: Recognizer, *, hop_s: float | int = STEP_SAMPLES / RATE_HZ):
    """`hop_s`: from one window to the next, in steps of 0.02 s. Raises UserError where it is less than one."""
    check_is_fitted(recognizer)
    if not hop_s * RATE_HZ >= 1 - _SLACK:
      raise UserError(f'hop_s is {hop_s!r}; give {1 / RATE_HZ} s or more')
    self._recognizer = recognizer
    self._hop_s = round(hop_s * RATE_HZ) / RATE_HZ
    self._program = compiled_predict(recognizer.adapter_.objective)
    self._variables = jax.device_put(recognizer.variables_)
    self._key = jax.random.key(0)
    self._time_s, self._values = np.zeros(0), np.zeros((0, CHANNELS), np.float32)  # no pause among them
    self._due_s = 0.0  # where the next window begins, or up to a sample later
    self._now_s = 0.0  # where a sample without a time goes
    self._recognize(np.zeros((WINDOW_SAMPLES, CHANNELS), np.float32))

  def push(self, samples, time_s=None, *, rate_hz: float | int = RATE_HZ) -> list[Answer]:
    """Takes samples [n, 6], however many, and gives the answers that are now due, in order.

    `time_s` [n] says when each was taken, on any clock; without it they follow those before at `rate_hz`, the first at 0.
    Samples that are not finite count as lost. Raises UserError: other shapes, times that fall.
    """
    values, times_s = self._checked(samples, time_s, rate_hz)
    known = np.isfinite(values).all(axis=1)
    if not known.any():
      return []
    anew = not len(self._time_s)
    self._time_s = np.r_[self._time_s, times_s[known]]
    self._values = np.concatenate([self._values, values[known]])
    size = len(self._time_s)
    pauses = np.flatnonzero(np.diff(self._time_s) > MAX_GAP_S)
    bounds = [0, *(pauses + 1).tolist(), size]
    answers: list[Answer] = []
    for number, (first, stop) in enumerate(itertools.pairwise(bounds)):
      if number or anew:
        self._due_s = float(self._time_s[first])
      answers += self._recognize_due(self._time_s[first:stop], self._values[first:stop])
    settled = int(np.searchsorted(self._time_s, self._due_s - _BEFORE_S - _SLACK_S))
    kept = min(max(settled, bounds[-2]), size - 1)  # the last one tells whether a pause follows
    self._time_s, self._values = self._time_s[kept:].copy(), self._values[kept:].copy()
    return answers

  def _checked(self, samples, time_s, rate_hz: float | int) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(samples)
    if values.ndim != 2 or values.shape[1] != CHANNELS or values.dtype.kind not in 'fiu':
      raise UserError(
        f'the samples are {list(values.shape)} of {values.dtype.name}; give [n, {CHANNELS}]: acceleration x y z in m/s², '
        'rotation x y z in rad/s'
      )
    if not (rate_hz > 0 and math.isfinite(rate_hz)):
      raise UserError(f'rate_hz is {rate_hz!r}; it must be positive, such as 50')
    if time_s is None:
      times_s = self._now_s + np.arange(len(values)) / rate_hz
    else:
      times_s = np.asarray(time_s, np.float64)
      if times_s.shape != (len(values),) or not np.isfinite(times_s).all():
        raise UserError(f'time_s is {list(times_s.shape)} for {len(values)} samples; give a finite time each')
    if len(times_s):
      if (np.diff(np.r_[self._time_s[-1:], times_s]) < 0).any():
        raise UserError('time_s falls; push samples in the order in which they were taken')
      self._now_s = float(times_s[-1]) + 1 / rate_hz
    return values.astype(np.float32), times_s

  def _recognize_due(self, time_s: Float[np.ndarray, 'n'], values: Float[np.ndarray, 'n 6']) -> list[Answer]:
    answers: list[Answer] = []
    while True:
      first = int(np.searchsorted(time_s, self._due_s - _BEFORE_S - _SLACK_S))
      if first == len(time_s):
        return answers
      # On the grid that resampling makes: at 50 Hz the due sample itself.
      grid = max(math.ceil((self._due_s - time_s[first]) * RATE_HZ - _SLACK), 0)
      start_s = float(time_s[first]) + grid / RATE_HZ
      if time_s[-1] < start_s + _LAST_S - _SLACK_S:
        return answers
      stop = int(np.searchsorted(time_s, start_s + _LAST_S - _SLACK_S)) + 1
      acc, gyro = (Samples(time_s[first:stop], values[first:stop, axes]) for axes in (slice(3), slice(3, 6)))
      (piece,) = resample(Recording('', '', acc, gyro, ()), collections.Counter())
      answers.append(Answer(start_s, *self._recognize(piece.signal[grid : grid + WINDOW_SAMPLES])))
      self._due_s += self._hop_s

  def _recognize(self, window: Float[np.ndarray, '128 6']) -> tuple[str, float]:
    signal = self._recognizer.prepare(window[None])
    logits = np.asarray(self._program(self._variables, {'signal': signal}, self._key), np.float64)[0]
    # The temperature of now: whoever calibrates later is heeded.
    shares = special.softmax(logits / self._recognizer.adapter_.card['temperature'])
    likeliest = int(shares.argmax())
    return str(self._recognizer.classes_[likeliest]), float(shares[likeliest])
