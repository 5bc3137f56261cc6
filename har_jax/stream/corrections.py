"""A filter over a stream's windows that a user can correct.

y classes, z classes with those that corrections have added, f features: the output layer's inputs, and a 1
for the bias.

A correction labels the last windows. An addition to the output layer is then fitted to all corrected windows.
Other windows of the same stream are replayed with the probabilities that they got: what nobody corrected is
to stay. No training window is needed or kept.
Before the first correction, answers are adapted to the stream. The addition learns them from the replay.
Source: Li and Hoiem, arXiv:1606.09282 (soft targets from the model itself); Vitter, ACM TOMS 11(1), 1985,
algorithm R (the sample of windows to replay).
"""

import collections
import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from har_jax import config_fields
from har_jax.errors import UserError
from har_jax.stream import head_update
from har_jax.timeline.bouts import Chain

LABELED_S = 60.0  # at most, by one correction
MOST_CORRECTIONS = 32
# Weight of the squared weights, relative to the windows' summed cross-entropy. Chosen on HAPT's validation
# people (results/corrections.csv): with 1, the bundled base learns less from as many corrections.
PENALTY = 0.1
REPLAYED = 32  # windows of each class
# Not replayed: windows that end in so many seconds before a correction. Some had the same wrong answer.
_UNSURE_S = 30.0
_SLACK_S = 1e-6


class Correction(NamedTuple):
  """The windows within the `seconds` before `time_s`, on the clock of the stream, are of this activity."""

  time_s: float
  seconds: float
  activity: Any


class _Window(NamedTuple):
  stop_s: float
  hidden: Float[np.ndarray, 'f']
  logits: Float[np.ndarray, 'y']  # of the layer as loaded
  adapted: Float[np.ndarray, 'y']  # the same, adapted to the windows so far


@dataclasses.dataclass
class _Layer:
  """The output layer since a correction; the first one is that before all corrections."""

  added: Float[np.ndarray, 'f z']
  new: tuple[Any, ...] = ()  # activities that the model does not have; the last columns
  since_s: float = -np.inf
  correction: Correction | None = None
  corrected: tuple[_Window, ...] = ()
  label: int = 0
  posterior: Float[np.ndarray, 'z'] | None = None  # of the last window's activity; None: a chain starts

  def scores(self, window: _Window) -> Float[np.ndarray, 'z']:
    if self.correction is None:
      return window.adapted
    return _with_new(window.logits, self.added.shape[1]) + window.hidden @ self.added


