"""Training objectives: reconstruction for pretraining, classification for fine-tuning.

b windows per batch, n samples, c channels, w windows, y classes.

An objective defines initial variables, the training loss of each window with new batch statistics,
predictions, and their metrics. The metric 'score' selects the best validation: higher is better. Objectives
are hashable, so that equal runs share one compiled step. The step (`train/step.py`) passes `losses` the
training settings, which hold a loss's hyperparameters, so that all trainers heed them. It also passes
`shard_over_batch` (`train/mesh.py`), which calls functions that treat each window independently.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from har_jax import config
from har_jax.model import (
  Autoencoder,
  Classifier,
  Standardize,
  draw_mask,
  head_input_widths,
  reconstruction_error,
  reconstruction_target,
)
from har_jax.train import metrics
from har_jax.train.mesh import ShardOverBatch, on_one_device
from har_jax.variables import Variables, flatten, nest, split

_OF_HEAD = frozenset({'pooling', 'head', 'window_statistics', 'side_width', 'dropout'})  # not of the encoder


def _two_windows(model: config.Model) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct((2, model.window_samples, config.CHANNELS), np.float32)


def _drawn(module: nn.Module, key: jax.Array, *inputs: jax.ShapeDtypeStruct, **options: Any) -> Variables:
  """A module's initial variables. Computes nothing of its inputs, of which only shapes are needed."""
  if isinstance(key, jax.core.Tracer):
    return _draw(module, key, *inputs, **options)
  return dict(_last_drawn(module, tuple(jax.random.key_data(key).tolist()), *inputs, **options))


@functools.lru_cache(maxsize=4)
def _last_drawn(module: nn.Module, key_data: tuple[int, ...], *inputs: Any, **options: Any) -> Variables:
  """Runs of a study begin with the same variables: to trace the model takes longer than to draw."""
  return _draw(module, jax.random.wrap_key_data(jnp.array(key_data, np.uint32)), *inputs, **options)


def _draw(module: nn.Module, key: jax.Array, *inputs: Any, **options: Any) -> Variables:
  with jax.disable_jit():  # only the draws need programs; JAX would compile a stub for each inner one
    return flatten(module.lazy_init(key, *inputs, **options))


@dataclasses.dataclass(frozen=True)
class Reconstruct:
  """Masked pretraining: squared error on hidden patches. Every validation hides the same patches.

  The loss of each window is its prediction, and the score minus their mean.
  """

  part: ClassVar[str] = 'pretrain'  # of the experiment, with this objective's training settings

  model: config.Model
  precision: config.Precision = dataclasses.field(default_factory=config.Precision)

  @property
  def _autoencoder(self) -> Autoencoder:
    return Autoencoder(self.model, self.precision)

  def init(self, key: jax.Array) -> Variables:
    visible = jax.ShapeDtypeStruct((2, self.model.tokens - self.model.hidden), np.int32)
    return _drawn(self._autoencoder, key, _two_windows(self.model), visible)

  def losses(
    self,
    variables: Variables,
    batch: dict[str, Array],
    key: jax.Array,
    training: config.Training,
    shard_over_batch: ShardOverBatch = on_one_device,
  ) -> tuple[Float[Array, 'b'], Variables]:
    return self._errors(variables, batch['signal'], key, shard_over_batch), {}

  def _errors(
    self, variables: Variables, signal: Array, key: jax.Array, shard_over_batch: ShardOverBatch
  ) -> Float[Array, 'b']:
    visible, mask = draw_mask(key, len(signal), self.model.tokens, self.model.hidden)
    reconstructed = shard_over_batch(self._reconstruct, variables, signal, visible)
    return reconstruction_error(reconstructed, reconstruction_target(signal, self.model), mask)

  def _reconstruct(self, variables: Variables, signal: Array, visible: Array) -> Any:
    return self._autoencoder.apply(nest(variables), signal, visible)

  def predict(self, variables: Variables, batch: dict[str, Array], key: jax.Array) -> Float[Array, 'b']:
    return self._errors(variables, batch['signal'], key, on_one_device)

  def score(self, predictions: Float[np.ndarray, 'w'], windows: Mapping[str, np.ndarray]) -> dict[str, float]:
    loss = float(np.mean(predictions, dtype=np.float64))
    return {'score': -loss, 'loss': loss}


