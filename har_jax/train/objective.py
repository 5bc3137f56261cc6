"""What a run minimises and what it chooses by: reconstruction and contrast in pretraining, classification in fine-tuning.

b windows a batch, n samples, c channels, y classes.

Both give first variables; each window's training loss, with new batch statistics; predictions; and what these score. A
score's entry 'score' is what a run chooses by: the higher the better. Both are hashable, so that one compiled step serves
every run like it. `shard_over_batch` is the step's way to call what treats each window alone (`train/mesh.py`).
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from har_jax import config
from har_jax.data.temporal_pairs import ROW_SIZE
from har_jax.model import (
  Autoencoder,
  Classifier,
  ProjectionModel,
  draw_mask,
  reconstruction_error,
  reconstruction_target,
)
from har_jax.train import augment, metrics
from har_jax.train.mesh import ShardOverBatch, on_one
from har_jax.variables import Variables, flatten, nest, split


def _blank_windows(count: int = 2) -> Float[Array, 'b n c']:
  return jnp.zeros((count, config.WINDOW_SAMPLES, config.CHANNELS))


def _score_of(losses: Float[np.ndarray, 'w']) -> dict[str, float]:
  loss = float(np.mean(losses, dtype=np.float64))
  return {'score': -loss, 'loss': loss}


@dataclasses.dataclass(frozen=True)
class Reconstruct:
  """Squared error on hidden patches; a validation hides the same ones every time."""

  part: ClassVar[str] = 'pretrain'  # of the experiment
  together: ClassVar[int] = 1  # windows in a row that a batch takes as one

  model: config.Model
  precision: config.Precision = dataclasses.field(default_factory=config.Precision)

  @property
  def _autoencoder(self) -> Autoencoder:
    return Autoencoder(self.model, self.precision)

  def init(self, key: jax.Array) -> Variables:
    visible, _ = draw_mask(key, 2, self.model.tokens, self.model.hidden)
    return flatten(self._autoencoder.init(key, _blank_windows(), visible))

  def losses(
    self, variables: Variables, batch: dict, key: jax.Array, shard_over_batch: ShardOverBatch = on_one
  ) -> tuple[Float[Array, 'b'], Variables]:
    signal = batch['signal']
    visible, mask = draw_mask(key, len(signal), self.model.tokens, self.model.hidden)
    reconstructed = shard_over_batch(self._reconstruct, variables, signal, visible)
    return reconstruction_error(reconstructed, reconstruction_target(signal, self.model), mask), {}

  def _reconstruct(self, variables: Variables, signal: Array, visible: Array) -> Any:
    return self._autoencoder.apply(nest(variables), signal, visible)

  def predict(self, variables: Variables, batch: dict, key: jax.Array) -> Float[Array, 'b']:
    return self.losses(variables, batch, key)[0]

  def score(self, predictions: Float[np.ndarray, 'w'], windows: dict) -> dict[str, float]:
    return _score_of(predictions)


@dataclasses.dataclass(frozen=True)
class Classify:
  """Cross-entropy; a validation is scored by macro-F1."""

  part: ClassVar[str] = 'finetune'
  together: ClassVar[int] = 1

  model: config.Model
  classes: int
  precision: config.Precision = dataclasses.field(default_factory=config.Precision)

  @property
  def _classifier(self) -> Classifier:
    return Classifier(self.model, self.classes, self.precision)

  def init(self, key: jax.Array) -> Variables:
    return flatten(self._classifier.init(key, _blank_windows()))

  def losses(
    self, variables: Variables, batch: dict, key: jax.Array, shard_over_batch: ShardOverBatch = on_one
  ) -> tuple[Float[Array, 'b'], Variables]:
    encoder, head = split(variables, lambda path: '/encoder/' in path)
    features = shard_over_batch(self.features, encoder, batch['signal'])
    logits, updated = self._classifier.apply(
      nest(head),
      features,
      training=True,
      counts=batch['weight'] > 0,
      mutable=['batch_stats'],
      rngs={'dropout': key},
      method='classify',
    )
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch['label']), flatten(updated)

  def features(self, variables: Variables, signal: Array) -> Any:
    """What the head sees of windows [b, n, c]: [b, d]."""
    return self._classifier.apply(nest(variables), signal, method='features')

  def predict(self, variables: Variables, batch: dict, key: jax.Array) -> Float[Array, 'b y']:
    logits: Any = self._classifier.apply(nest(variables), batch['signal'])
    return logits

  def score(self, predictions: Float[np.ndarray, 'w y'], windows: dict) -> dict[str, float]:
    measured = metrics.measure(windows['label'], predictions.argmax(axis=1), self.classes)
    return {'score': measured['macro_f1'], 'macro_f1': measured['macro_f1'], 'accuracy': measured['accuracy']}


@dataclasses.dataclass(frozen=True)
class Contrastive:
  """A window and what follows it in its recording are told, as a pair, from the batch's windows of the same person at other times.

  Nobody is told from anybody else: what tells people apart is not what tells activities apart. Each of the two is rolled and
  turned its own way, so that neither place in the window nor how the device is worn gives it away.
  Batches hold `near` [b, n, c], `subject` [b], `recording` [b], `start_s` [b] and `origin` [b, 2] beside `signal`, windows of a
  person side by side.
  Source: arXiv:2002.05709 (SimCLR; the loss), arXiv:2106.00750 (neighbors in time), arXiv:2007.04871 (one person's at a time).
  """

  part: ClassVar[str] = 'pretrain'
  together: ClassVar[int] = ROW_SIZE

  model: config.Model
  precision: config.Precision = dataclasses.field(default_factory=config.Precision)
  temperature: float = 0.2
  degrees: float = 15.0  # of turning, about each axis
  apart_s: float = 20.0  # from here on a window of the same recording counts as another time

  @property
  def _embedder(self) -> ProjectionModel:
    return ProjectionModel(self.model, self.precision)

  def init(self, key: jax.Array) -> Variables:
    return flatten(self._embedder.init(key, _blank_windows()))

  def losses(
    self, variables: Variables, batch: dict, key: jax.Array, shard_over_batch: ShardOverBatch = on_one
  ) -> tuple[Float[Array, 'b'], Variables]:
    first, second = (
      shard_over_batch(self._embed, variables, self._view(batch[name], batch['origin'], each))
      for name, each in zip(('signal', 'near'), jax.random.split(key), strict=True)
    )
    subject, recording, start_s = batch['subject'], batch['recording'], batch['start_s']
    same_time = (recording[:, None] == recording[None]) & (
      jnp.abs(start_s[:, None] - start_s[None]) < self.apart_s
    )
    other = (subject[:, None] == subject[None]) & ~same_time & (batch['weight'] > 0)[None]
    alike = jnp.sum(first * second, axis=1) / self.temperature

    def missed(one: Array) -> Float[Array, 'b']:
      """Of each point of `one` how far its partner is from standing out among all points of the person's other times."""
      against = jnp.concatenate([one @ first.T, one @ second.T], axis=1) / self.temperature
      against = jnp.where(jnp.tile(other, 2), against, -jnp.inf)
      return jax.nn.logsumexp(jnp.concatenate([alike[:, None], against], axis=1), axis=1) - alike

    return (missed(first) + missed(second)) / 2, {}

  def _view(self, signal: Array, origin: Array, key: jax.Array) -> Array:
    to_roll, to_turn = jax.random.split(key)
    return augment.rotate(augment.circular_shift(signal, to_roll), origin, to_turn, self.degrees)

  def _embed(self, variables: Variables, signal: Array) -> Any:
    return self._embedder.apply(nest(variables), signal)

  def predict(self, variables: Variables, batch: dict, key: jax.Array) -> Float[Array, 'b']:
    return self.losses(variables, batch, key)[0]

  def score(self, predictions: Float[np.ndarray, 'w'], windows: dict) -> dict[str, float]:
    return _score_of(predictions)


Objective = Reconstruct | Contrastive | Classify
