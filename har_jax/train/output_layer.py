"""A linear head, fitted to all training windows at once by logistic regression, after the side encoder.

w windows, f the head's inputs, y classes.
"""

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from concurrent import futures

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from har_jax import config, products
from har_jax.datasets.batches import Batch
from har_jax.errors import Stopped
from har_jax.model import head_input_limits, head_input_weights, head_input_widths
from har_jax.train import optimizer, side_encoder
from har_jax.train.evaluation import evaluate, predict
from har_jax.train.head_prior import HeadPrior
from har_jax.train.objective import Classify
from har_jax.train.run import ActiveRun, Run, Trained
from har_jax.train.step import compiled_start
from har_jax.variables import Variables

# Weight of the windows' summed loss against half of the squared weights. Chosen among 3, 10 and 30 on SPAR,
# LIARA and PDIoT's pocket: docs/results/unseen.md.
_LOSS_WEIGHT = 10.0
_MAX_ITERATIONS = 1000
# Of the covariance within classes, towards equal variances: docs/results/ablations.md.
_SHRINKAGE = 0.5
MEAN, SCALE = 'batch_stats/head/standardize/mean', 'batch_stats/head/standardize/scale'
_LEAST_DEVIATION = 1e-6  # of an input: below, it is constant
_FAR_BELOW_LIMITS = 2.0**-40  # a scale at which no input is limited; a power of two leaves all digits


def train(
  objective: Classify,
  runs: Sequence[Run],
  *,
  training: config.Training,
  pretrained: bool,
  wrap: optimizer.Wrap = optimizer.unchanged,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
  prior: HeadPrior | None = None,
) -> list[Trained]:
  """Fits the head of each run, as the one step of its training. Takes the arguments of `loop.train`.

  Where the model has a side encoder, it is trained before. Raises Stopped where `stop` returns True before a
  fit, and UserError where a loss is not finite.
  """
  one_step = training.fixed_length(1)
  start = compiled_start(one_step, pretrained=pretrained, wrap=wrap)
  results = []
  for run in runs:
    active = ActiveRun(run, one_step, start)
    if active.is_active():
      if stop():
        raise Stopped(f'{run.title}: stopped before its fit')
      fitted: Variables = {}
      if objective.model.side:
        with futures.ThreadPoolExecutor(1) as importer:  # for a second, while XLA trains
          importer.submit(importlib.import_module, 'sklearn.linear_model')
          fitted = side_encoder.train(objective, run, training)
      variables = run.trainable | run.statistics | run.frozen | fitted
      fitted |= fit(objective, variables, run.windows, prior)
      state = dataclasses.replace(
        active.initial_state,
        step=jnp.int32(1),
        trainable={path: fitted.get(path, leaf) for path, leaf in run.trainable.items()},
        statistics={path: fitted.get(path, leaf) for path, leaf in run.statistics.items()},
      )
      active.open_log(progress=False)  # there is one step
      active.step = 1
      variables = state.trainable | state.statistics | run.frozen
      # By the program that has given the head its inputs.
      metrics = evaluate(objective.with_hidden, variables, run.validation)
      active.record_validation(state, metrics)
      active.log.close()
    results.append(active.result())
  return results


