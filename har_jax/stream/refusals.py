"""Refusals in a live stream: windows whose activity was never learned.   w windows, y classes, f inputs."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from har_jax import config_fields
from har_jax.errors import UserError
from har_jax.recognizer import unknown_activities
from har_jax.recognizer.recognizer import Recognizer


class Refusals:
  """Tells whether the latest window of a stream is refused, by it and those before it.

  The scores are those of `har-jax predict --refusal_rate`, without the windows that are yet to come.
  """

  def __init__(self, recognizer: Recognizer, rate: float | int):
    """Raises UserError if a baseline answers, or if too few windows calibrated the adapter for this rate."""
    rule = 'give a fraction, such as 0.05, or 0'
    config_fields.check_value('refusal_rate', rate, rule, lambda value: 0 < value < 1)
    recognizer.adapter_.refuse_baseline()
    if sentence := unknown_activities.refusal_shortage(recognizer.unknown_scores, rate):
      raise UserError(sentence)
    self._recognizer, self._rate = recognizer, rate
    self.restart()

  def restart(self) -> None:
    """Begins anew after a gap."""
    self._since_gap, self.is_refused = 0, False

  def add(self, inputs: Sequence[Float[np.ndarray, 'f']], answers: Float[np.ndarray, 'w y']) -> None:
    """Scores the last of these windows, by those before it without a gap. The base's answers adapt to all."""
    self._since_gap += 1
    count = len(answers)
    gap = max(count - self._since_gap, 0)
    ask_base = self._recognizer.adapter_.card.unknown_by_base
    windows = np.stack(inputs), answers, np.zeros(count), [slice(0, gap), slice(gap, count)]
    scores = unknown_activities.score(self._recognizer, *windows, ask_base=ask_base)
    held_out = self._recognizer.unknown_scores
    self.is_refused = bool(unknown_activities.refuse(scores[-1:], held_out, self._rate)[0])
