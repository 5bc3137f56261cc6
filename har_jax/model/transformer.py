"""The encoder, and the models that contain it: masked autoencoder, classifier.

b batch, n samples, c channels, t tokens, v visible tokens, q values per token;
d width, y classes, f inputs of the head.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from har_jax import config, initializers
from har_jax.model import masking, sorting
from har_jax.model.layers import Block, Dense, stream_name
from har_jax.model.normalization import LayerNorm
from har_jax.model.stem import Stem
from har_jax.model.tokens import patch_features, target_dim
from har_jax.signal import statistics
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2

_INIT_STD = 0.02  # of learned positions and mask tokens, as in BERT and MAE
TO_PHYSICAL = np.repeat(
  np.array([STANDARD_GRAVITY_M_S2, 1], np.float32), 3
)  # from g and rad/s to m/s² and rad/s
VAR_EPS = 1e-4  # so that the gradient of the standard deviation is finite at zero


class Encoder(nn.Module):
  """Windows to tokens: stem or linear embedding, learned positions, pre-norm blocks, a final norm."""

  model: config.Model
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(
    self, signal: Float[Array, 'b n c'], visible: Int[Array, 'b v'] | None = None
  ) -> tuple[Float[Array, 'b v d'], Float[Array, 'd']]:
    """Encodes the visible tokens, by default all. Also returns the mask token, for the decoder.

    The paper counts the mask token among the parameters of the adapted model, so it belongs to the encoder.
    """
    model = self.model
    start = initializers.normal(_INIT_STD)
    if model.stem:
      is_visible = None if visible is None else masking.is_visible(visible, model.tokens)
      embedded = [Stem(model.stem, model.width, self.precision, name='embed')(signal, is_visible)]
    else:
      embedded = [
        Dense(model.width // model.streams, self.precision, name=stream_name('embed', i, model.streams))(
          patch_features(part, model)
        )
        for i, part in enumerate(jnp.split(signal, model.streams, axis=-1))
      ]
    tokens = jnp.concatenate(embedded, axis=-1) + self.param(
      'positions', start, (1, model.tokens, model.width)
    )
    mask_token = self.param('mask_token', start, (model.width // model.streams,))
    if visible is not None:
      tokens = masking.gather_tokens(tokens, visible)
    for i in range(model.depth):
      tokens = Block(model.mlp_dim, model.num_heads, model.streams, self.precision, name=f'block_{i}')(tokens)
    return LayerNorm(name='norm')(tokens), jnp.tile(mask_token, model.streams)


class Decoder(nn.Module):
  """Tokens, with mask tokens in place of hidden ones, to reconstructions; blocks as in the encoder."""

  model: config.Model
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(
    self, tokens: Float[Array, 'b v d'], visible: Int[Array, 'b v'], mask_token: Float[Array, 'd']
  ) -> Float[Array, 'b t q']:
    model = self.model
    filler = jnp.broadcast_to(mask_token[None, None], (len(tokens), model.tokens, model.width))
    start = initializers.normal(_INIT_STD)
    tokens = masking.scatter_tokens(filler, tokens, visible) + self.param(
      'positions', start, (1, model.tokens, model.width)
    )
    for i in range(model.decoder_depth):
      tokens = Block(model.mlp_dim, model.num_heads, model.streams, self.precision, name=f'block_{i}')(tokens)
    return Dense(target_dim(model), self.precision, name='reconstruct')(LayerNorm(name='norm')(tokens))


class Autoencoder(nn.Module):
  """The masked autoencoder.   Source: arXiv:2111.06377, section 3."""

  model: config.Model
  precision: config.Precision = config.Precision()

  @nn.compact
  def __call__(self, signal: Float[Array, 'b n c'], visible: Int[Array, 'b v']) -> Float[Array, 'b t q']:
    tokens, mask_token = Encoder(self.model, self.precision, name='encoder')(signal, visible)
    return Decoder(self.model, self.precision, name='decoder')(tokens, visible, mask_token)


def reconstruction_error(
  reconstructed: Float[Array, 'b t q'], target: Float[Array, 'b t q'], mask: Bool[Array, 'b t']
) -> Float[Array, 'b']:
  """Mean squared error over the hidden patches (mask True) of each window."""
  errors = jnp.mean(jnp.square(reconstructed - target), axis=-1)
  return jnp.sum(errors * mask, axis=-1) / jnp.sum(mask, axis=-1)


def head_input_widths(model: config.Model) -> tuple[int, int, int]:
  """Widths of the parts of the head's input: tokens, those of the side encoder, the window's statistics."""
  pooled = 3 if model.pooling == 'statistics' else 1
  of_window = len(statistics.NAMES) if model.window_statistics else 0
  return pooled * model.width, pooled * model.side_width, of_window


# Total variance of these parts, with statistics, and the most standard deviations of an input that count:
# docs/results/ablations.md.
_VARIANCES, _LIMIT = np.array([0.5, 0.125, 1.0]), 2.0


def head_input_weights(widths: Sequence[int]) -> Float[np.ndarray, 'f']:
  """The deviation that each input of a linear head is scaled to.   widths: as of `head_input_widths`."""
  has_statistics = widths[-1] > 0
  variances = _VARIANCES / (1 if has_statistics else _VARIANCES[0])
  return np.sqrt(np.repeat(variances / np.maximum(widths, 1), widths)).astype(np.float32)


def head_input_limits(widths: Sequence[int]) -> Float[np.ndarray, 'f']:
  """The largest value of each input of a linear head: one outlier is not to decide an answer."""
  return _LIMIT * head_input_weights(widths)


class Standardize(nn.Module):
  """Subtracts a mean, multiplies by a scale, and limits the result.

  `train.output_layer` takes mean and scale from training windows. widths: as of `head_input_widths`.
  """

  widths: tuple[int, ...]

  @nn.compact
  def __call__(self, features: Float[Array, 'b f']) -> Float[Array, 'b f']:
    width = features.shape[-1:]
    mean = self.variable('batch_stats', 'mean', initializers.zeros, None, width)
    scale = self.variable('batch_stats', 'scale', initializers.ones, None, width)
    limits = head_input_limits(self.widths)[None]
    return jnp.clip((features - mean.value[None]) * scale.value[None], -limits, limits)


class Head(nn.Module):
  """An MLP with BatchNorm and Dropout after each hidden layer; without any, a standardized linear layer."""

  hidden: tuple[int, ...]
  dropout: float
  classes: int
  precision: config.Precision = config.Precision()
  input_widths: tuple[int, ...] = ()  # `head_input_widths`, for a linear head

  @nn.compact
  def __call__(
    self, features: Float[Array, 'b f'], *, training: bool, counts: Bool[Array, 'b'] | None = None
  ) -> Float[Array, 'b y']:
    if not self.hidden:
      features = Standardize(self.input_widths, name='standardize')(features)
    for i, width in enumerate(self.hidden):
      features = Dense(width, self.precision, name=f'dense_{i}')(features)
      # Momentum 0.9 instead of 0.99: runs of a few hundred steps are too short for the latter.
      norm = nn.BatchNorm(
        use_running_average=not training,
        momentum=0.9,
        scale_init=initializers.ones,
        bias_init=initializers.zeros,
        name=f'norm_{i}',
      )
      features = nn.relu(norm(features, mask=None if counts is None else counts[:, None]))
      features = nn.Dropout(self.dropout, deterministic=not training)(features)
    return Dense(self.classes, self.precision, name=f'dense_{len(self.hidden)}')(features)


def _maximum(tokens: Float[Array, 'b t d']) -> Float[Array, 'b d']:
  """The maximum over tokens, with the gradient of the first token that has it.

  The gradient of `jnp.max` divides by the number of tokens that equal the maximum. That is none where XLA
  computes the tokens twice and rounds them differently: the gradient is then NaN.
  """
  is_first = jax.nn.one_hot(jnp.argmax(tokens, axis=1), tokens.shape[1], axis=1)
  return jnp.sum(tokens * is_first, axis=1)


class Classifier(nn.Module):
  """Windows to logits: the encoder, statistics over its tokens, the head."""

  model: config.Model
  classes: int
  precision: config.Precision = config.Precision()

  def setup(self) -> None:
    self.encoder: Encoder = Encoder(self.model, self.precision)
    if self.model.side is not None:
      self.side_encoder: Encoder = Encoder(self.model.side, self.precision)
    widths = head_input_widths(self.model)
    self.head: Head = Head(self.model.head, self.model.dropout, self.classes, self.precision, widths)

  def features(self, signal: Float[Array, 'b n c']) -> Float[Array, 'b f']:
    """The head's input. Each window's features depend on that window only."""
    encoders = [self.encoder, *([self.side_encoder] if self.model.side_width else [])]
    parts = [part for encoder in encoders for part in self._pooled(encoder(signal)[0])]
    if self.model.window_statistics:
      channels = statistics.with_norms(signal * TO_PHYSICAL[None, None], jnp)
      parts.append(statistics.statistics(channels, self.model.rate_hz, jnp, sorting.ascending))
    return jnp.concatenate(parts, axis=-1)

  def _pooled(self, tokens: Float[Array, 'b t d']) -> list[Float[Array, 'b d']]:
    mean = jnp.mean(tokens, axis=1)
    if self.model.pooling == 'mean':
      return [mean]
    return [mean, _maximum(tokens), jnp.sqrt(jnp.var(tokens, axis=1) + VAR_EPS)]

  def classify(
    self, features: Float[Array, 'b f'], *, training: bool, counts: Bool[Array, 'b'] | None = None
  ) -> Float[Array, 'b y']:
    """Logits. `counts` is False for padding, which BatchNorm leaves out."""
    return self.head(features, training=training, counts=counts)

  def new_parts(self, signal: Float[Array, 'b n c']) -> Float[Array, 'b y']:
    """Calls the parts that no base has: the side encoder, and the head."""
    if self.model.side is not None:
      self.side_encoder(signal)
    # Not zeros: JAX would compute what the head makes of values that it knows.
    features = jnp.broadcast_to(signal[:, 0, :1], (len(signal), sum(head_input_widths(self.model))))
    return self.classify(features, training=False)

  def __call__(self, signal: Float[Array, 'b n c']) -> Float[Array, 'b y']:
    return self.classify(self.features(signal), training=False)
