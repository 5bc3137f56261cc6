"""Training sets with equal parts of each class or source, pseudo-labels, or variants as of other devices.

w windows, y classes.
Source of pseudo-labels: D.-H. Lee, Pseudo-Label (ICML workshop 2013); arXiv:1911.04252 (balanced classes).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from har_jax.datasets.batches import Batch, concatenate

WINDOWS_PER_CLASS = 600  # about as many as a run has steps, and few next to an archive's windows
MAX_REPEATS = 20  # a handful of windows must not stand for a class
_CONFIDENT_FRACTION = 0.6  # of the windows predicted as a class: most wrong predictions are among the others
WINDOWS_PER_SOURCE = 12_000  # so that no archive outweighs the others; a few people have many windows
_ROTATED = 0.5  # of the windows
# Standard deviation of an axis of acceleration, in the windows' unit: g, or about one of the axis itself.
_MOVES = 0.15


def balance_classes(windows: Batch, *, seed: int) -> Batch:
  """`WINDOWS_PER_CLASS` windows of each class, drawn at random.

  A class with fewer windows repeats them, each at most `MAX_REPEATS` times.
  """
  rng = np.random.default_rng(seed)
  drawn = [np.empty(0, int)]
  for label in np.unique(windows['label']):
    class_indices = rng.permutation(np.flatnonzero(windows['label'] == label))
    drawn.append(np.resize(class_indices, min(WINDOWS_PER_CLASS, MAX_REPEATS * len(class_indices))))
  indices = np.concatenate(drawn)
  return {name: values[indices] for name, values in windows.items()}


def draw_from_source(windows: Batch, *, seed: int) -> Batch:
  """Draws at most `WINDOWS_PER_SOURCE` windows, in order.

  A class with n windows weighs as √n, so that rare activities are seen, but not repeated.
  """
  label = windows['label']
  if len(label) <= WINDOWS_PER_SOURCE:
    return windows
  weights = 1 / np.sqrt(np.bincount(label))[label]
  rng = np.random.default_rng(seed)
  indices = np.sort(rng.choice(len(label), WINDOWS_PER_SOURCE, replace=False, p=weights / weights.sum()))
  return {name: values[indices] for name, values in windows.items()}


def concatenate_equally(parts: Sequence[Batch]) -> Batch:
  """All parts in one batch, each repeated up to the length of the longest; drops empty parts."""
  parts = [part for part in parts if len(part['label'])]
  longest = max(len(part['label']) for part in parts)
  part_indices = [np.resize(np.arange(len(part['label'])), longest) for part in parts]
  return {
    name: np.concatenate([part[name][indices] for part, indices in zip(parts, part_indices, strict=True)])
    for name in parts[0]
  }


def pseudo_labeled(windows: Batch, logits: Float[np.ndarray, 'w y'], *, seed: int) -> Batch:
  """The target's windows with the most confident predictions, labeled with them; classes balanced."""
  predicted = logits.argmax(axis=1)
  from scipy import special  # late: recognizing does without it

  confidence = special.softmax(logits, axis=1).max(axis=1)
  is_confident = np.zeros(len(predicted), bool)
  for label in np.unique(predicted):
    indices = np.flatnonzero(predicted == label)
    most_confident_first = indices[np.argsort(-confidence[indices], kind='stable')]
    is_confident[most_confident_first[: int(np.ceil(_CONFIDENT_FRACTION * len(indices)))]] = True
  confident = {name: values[is_confident] for name, values in windows.items()}
  return balance_classes(confident | {'label': predicted[is_confident].astype(np.int32)}, seed=seed)


def filter_by_teacher(windows: Batch, logits: Float[np.ndarray, 'w y'], *, seed: int) -> Batch:
  """The sources' windows whose label the teacher predicts; classes balanced.

  The others come from another body position or device orientation, and would mislead.
  """
  agrees = logits.argmax(axis=1) == windows['label']
  return balance_classes({name: values[agrees] for name, values in windows.items()}, seed=seed)


def vary(windows: Batch, classes: int, *, seed: int) -> Batch:
  """Half of the windows as a device in any orientation gives them; then each moving one again, in reverse.

  A movement in reverse is another activity, so its label is that of the movement, plus `classes`.
  In reverse, acceleration is the same, and rotation has the opposite sign.
  windows: signal [w, n, 6], origin [w, 2] and label [w]; `origin` is the physical zero of each sensor.
  """
  from scipy.spatial.transform import Rotation  # late: importing it takes a while, and few need it

  rng = np.random.default_rng(seed)
  origin = windows['origin'][:, None, :, None]
  triads = windows['signal'].reshape(*windows['signal'].shape[:2], 2, 3) - origin
  is_rotated = rng.random(len(triads)) < _ROTATED
  rotations = Rotation.random(int(is_rotated.sum()), rng).as_matrix().astype(np.float32)
  triads[is_rotated] = np.einsum('wij,wnsj->wnsi', rotations, triads[is_rotated])
  moves = triads[:, :, 0].std(axis=1).max(axis=1) > _MOVES
  backward = triads[moves, ::-1] * np.array([[1], [-1]], np.float32)
  moving = {name: rows[moves] for name, rows in windows.items()}
  reverse = moving | {
    'signal': (backward + origin[moves]).reshape(moving['signal'].shape),
    'label': moving['label'] + classes,
  }
  forward = windows | {'signal': (triads + origin).reshape(windows['signal'].shape)}
  return concatenate([forward, reverse], tuple(windows))
