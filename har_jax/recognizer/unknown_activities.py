"""Refusals of windows whose activity was never learned, by scores of held-out windows.

w windows, y classes, f inputs of the head, d features of the encoder, k classes of the base's head.

Two signs tell such a window. First, it and its neighbors are far from the training windows of its probable
classes: a squared distance from class means, in the standardized inputs of the linear head. Second, the head
of the base takes it for an activity that the adapter lacks. The base's encoder has to be unchanged for that,
as the methods side, linear and probe leave it.
The product of both is compared with a quantile of those of held-out windows. docs/results/unknown.md compares
scores: the highest probability, which a window far from all classes may have, tells much less.
Source of the first: Lee et al., arXiv:1807.03888, section 2.1, with one variance for all directions.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from har_jax import files, methods
from har_jax.model import head_input_widths
from har_jax.recognizer.prediction_sets import quantile, rank
from har_jax.recognizer.recording_adaptation import adapt_to_recordings
from har_jax.recordings import language
from har_jax.train import evaluation
from har_jax.train.objective import Classify
from har_jax.train.output_layer import MEAN, SCALE
from har_jax.variables import Variables

if TYPE_CHECKING:
  from har_jax.recognizer.recognizer import Recognizer

UNKNOWN = 'unknown'  # the base's class of all other activities of its sources
_NEIGHBORS = 4  # windows before and after, whose inputs are averaged
_BLOCK = 1024  # windows at a time, which bounds memory
# Of the odds of an activity that the adapter lacks: docs/results/unknown.md. With fewer classes that the base
# knows, its answers tell too little.
_POWER, _LEAST = 0.4, 0.01
_FEWEST_COMMON = 2


def score(
  recognizer: 'Recognizer',
  inputs: Float[np.ndarray, 'w f'],
  answers: Float[np.ndarray, 'w y'],
  recordings: Shaped[np.ndarray, 'w'],
  parts: Sequence[slice],
  *,
  ask_base: bool,
) -> Float[np.ndarray, 'w']:
  """The scores of windows; the higher, the less they are of an activity that the recognizer has.

  inputs, answers: of `Recognizer.answer_with_inputs`; the answers adapted to each window's recording.
  parts: of windows without a gap.
  ask_base: whether the base's answers count, where it has any (`BaseHead.find`).
  """
  card = recognizer.adapter_.card
  scores = distances(inputs, answers, np.array(card.class_means), parts)
  if ask_base and (head := BaseHead.find(recognizer)) is not None:
    scores *= odds_of_lacking(head.lacking(inputs, recordings), parts)
  return scores


@dataclasses.dataclass(frozen=True)
class BaseHead:
  """The head of a recognizer's base, on the features that the recognizer's own head has standardized.

  covered: of each class of the base, how far the recognizer has it.
  """

  base: files.Base
  mean: Float[np.ndarray, 'd']
  deviation: Float[np.ndarray, 'd']
  covered: Float[np.ndarray, 'k']

  @classmethod
  def find(cls, recognizer: 'Recognizer') -> 'BaseHead | None':
    """None where the base has no head, the encoder is another one, or they have too few common activities."""
    base, adapter = recognizer.base_, recognizer.adapter_
    if base is None or not base.classes or any(map(methods.in_encoder, adapter.variables)):
      return None
    (width, *_), expected = head_input_widths(adapter.card.model), sum(head_input_widths(base.model))
    means = adapter.card.class_means
    is_known = _are_in(adapter.card.classes, base.classes)
    if adapter.card.model.head or width != expected or means is None or is_known.sum() < _FEWEST_COMMON:
      return None
    mean, scale = (np.asarray(recognizer.variables_[path])[:width] for path in (MEAN, SCALE))
    deviation = np.divide(1, scale, where=scale > 0, out=np.zeros_like(scale))  # a constant input has none
    head = cls(base, mean, deviation, np.zeros(len(base.classes)))
    of_classes = head.probabilities(np.array(means)).max(axis=0)
    is_named = _are_in(base.classes, [*map(str, adapter.card.classes), UNKNOWN])
    return dataclasses.replace(head, covered=np.where(is_named, 1.0, of_classes))

  def probabilities(self, inputs: Float[np.ndarray, 'w f']) -> Float[np.ndarray, 'w k']:
    """The base's answers. What lies beyond the limits of the inputs hardly changes them."""
    from scipy import special  # late: most answers need none of it

    objective = _OfFeatures(self.base.model, len(self.base.classes))
    logits = []
    for first in range(0, len(inputs), _BLOCK):
      standardized = inputs[first : first + _BLOCK, : len(self.mean)]
      features = {'signal': (standardized * self.deviation + self.mean).astype(np.float32)}
      logits.append(evaluation.predict(objective, self.base.variables, features, sizes=evaluation.ONE_SIZE))
    return special.softmax(np.concatenate(logits) / self.base.card.temperature, axis=1)

  def lacking(
    self, inputs: Float[np.ndarray, 'w f'], recordings: Shaped[np.ndarray, 'w']
  ) -> Float[np.ndarray, 'w']:
    """The probability of activities that the recognizer lacks, by the base, adapted to each recording."""
    card = self.base.card
    class_logits = None if card.class_logits is None else np.array(card.class_logits) / card.temperature
    return adapt_to_recordings(self.probabilities(inputs), class_logits, recordings) @ (1 - self.covered)