class CorrectedFilter:
  """The forward filter of a `Chain`, with an output layer that corrections change.

  Every layer since the last MOST_CORRECTIONS corrections filters all windows, so that to take a correction
  back leaves no trace. Keeps the features of the last minute's windows, of corrected ones and of REPLAYED
  others a class.
  """

  def __init__(
    self, chain: Chain, features: int, classes: int, *, penalty: float = PENALTY, replayed: int = REPLAYED
  ):
    self._chain, self._penalty, self._replayed = chain, penalty, replayed
    self._layers = [_Layer(np.zeros((features, classes)))]
    self._recent: collections.deque[_Window] = collections.deque(maxlen=1 + int(LABELED_S / chain.hop_s))
    # By the class that the layer as loaded predicts: the sample does not depend on corrections.
    self._samples: dict[int, list[_Window]] = collections.defaultdict(list)
    self._counts: collections.Counter[int] = collections.Counter()
    self._rng = np.random.default_rng(0)

  @property
  def corrections(self) -> list[Correction]:
    return [layer.correction for layer in self._layers[1:] if layer.correction]

  @property
  def new(self) -> tuple[Any, ...]:
    """The activities that corrections have added to those of the model, in order."""
    return self._layers[-1].new

  @property
  def added(self) -> Float[np.ndarray, 'f z']:
    """Addition of the corrections to the output layer's weights and, in the last row, to its bias."""
    return self._layers[-1].added

  def restart(self) -> None:
    """Starts a new chain: the windows so far do not count for the activity of the next one."""
    for layer in self._layers:
      layer.posterior = None

  def update(
    self,
    start_s: float,
    hidden: Float[np.ndarray, 'f'],
    logits: Float[np.ndarray, 'y'],
    temperature: float,
    adapted: Float[np.ndarray, 'y'] | None = None,
  ) -> Float[np.ndarray, 'z']:
    """The posterior of the next window's activity.

    adapted: logits that count until the first correction; None: the same.
    """
    from scipy import special

    window = _Window(start_s + self._chain.window_s, hidden, logits, logits if adapted is None else adapted)
    for layer in self._layers:
      probabilities = special.softmax(layer.scores(window) / temperature)
      layer.posterior = posterior = self._chain.update(layer.posterior, probabilities)
    self._recent.append(window)
    # Each window of a class stays in its sample with equal probability.
    number = int(window.logits.argmax())
    sample = self._samples[number]
    self._counts[number] += 1
    if len(sample) < self._replayed:
      sample.append(window)
    elif (index := int(self._rng.integers(self._counts[number]))) < self._replayed:
      sample[index] = window
    return posterior

  def correct(self, label: int, activity: Any, seconds: float | int) -> None:
    """Labels the windows within the last `seconds`, of the last minute at most.

    label: of the activity; the number of all that there are, for one more.
    Raises UserError if there is none, and for `seconds` less than a window.
    """
    window_s = self._chain.window_s
    rule = f'give {window_s:g}, the length of a window, or more'
    config_fields.check_value('seconds', seconds, rule, lambda value: value >= window_s)
    if not self._recent:
      raise UserError('there is no window to correct yet; push samples first')
    now_s = self._recent[-1].stop_s
    every = max(1, round(window_s / 2 / self._chain.hop_s))  # they overlap by half, not more
    begin_s = now_s - seconds + window_s - _SLACK_S
    corrected = tuple(window for window in [*self._recent][::-every] if window.stop_s >= begin_s)
    correction = Correction(now_s, float(seconds), activity)
    before = self._layers[-MOST_CORRECTIONS:]
    count = max(self.added.shape[1], label + 1)
    new = (*self.new, activity) if label == self.added.shape[1] else self.new
    layer = _Layer(self.added, new, now_s, correction, corrected, label)
    # A window that was corrected twice has the later label.
    layers = [*before[1:], layer]
    labeled = {window.stop_s: (window, layer.label) for layer in layers for window in layer.corrected}
    replay = self._replay([layer.correction for layer in layers if layer.correction])
    windows = [*(window for window, _ in labeled.values()), *replay]
    hidden = np.stack([window.hidden for window in windows], dtype=np.float64)
    logits = np.stack([_with_new(window.logits, count) for window in windows])
    is_label = np.eye(count)
    targets = [*is_label[[label for _, label in labeled.values()]]]
    targets += [np.pad(answer, (0, count - len(answer))) for answer in map(self._answer, replay)]
    layer.added = head_update.fit(hidden, logits, np.stack(targets), penalty=self._penalty)
    layer.posterior = is_label[label]
    self._layers = [*before, layer]

  def undo(self) -> Correction:
    """Takes the last correction back. Raises UserError if none is left."""
    if not (corrections := self.corrections):
      raise UserError(f'no correction is left to take back; the last {MOST_CORRECTIONS} are kept')
    self._layers.pop()
    return corrections[-1]

  def _replay(self, corrections: list[Correction]) -> list[_Window]:
    spans = [
      (correction.time_s - max(correction.seconds, _UNSURE_S), correction.time_s)
      for correction in corrections
    ]
    return [
      window
      for window in itertools.chain.from_iterable(self._samples.values())
      if not any(begin_s < window.stop_s <= stop_s + _SLACK_S for begin_s, stop_s in spans)
    ]

  def _answer(self, window: _Window) -> Float[np.ndarray, 'z']:
    """The probabilities that the window got, without those before it, of the activities of that time."""
    from scipy import special

    layers = (layer for layer in reversed(self._layers) if layer.since_s < window.stop_s)
    return special.softmax(next(layers, self._layers[0]).scores(window))


def _with_new(logits: Float[np.ndarray, 'y'], count: int) -> Float[np.ndarray, 'z']:
  """The logits of `count` activities: the model's, and 0 for others, less than that of most answers."""
  return np.pad(logits, (0, count - len(logits)))
