"""Prediction and evaluation with trained variables."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from har_jax.datasets import batches as data_batches
from har_jax.datasets.batches import Batch
from har_jax.train import mesh
from har_jax.train.objective import Objective
from har_jax.train.step import compiled_predict
from har_jax.variables import Variables

# Rounded up to a multiple of the devices. Each size compiles a program, so they are few: the smallest that
# holds all windows, or the largest. On a CPU the first one, which is no slower for many windows.
BATCH_SIZES = (64, 256)
ONE_SIZE = BATCH_SIZES[:1]  # one program for all, on any device


def evaluate(objective: Objective, variables: Variables, windows: Batch) -> dict[str, float]:
  """The objective's metrics over the windows; each window counts once."""
  return objective.score(predict(objective, variables, windows), windows)


def predict(
  objective: Objective,
  variables: Variables,
  windows: Batch,
  *,
  tta_shifts: int = 1,
  sizes: Sequence[int] | None = None,
) -> np.ndarray:
  """Predictions in the order of the windows, of which only the signals are read. Every process returns all.

  Test-time augmentation: averages the predictions over `tta_shifts` circular shifts by fractions of a patch.
  sizes: the batch sizes to choose from, by default those for the device. Predictions depend on them by
  rounding.
  """
  sizes = sizes or (BATCH_SIZES[:1] if jax.default_backend() == 'cpu' else BATCH_SIZES)
  signals = windows['signal']
  if tta_shifts > 1:
    shifts = [round(i * objective.model.patch_size / tta_shifts) for i in range(tta_shifts)]
    parts, chunk = [], BATCH_SIZES[-1]
    for first in range(0, len(signals), chunk):  # all shifts of all windows at once would take much memory
      part = signals[first : first + chunk]
      shifted = {'signal': np.concatenate([np.roll(part, shift, axis=1) for shift in shifts])}
      predicted = predict(objective, variables, shifted, sizes=sizes)
      parts.append(predicted.reshape(tta_shifts, -1, *predicted.shape[1:]).mean(axis=0))
    return np.concatenate(parts)
  devices = mesh.data_mesh()
  compiled = compiled_predict(objective, devices)
  variables = mesh.replicate(variables, devices)
  size = next((size for size in sizes if size >= len(signals)), sizes[-1])
  batches = data_batches.evaluation_batches(  # without labels, so that one program takes all windows
    {'signal': signals}, batch=mesh.next_multiple(size, devices), **mesh.process_rank()
  )
  # Not waiting for each lets cores run batches side by side. JAX bounds how many run and wait.
  predictions = [
    compiled(variables, mesh.split(batch, devices), np.int32(number)) for number, batch in enumerate(batches)
  ]
  return np.concatenate([np.asarray(part) for part in predictions])[: len(signals)]  # padding comes last


def class_means(
  outputs: Float[np.ndarray, 'w o'], labels: Int[np.ndarray, 'w'], *, digits: int = 3
) -> list[list[float]]:
  """Mean outputs of the windows of each class, for a card. Each class must have a window."""
  means = [outputs[labels == label].mean(axis=0, dtype=np.float64) for label in range(labels.max() + 1)]
  return np.round(means, digits).tolist()


def class_spread(outputs: Float[np.ndarray, 'w o'], labels: Int[np.ndarray, 'w']) -> float | None:
  """The mean squared distance of windows from their class mean, for a card; None with one window of each."""
  classes, numbers = np.unique(labels, return_inverse=True)
  if len(labels) == len(classes):
    return None
  means = np.stack([outputs[numbers == number].mean(axis=0) for number in range(len(classes))])
  squares = ((outputs - means[numbers]) ** 2).sum(axis=1, dtype=np.float64)
  return round(float(squares.sum() / (len(labels) - len(classes))), 4) or None