def fit(
  objective: Classify, variables: Variables, windows: Batch, prior: HeadPrior | None = None
) -> Variables:
  """The leaves of a linear head, for these windows and their labels. Each class must have a window.

  variables: all of the model's, with the head as drawn. Statistics, where the head has them, are scaled to a
  total variance of 1, and the encoder's features to a half, however many there are. Inputs are limited to two
  standard deviations. Directions in which windows of one class differ count less (`_within_classes`). Windows
  that are repeated, as self-training does, weigh more, and one on average.
  prior: a base's head, which counts with few windows of each class.

  A side encoder was trained on these windows. So its features of one class differ less than those of new
  windows will, and take no part in `_within_classes`.
  """
  from sklearn.linear_model import LogisticRegression  # late: importing it takes a second

  windows, weights = _distinct(windows)
  tiny = jnp.full_like(variables[SCALE], _FAR_BELOW_LIMITS)
  outputs = predict(objective.with_hidden, variables | {MEAN: jnp.zeros_like(tiny), SCALE: tiny}, windows)
  features = objective.hidden(outputs).astype(np.float64) / _FAR_BELOW_LIMITS
  widths = head_input_widths(objective.model)
  mean, scale = standardization(features, widths, weights)
  limits = head_input_limits(widths)
  inputs = np.clip((features - mean) * scale, -limits, limits)
  model = LogisticRegression(C=_LOSS_WEIGHT, max_iter=_MAX_ITERATIONS)
  is_of_side = np.repeat([False, True, False], widths)
  with products.on_one_thread():
    transformed, directions = _within_classes(inputs[:, ~is_of_side], windows['label'], weights)
    inputs[:, ~is_of_side] = transformed
    model.fit(inputs, windows['label'], sample_weight=weights)
    kernel, bias = model.coef_.T, model.intercept_
    kernel[~is_of_side] = directions @ kernel[~is_of_side]
  if objective.classes == 2:  # scikit-learn has one column: the second class against the first
    kernel, bias = (np.concatenate([-part / 2, part / 2], axis=-1) for part in (kernel, bias))
  if prior is not None and (added := prior.logits(features[:, : widths[0]], windows['label'])) is not None:
    of_features, constant = added
    deviation = np.divide(1, scale, where=scale > 0, out=np.zeros_like(scale))  # a constant input has none
    kernel[: widths[0]] += deviation[: widths[0], None] * of_features
    bias = bias + constant + mean[: widths[0]] @ of_features
  leaves: Variables = {
    MEAN: mean,
    SCALE: scale,
    'params/head/dense_0/kernel': kernel,
    'params/head/dense_0/bias': bias,
  }
  return {path: jnp.asarray(leaf, jnp.float32) for path, leaf in leaves.items()}


def _within_classes(
  inputs: Float[np.ndarray, 'w f'], labels: Int[np.ndarray, 'w'], weights: Float[np.ndarray, 'w']
) -> tuple[Float[np.ndarray, 'w f'], Float[np.ndarray, 'f f']]:
  """The inputs times the inverse fourth root of their covariance within classes, and this root.

  It is scaled to leave the inputs' total variance.

  The inverse square root would make all directions alike, as linear discriminant analysis does.
  With few windows, half of the way is better. One window of each class has no covariance: the identity.
  """
  residuals = np.array(inputs)
  for label in np.unique(labels):
    own = labels == label
    residuals[own] -= np.average(inputs[own], axis=0, weights=weights[own])
  residuals *= np.sqrt(weights)[:, None]
  covariance = residuals.T @ residuals
  del residuals  # as large as the inputs
  mean_variance = np.trace(covariance) / len(covariance)
  if not mean_variance:
    return inputs, np.eye(len(covariance))
  values, vectors = np.linalg.eigh(covariance / mean_variance)
  shrunk = (1 - _SHRINKAGE) * values + _SHRINKAGE
  root = (vectors * shrunk**-0.25) @ vectors.T
  transformed = inputs @ root
  scale = np.sqrt(inputs.var(axis=0).sum() / transformed.var(axis=0).sum())
  transformed *= scale
  return transformed, root * scale


def _distinct(windows: Batch) -> tuple[Batch, Float[np.ndarray, 'w']]:
  """The windows that differ, in order, and how often each comes, as a multiple of the mean."""
  numbers: dict[tuple[int, bytes], int] = {}
  pairs = zip(windows['label'], windows['signal'], strict=True)
  of_each = [numbers.setdefault((int(label), signal.tobytes()), len(numbers)) for label, signal in pairs]
  _, first, counts = np.unique(of_each, return_index=True, return_counts=True)
  return {name: windows[name][first] for name in ('signal', 'label')}, counts / counts.mean()


def standardization(
  features: Float[np.ndarray, 'w f'], widths: Sequence[int], weights: Float[np.ndarray, 'w'] | None = None
) -> tuple[Float[np.ndarray, 'f'], Float[np.ndarray, 'f']]:
  """Mean and scale of the head's inputs, by those of the training windows; without a limit."""
  mean = np.average(features, axis=0, weights=weights)
  deviations = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
  deviations = np.where(deviations > _LEAST_DEVIATION, deviations, np.inf)  # a constant input is left out
  return mean, head_input_weights(widths) / deviations
