"""A head for a whole recording, without labels: small networks on features relative to its walking.

<folder>/recording_head.safetensors  recording_head.json   next to their base

It classifies the activities that a base knows. It sees what no single window shows, such as how a device is
turned from its pose while walking. The encoder's head says which windows are walking.
w windows, f features, y classes, m members.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from har_jax import records, variables
from har_jax.baselines import relative_features
from har_jax.baselines.relative_features import Described
from har_jax.errors import UserError, shorten
from har_jax.files import Base, safetensors_io
from har_jax.storage import Place

WALKING = 'walking'
_NAME = 'recording_head'
_MEMBERS, _HIDDEN = 3, 64
_LEAVES = ('hidden/kernel', 'hidden/bias', 'output/kernel', 'output/bias')
_DECAY = 0.1
_NO_GYRO = 0.2  # fraction of the windows that train without angular velocity: a recording may have none
_OUTLIER = 4.0  # standard deviations: the features of other devices lie outside
# Answers are the head's probability, times that of the encoder to this power, normalized. Chosen with the
# training parts of targets.
_ENCODER_POWER = 0.3
_TINY = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class RecordingHead:
  """Networks of one hidden layer; the mean of their probabilities counts."""

  classes: tuple[str, ...]
  mean: Float[np.ndarray, 'f']
  scale: Float[np.ndarray, 'f']
  # Kernel and bias of the hidden layer, then of the output layer.
  members: tuple[tuple[np.ndarray, ...], ...]

  @property
  def size(self) -> int:
    """Numbers that were fitted."""
    return self.mean.size + self.scale.size + sum(leaf.size for member in self.members for leaf in member)

  def predict_proba(self, features: Float[np.ndarray, 'w f']) -> Float[np.ndarray, 'w y']:
    from scipy import special

    x = np.clip((features - self.mean) / self.scale, -_OUTLIER, _OUTLIER)
    logits = [
      np.maximum(x @ kernel + bias, 0) @ output + output_bias
      for kernel, bias, output, output_bias in self.members
    ]
    return special.softmax(np.stack(logits), axis=2).mean(axis=0)

  def combine(
    self,
    encoder: Float[np.ndarray, 'w y'],
    recording: Described,
    classes: Sequence[str],
    temperature: float = 1.0,
  ) -> Float[np.ndarray, 'w y']:
    """The encoder's probabilities of `classes`, redistributed among those that this head knows.

    temperature: of the encoder's probabilities; the answers have it, too.
    The same array where the recording has too little walking.
    """
    walking = encoder.argmax(axis=1) == list(classes).index(WALKING)
    parts = [self.predict_proba(features) for features in recording.parts_relative_to(walking)]
    if not parts:
      return encoder
    columns = [list(classes).index(name) for name in self.classes]
    shared = encoder[:, columns]
    joint = np.concatenate(parts) ** (1 / temperature) * np.maximum(shared, _TINY) ** _ENCODER_POWER
    combined = np.array(encoder)
    combined[:, columns] = joint * (shared.sum(axis=1) / joint.sum(axis=1))[:, None]
    return combined


def fit(
  features: Float[np.ndarray, 'w f'], labels: Int[np.ndarray, 'w'], classes: Sequence[str], *, seed: int
) -> RecordingHead:
  """labels: index `classes`; those that no window has are not known to the head."""
  from sklearn.neural_network import MLPClassifier

  rng = np.random.default_rng(seed)
  features = np.array(features)
  features[np.ix_(rng.random(len(features)) < _NO_GYRO, relative_features.OF_GYRO)] = 0
  mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
  x = np.clip((features - mean) / scale, -_OUTLIER, _OUTLIER)
  present = np.unique(labels)
  members = []
  for member in range(_MEMBERS):
    network = MLPClassifier(_HIDDEN, alpha=_DECAY, early_stopping=True, random_state=seed + member)
    network.fit(x, np.searchsorted(present, labels))
    layers = zip(network.coefs_, network.intercepts_, strict=True)
    weights = [np.asarray(leaf, np.float32) for layer in layers for leaf in layer]
    if len(present) == 2:  # one output, the log odds of the second class
      weights[2:] = [np.concatenate([-leaf / 2, leaf / 2], axis=-1) for leaf in weights[2:]]
    members.append(tuple(weights))
  names = tuple(classes[number] for number in present)
  return RecordingHead(names, mean.astype(np.float32), scale.astype(np.float32), tuple(members))


def save(folder: Place, head: RecordingHead, *, base: str) -> None:
  """Writes it, completely or not at all. base: the checksum of the base that it belongs to."""
  leaves = {'mean': head.mean, 'scale': head.scale}
  for number, member in enumerate(head.members):
    leaves |= {f'member_{number}/{name}': leaf for name, leaf in zip(_LEAVES, member, strict=True)}
  card = records.RecordingHead(base=base, classes=list(head.classes), members=len(head.members))
  safetensors_io.write(folder, _NAME, leaves, card)


def load(folder: Place, base: Base) -> RecordingHead | None:
  """Loads the head, None if there is none. Raises UserError if it is damaged or of another base."""
  if not (folder / f'{_NAME}.json').exists():
    return None
  leaves, card = safetensors_io.read(folder, _NAME, records.RecordingHead)
  if card.base != base.checksum:
    raise UserError(
      f'the recording head in {folder} belongs to the base with checksum {card.base}; the one there has '
      f'{base.checksum}; fetch or write both again'
    )
  if unknown := {WALKING, *card.classes} - set(base.classes):
    raise UserError(
      f'the recording head in {folder} needs classes that its base lacks: '
      f'{shorten(", ".join(sorted(unknown)))}; write it again'
    )
  features, classes = len(relative_features.NAMES), len(card.classes)
  layers = (features, _HIDDEN), (_HIDDEN,), (_HIDDEN, classes), (classes,)
  shapes: dict[str, tuple[int, ...]] = {'mean': (features,), 'scale': (features,)}
  for member in range(card.members):
    shapes |= {f'member_{member}/{name}': shape for name, shape in zip(_LEAVES, layers, strict=True)}
  expected = {path: np.broadcast_to(np.float32(0), shape) for path, shape in shapes.items()}
  if lines := variables.difference(expected, leaves):
    raise UserError(f'the recording head in {folder} is not that of its card; write it again:\n{lines}')
  arrays = {path: np.asarray(leaf) for path, leaf in leaves.items()}
  if not all(np.isfinite(leaf).all() for leaf in arrays.values()) or (arrays['scale'] <= 0).any():
    raise UserError(f'the recording head in {folder} has values that are not finite; write it again')
  paths = [[f'member_{number}/{name}' for name in _LEAVES] for number in range(card.members)]
  members = tuple(tuple(arrays[path] for path in member) for member in paths)
  return RecordingHead(tuple(card.classes), arrays['mean'], arrays['scale'], members)
