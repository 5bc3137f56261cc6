"""Prediction and evaluation with trained variables."""

import jax
import numpy as np

from har_jax.data import batches as data_batches
from har_jax.data.batches import Batch
from har_jax.train import mesh
from har_jax.train.objective import Objective
from har_jax.train.step import compiled_predict
from har_jax.variables import Variables

BATCH_SIZE = 256  # rounded up to a multiple of the devices


def evaluate(objective: Objective, variables: Variables, windows: Batch) -> dict[str, float]:
  """The objective's metrics over the windows; each window counts once."""
  return objective.score(predict(objective, variables, windows), windows)


def predict(objective: Objective, variables: Variables, windows: Batch, *, tta_shifts: int = 1) -> np.ndarray:
  """Predictions in the order of the windows. Every process returns all of them.

  Test-time augmentation: averages the predictions over `tta_shifts` circular shifts by fractions of a patch.
  """
  if tta_shifts > 1:
    shifts = [round(i * objective.model.patch_size / tta_shifts) for i in range(tta_shifts)]
    shifted = [windows | {'signal': np.roll(windows['signal'], shift, axis=1)} for shift in shifts]
    return np.mean([predict(objective, variables, each) for each in shifted], axis=0)
  devices = mesh.data_mesh()
  compiled, key = compiled_predict(objective, devices), jax.random.key(0)
  variables = mesh.replicate(variables, devices)
  batches = data_batches.evaluation_batches(
    windows, batch=mesh.next_multiple(BATCH_SIZE, devices), **mesh.process_rank()
  )
  predictions = [
    np.asarray(compiled(variables, mesh.split(batch, devices), jax.random.fold_in(key, number)))
    for number, batch in enumerate(batches)
  ]
  return np.concatenate(predictions)[: len(windows['signal'])]  # padding comes last