@dataclasses.dataclass(frozen=True)
class Classify:
  """Cross-entropy; validations are scored by macro-F1."""

  part: ClassVar[str] = 'finetune'

  model: config.Model
  classes: int
  precision: config.Precision = dataclasses.field(default_factory=config.Precision)

  @property
  def _classifier(self) -> Classifier:
    return Classifier(self.model, self.classes, self.precision)

  @property
  def with_hidden(self) -> 'ClassifyWithHidden':
    return ClassifyWithHidden(self.model, self.classes, self.precision)

  @property
  def hidden_width(self) -> int:
    """The number of the output layer's inputs."""
    return self.model.head[-1] if self.model.head else sum(head_input_widths(self.model))

  def hidden(self, outputs: Float[np.ndarray, 'w o']) -> Float[np.ndarray, 'w f']:
    """The output layer's inputs, among what `with_hidden` predicts."""
    return outputs[:, : -1 - self.classes]

  def init(self, key: jax.Array) -> Variables:
    return _drawn(self._classifier, key, _two_windows(self.model))

  def init_new(self, key: jax.Array) -> Variables:
    """The part of `init` that no base has, bit for bit. To draw the encoder takes seconds of compiling."""
    return _drawn(self._classifier, key, _two_windows(self.model), method='new_parts')

  def losses(
    self,
    variables: Variables,
    batch: dict[str, Array],
    key: jax.Array,
    training: config.Training,
    shard_over_batch: ShardOverBatch = on_one_device,
  ) -> tuple[Float[Array, 'b'], Variables]:
    encoder, head = split(variables, lambda path: 'encoder/' in path)
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
    """The head's input, [b, d], for windows [b, n, c]."""
    return self._classifier.apply(nest(variables), signal, method='features')

  def classify(self, variables: Variables, features: Float[Array, 'b d']) -> Float[Array, 'b y']:
    """Logits of the head alone, for what `features` gives."""
    head = nest(split(variables, lambda path: '/head/' in path)[0])
    logits: Any = self._classifier.apply(head, features, training=False, method='classify')
    return logits

  def predict(self, variables: Variables, batch: dict[str, Array], key: jax.Array) -> Float[Array, 'b y']:
    logits: Any = self._classifier.apply(nest(variables), batch['signal'])
    return logits

  def score(
    self, predictions: Float[np.ndarray, 'w y'], windows: Mapping[str, np.ndarray]
  ) -> dict[str, float]:
    measured = metrics.measure(windows['label'], predictions.argmax(axis=1), self.classes)
    return {'score': measured.macro_f1, 'macro_f1': measured.macro_f1, 'accuracy': measured.accuracy}


@dataclasses.dataclass(frozen=True)
class ClassifyWithHidden(Classify):
  """Predicts the output layer's input, a 1 for its bias, and the logits, in one array."""

  def predict(
    self, variables: Variables, batch: dict[str, Array], key: jax.Array
  ) -> Float[Array, 'b outputs']:
    logits, captured = self._classifier.apply(
      nest(variables),
      batch['signal'],
      capture_intermediates=lambda module, _: isinstance(module, nn.Dropout | Standardize),
      mutable=['intermediates'],
    )
    last = f'Dropout_{len(self.model.head) - 1}' if self.model.head else 'standardize'
    hidden: Any = captured['intermediates']['head'][last]['__call__'][0]
    parts = (hidden, jnp.ones((len(hidden), 1)), logits)
    return jnp.concatenate([part.astype(jnp.float32) for part in parts], axis=1)

  def score(
    self, predictions: Float[np.ndarray, 'w outputs'], windows: Mapping[str, np.ndarray]
  ) -> dict[str, float]:
    return super().score(predictions[:, -self.classes :], windows)


Objective = Reconstruct | Classify


@functools.lru_cache(maxsize=32)
def initial_shapes(objective: Objective) -> Variables:
  """The shapes of what `objective.init` draws. Cached: to trace the model takes a third of a second."""
  key = jax.random.key(0)
  if isinstance(objective, Reconstruct):
    return jax.eval_shape(objective.init, key)
  shapes = encoder_shapes(objective.model) | jax.eval_shape(objective.init_new, key)
  return {path: shapes[path] for path in sorted(shapes)}


def encoder_shapes(model: config.Model) -> Variables:
  """The shapes of a classifier's encoder. A base and the models that are adapted from it share them."""
  plain: dict[str, Any] = {name: getattr(config.Model, name) for name in _OF_HEAD}
  return _encoder_shapes(dataclasses.replace(model, **plain))


@functools.lru_cache(maxsize=32)
def _encoder_shapes(model: config.Model) -> Variables:
  shapes = jax.eval_shape(Classify(model, 2).init, jax.random.key(0))
  return {path: shape for path, shape in shapes.items() if path.startswith('params/encoder/')}