class _OfFeatures(Classify):
  """Classifies features of the encoder in place of windows."""

  def predict(self, variables: Variables, batch: dict[str, Array], key: jax.Array) -> Float[Array, 'b y']:
    return self.classify(variables, batch['signal'])


def _are_in(names: Sequence[Any], others: Sequence[Any]) -> Bool[np.ndarray, 'n']:
  """True: the activity is among others, by `language.is_same`."""
  return np.array([any(language.is_same(str(name), str(other)) for other in others) for name in names])


def odds_of_lacking(lacking: Float[np.ndarray, 'w'], parts: Iterable[slice]) -> Float[np.ndarray, 'w']:
  """Powers of the odds of these probabilities, which are averaged over three windows."""
  from scipy import ndimage

  means = np.empty(len(lacking))
  for part in parts:
    means[part] = ndimage.uniform_filter1d(lacking[part], 3, mode='nearest')
  means = means.clip(0, 1)
  return ((means + _LEAST) / (1 + _LEAST - means)) ** _POWER


def distances(
  inputs: Float[np.ndarray, 'w f'],
  answers: Float[np.ndarray, 'w y'],
  class_means: Float[np.ndarray, 'y f'],
  parts: Iterable[slice],
) -> Float[np.ndarray, 'w']:
  """Measures how far each window of a recording is from the classes.

  answers: adapted to the recording; they weight the squared distances from the class means.
  parts: of windows without a gap. A window's distance is the mean of that of its inputs, and that of the
    average of its inputs and its neighbors'. At last, distances of three windows are averaged.
  """
  from scipy import ndimage

  scores = np.empty(len(inputs))
  for part in parts:
    for first in range(part.start, part.stop, _BLOCK):
      block = slice(first, min(first + _BLOCK, part.stop))
      around = slice(max(first - _NEIGHBORS, part.start), min(block.stop + _NEIGHBORS, part.stop))
      wide = inputs[around].astype(np.float32)
      near = ndimage.uniform_filter1d(wide, 2 * _NEIGHBORS + 1, axis=0, mode='nearest')
      own = slice(first - around.start, block.stop - around.start)
      squares = (_squares(wide[own], class_means) + _squares(near[own], class_means)) / 2
      scores[block] = (answers[block] * squares).sum(axis=1)
    scores[part] = ndimage.uniform_filter1d(scores[part], 3, mode='nearest')
  return scores


def _squares(
  inputs: Float[np.ndarray, 'w f'], class_means: Float[np.ndarray, 'y f']
) -> Float[np.ndarray, 'w y']:
  return np.stack([((inputs - mean) ** 2).sum(axis=1) for mean in class_means], axis=1)


def refuse(
  scores: Float[np.ndarray, 'w'], held_out_scores: Sequence[float], rate: float | int
) -> Bool[np.ndarray, 'w']:
  """True: the window is of no class. At most this fraction of windows like those held out is refused.

  held_out_scores: sorted. None is refused if they are too few: 19 for a rate of 0.05.
  """
  return scores > quantile(held_out_scores, 1 - rate)


def refusal_shortage(held_out_scores: Sequence[float], rate: float | int) -> str | None:
  """A sentence if there are too few scores for the rate, so that no window is refused."""
  if rank(len(held_out_scores), 1 - rate) <= len(held_out_scores):
    return None
  return (
    f'No window is refused: a refusal rate of {100 * rate:g} % needs {math.ceil(1 / rate) - 1} labeled '
    f'windows outside the training set, and {len(held_out_scores)} calibrated the model. Label more windows.'
  )
