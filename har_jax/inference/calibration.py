"""A recognizer's confidence made honest: one temperature that its logits are divided by.

w windows, y classes.   Source: Guo et al., arXiv:1706.04599, section 4.2.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, special

from har_jax.errors import UserError
from har_jax.inference.recognizer import Recognizer

# Both far beyond what is ever found, so that the search has ends.
_COLDEST, _HOTTEST = 0.05, 20.0


@dataclasses.dataclass(frozen=True)
class Calibration:
  """What was found, and the mean negative log likelihood of the true classes in nats, at temperature 1 and at this one.

  `confidence` is the mean of the likeliest class's probability, before and after; `accuracy` is what it should be.
  """

  temperature: float
  windows: int
  loss: tuple[float, float]
  confidence: tuple[float, float]
  accuracy: float


def calibrate(recognizer: Recognizer, X, y) -> Calibration:
  """Fits the temperature to windows that the recognizer did not learn from, and puts it into its card.

  `predict_proba` heeds it from then on, and `save` keeps it. What is likeliest stays so.
  Raises UserError where a label is none of the recognizer's classes.
  """
  probabilities = recognizer.predict_proba(X)
  classes = recognizer.classes_.tolist()
  known = {label: place for place, label in enumerate(classes)}
  given = np.asarray(y).tolist()
  if unknown := sorted({str(label) for label in given if label not in known}):
    raise UserError(
      f'no class of the recognizer: {", ".join(unknown)}; it has {", ".join(map(str, classes))}'
    )
  labels = np.array([known[label] for label in given], np.int64)
  # Logits, but for a number a window, at whatever temperature the probabilities were made with.
  logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
  logits *= recognizer.adapter_.card['temperature']
  found = temperature(logits, labels)
  adapter = recognizer.adapter_
  recognizer.adapter_ = dataclasses.replace(adapter, card={**adapter.card, 'temperature': found})
  cold, warm = (special.log_softmax(logits / at, axis=1) for at in (1.0, found))
  places = np.arange(len(labels))
  return Calibration(
    found,
    len(labels),
    (float(-cold[places, labels].mean()), float(-warm[places, labels].mean())),
    (float(np.exp(cold.max(axis=1)).mean()), float(np.exp(warm.max(axis=1)).mean())),
    float((logits.argmax(axis=1) == labels).mean()),
  )


def temperature(logits: Float[np.ndarray, 'w y'], labels: Int[np.ndarray, 'w']) -> float:
  """Where the cross-entropy of softmax(logits / temperature) is least.

  Its targets are smoothed, as Platt's are: the true class has (w + 1) / (w + 2), by Laplace's rule for right or wrong, and the
  others share the rest. Without, a few windows that are all right would make every later confidence 100 %; with it, where
  w is small, confidences come out a little too low, not too high.
  Source: Platt, Advances in Large Margin Classifiers, 1999, section 2.2.
  """
  windows, classes = logits.shape
  targets = np.full(logits.shape, 1 / (windows + 2) / (classes - 1))
  targets[np.arange(windows), labels] = (windows + 1) / (windows + 2)

  def loss(log_temperature: float) -> float:
    given = special.log_softmax(logits / math.exp(log_temperature), axis=1)
    return float(-(targets * given).sum(axis=1).mean())

  found = optimize.minimize_scalar(
    loss, bounds=(math.log(_COLDEST), math.log(_HOTTEST)), method='bounded', options={'xatol': 1e-4}
  )
  return math.exp(float(found.x))
