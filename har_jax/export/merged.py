"""A fitted recognizer as one plain model, from windows in physical units to probabilities.

b windows, n samples, c channels, y classes.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, Float32

from har_jax import config, methods
from har_jax.model import Classifier
from har_jax.recognizer.recognizer import Recognizer
from har_jax.variables import Variables, nest

# The model uses the defaults of Flax.
LAYER_NORM_EPSILON, BATCH_NORM_EPSILON = nn.LayerNorm.epsilon, nn.BatchNorm.epsilon


@dataclasses.dataclass(frozen=True, eq=False)
class Merged:
  """A plain model in float32 with its normalization and temperature. No adapters, no packed kernels.

  Products are in float32, even if the recognizer was trained in bfloat16.
  """

  variables: Variables
  model: config.Model
  classes: tuple[Any, ...]
  mean: Float32[np.ndarray, 'c']
  scale: Float32[np.ndarray, 'c']  # 1 / standard deviation; 0 for angular velocity that is ignored
  temperature: float

  def recognize(self, signal: Float[Array, 'b n c']) -> Float[Array, 'b y']:
    """The computation that every format exports."""
    normalized = (signal - self.mean[None, None]) * self.scale[None, None]
    logits: Any = Classifier(self.model, len(self.classes)).apply(nest(self.variables), normalized)
    return jax.nn.softmax(logits / self.temperature)


def merge(recognizer: Recognizer) -> Merged:
  """Merges the recognizer's adapters into its kernels.

  Raises scikit-learn's NotFittedError if it is not fitted, UserError if a collection has no owner.
  """
  recognizer.check_fitted()
  adapter = recognizer.adapter_
  axes = config.CHANNELS // 2
  mean, deviation = (
    np.repeat(values, axes) for values in (adapter.normalizer.mean, adapter.normalizer.deviation)
  )
  scale = 1 / deviation
  if not recognizer.has_gyro:
    scale[axes:] = 0.0  # as Recognizer.prepare does
  return Merged(
    {path: np.asarray(leaf) for path, leaf in methods.merge(adapter.method, recognizer.variables_).items()},
    adapter.objective.model,
    tuple(recognizer.classes_.tolist()),
    mean.astype(np.float32),
    scale.astype(np.float32),
    float(adapter.card.temperature),
  )
