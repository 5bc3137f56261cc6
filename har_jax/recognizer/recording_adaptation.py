"""Test-time adaptation: a recording's own windows, without labels, move the logits of each class.

w windows, y classes.

Another person or device moves the features of a class, and so its logits. The posteriors of the windows tell
how far each class has moved; the moves are subtracted, and this repeats. A prior keeps the moves of classes
with few windows small. It is expectation-maximization for the means of Gaussians with one covariance.
Source of the idea: Iwasawa and Matsuo, NeurIPS 2021 (T3A), which moves a head's prototypes likewise.
"""

import numpy as np
from jaxtyping import Float

_ITERATIONS = 5
# The prior counts as so many windows of a class that have not moved, in a recording of all classes. Chosen
# among 2 to 12, with and without labels, on other draws than docs/results/unseen.md has. Recordings had all
# activities, or one or two.
_PRIOR_WINDOWS = 3.0
_TINY = 1e-30


def adapt_to_recording(
  probabilities: Float[np.ndarray, 'w y'], class_logits: Float[np.ndarray, 'y y']
) -> Float[np.ndarray, 'w y']:
  """Probabilities of a recording's windows, adapted to that recording.

  class_logits: mean logits of the training windows of each class, up to a constant of each row. Both have one
  temperature.

  A recording that seems to hold few classes is moved less, since a new device looks like a new class there.
  With one class of twelve, the prior counts 144 times as much as with all.
  """
  from scipy import special

  logits = np.log(np.maximum(probabilities, _TINY, dtype=np.float64))
  adapted = special.softmax(logits, axis=1)
  for _ in range(_ITERATIONS):
    counts = adapted.sum(axis=0)
    shares = counts / counts.sum()
    classes = np.exp(special.entr(shares).sum())  # that the recording seems to hold
    prior = _PRIOR_WINDOWS * (len(counts) / classes) ** 2
    moves = (adapted.T @ logits - counts[:, None] * class_logits) / (prior + counts)[:, None]
    adapted = special.softmax(logits - adapted @ moves, axis=1)
  return adapted.astype(probabilities.dtype)


def adapt_to_recordings(
  probabilities: Float[np.ndarray, 'w y'],
  class_logits: Float[np.ndarray, 'y y'] | None,
  recordings: np.ndarray,
  power: float = 1.0,
) -> Float[np.ndarray, 'w y']:
  """Probabilities of the windows of several recordings, each adapted by itself.

  class_logits: None leaves all as it is.
  recordings [w]: the name or number of each window's.
  power: of the probabilities, so that they have the temperature of the class logits.
  """
  adapted = np.array(probabilities)
  if class_logits is not None:
    for recording in np.unique(recordings):
      is_own = recordings == recording
      adapted[is_own] = adapt_to_recording(probabilities[is_own] ** power, class_logits)
  return adapted
