"""The supervised stage's head on a target that it never saw: no label and no window of it is used.

w windows, y classes.
"""

import dataclasses
from typing import Any

import numpy as np
import scipy.special
from jaxtyping import Float

from har_jax import variables
from har_jax.data import folds
from har_jax.data.batches import Batch
from har_jax.errors import UserError
from har_jax.experiments.adaptation import relative_to
from har_jax.experiments.fitting import tested
from har_jax.experiments.stages import seconds_of, stages_of
from har_jax.experiments.study import RunSpec
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify
from har_jax.variables import Variables

# Stairs of unknown direction are either; a target has these or those.
_STAIRS = ('stairs', 'upstairs', 'downstairs')


def predict_and_test(spec: RunSpec, base: Variables) -> dict[str, Any]:
  """The content of the result file, on the target's windows of the classes that the sources know.

  base: what `stages.run_stages` returns.
  Raises UserError where the sources know fewer than two of the classes.
  """
  protocol = spec.experiment.protocol
  known = folds.source_classes(spec.windows, spec.sources)
  data = folds.target_windows(spec.windows, spec.target, protocol, spec.seed)
  columns = [_columns(name, data.classes, known) for name in data.classes]
  answerable = np.array([bool(each) for each in columns])
  if answerable.sum() < 2:
    raise UserError(
      f'zero_shot needs two classes of {spec.target} in the sources; they have {", ".join(known)}'
    )
  objective = Classify(spec.experiment.model, len(known), spec.experiment.precision)

  def known_part(part: str) -> Batch:
    windows = getattr(data, part)
    kept = answerable[windows['label']]
    return {name: values[kept] for name, values in windows.items()}

  parts = {part: known_part(part) for part in ('validation', 'test')}

  def probabilities(part: str) -> Float[np.ndarray, 'w y']:
    logits = predict(objective, base, parts[part], tta_shifts=protocol.tta_shifts)
    of_known = scipy.special.softmax(logits, axis=1)
    return np.stack([of_known[:, each].sum(axis=1) for each in columns], axis=1)

  counts = {part: len(windows['label']) for part, windows in parts.items()}
  known_data = dataclasses.replace(
    data,
    validation=parts['validation'],
    test=parts['test'],
    test_subjects=data.test_subjects[answerable[data.test['label']]],
    description=data.description | {'windows': {'train': 0} | counts},
  )
  stages = stages_of(spec)
  return tested(spec, known_data, probabilities) | {
    'collections': [],
    'starts_from': relative_to(stages[-1].folder, spec.result),
    'parameters': {'trainable': 0, 'total': variables.count(base)},
    'bytes': {
      'frozen': variables.bytes_held(base),
      'trainable': {},
      'statistics': {},
      'optimizer': {},
    },
    'seconds': {'training': 0.0} | seconds_of(stages),
  }


def _columns(name: str, classes: tuple[str, ...], known: tuple[str, ...]) -> list[int]:
  """Indices of the known activities that a class of the target stands for."""
  names = _STAIRS if name == 'stairs' and not set(_STAIRS[1:]) & set(classes) else (name,)
  return [known.index(each) for each in names if each in known]
