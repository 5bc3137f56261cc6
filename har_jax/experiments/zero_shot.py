"""A target that is recognized without any label of it.

zero_shot            the head of supervised pretraining, each window alone
zero_shot_recording  with a `recording_head`: all test windows of a subject are one recording

w windows, s activities of the sources, y classes.
"""

import dataclasses
from collections.abc import Sequence

import msgspec
import numpy as np
import scipy  # loads scipy.special when it is used
from jaxtyping import Float

from har_jax import records, variables
from har_jax.baselines import relative_features
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.experiments import supervised_head
from har_jax.experiments.adaptation import relative_to
from har_jax.experiments.fitting import measure_probabilities
from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.stages import seconds_of, stages_of
from har_jax.experiments.supervised_head import CLASSES, NAMES
from har_jax.recognizer.unknown_activities import UNKNOWN
from har_jax.recordings.language import STAIRS
from har_jax.timeline.activities import to_level
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify
from har_jax.variables import Variables

_GROUPS = tuple(CLASSES)


def predict_and_test(spec: RunSpec, base: Variables, *, by_recording: bool = False) -> records.Result:
  """The result on the target's windows of the classes that the sources know.

  base: what `stages.run_stages` returns.
  Raises UserError where the sources know fewer than two of the classes.
  """
  sources, data = spec.fold.sources, spec.fold.target_windows()
  activities = sources.classes
  answerable = _answerable(data.classes, activities)
  if answerable.sum() < 2:
    raise UserError(
      f'{spec.method} needs two classes of {spec.target} in the sources; they have {", ".join(activities)}'
    )
  head = None
  if by_recording:
    head = supervised_head.fit_recording_head(sources, seed=spec.seed)
    if head is None:
      raise UserError(f'{spec.method} needs sources with walking; {", ".join(sources.names)} have none')
  objective = Classify(spec.experiment.model, len(activities), spec.experiment.precision)
  is_answerable = {part: answerable[getattr(data, part)['label']] for part in ('validation', 'test')}

  def known_part(part: str) -> Batch:
    return {name: values[is_answerable[part]] for name, values in getattr(data, part).items()}

  def probabilities(part: str) -> Float[np.ndarray, 'w y']:
    logits = predict(objective, base, getattr(data, part), tta_shifts=spec.experiment.protocol.tta_shifts)
    grouped = _group(scipy.special.softmax(logits, axis=1), activities)
    if head is not None:
      signals, subjects = (values[data.indices[part]] for values in (data.signals, data.subjects))
      for subject in np.unique(subjects):
        rows = subjects == subject
        described = relative_features.describe(signals[rows], spec.experiment.model.rate_hz)
        grouped[rows] = head.combine(grouped[rows], described, _GROUPS)
    return _divide(grouped, data.classes)[is_answerable[part]]

  counts = {part: int(rows.sum()) for part, rows in is_answerable.items()}
  known_data = dataclasses.replace(
    data,
    validation=known_part('validation'),
    test=known_part('test'),
    test_subjects=data.test_subjects[is_answerable['test']],
    description=msgspec.structs.replace(data.description, windows=records.Parts(train=0, **counts)),
  )
  stages = stages_of(spec)
  size = 0 if head is None else head.size
  return measure_probabilities(
    spec,
    known_data,
    probabilities,
    collections=[],
    starts_from=relative_to(stages[-1].folder, spec.result),
    parameters=records.Counted(trainable=0, total=variables.count(base) + size),
    bytes=records.Bytes(frozen=variables.bytes_held(base)),
    seconds={'training': 0.0} | seconds_of(stages),
  )


def _group(probabilities: Float[np.ndarray, 'w s'], activities: Sequence[str]) -> Float[np.ndarray, 'w g']:
  """Sums the probabilities of the sources' activities in each of _GROUPS; leaves the other activities out."""
  grouped = np.zeros((len(probabilities), len(_GROUPS)))
  for activity, column in zip(activities, probabilities.T, strict=True):
    if activity in NAMES:
      grouped[:, _GROUPS.index(NAMES[activity])] += column
  return grouped


def _answerable(classes: Sequence[str], activities: Sequence[str]) -> np.ndarray:
  """Returns whether each class is one of the sources', or stairs of which the sources know a direction."""
  groups = {NAMES[activity] for activity in activities if activity in NAMES} - {UNKNOWN}
  if groups & set(STAIRS):
    groups |= {STAIRS[0]}
  return np.array([name in groups for name in classes])


def _divide(grouped: Float[np.ndarray, 'w g'], classes: Sequence[str]) -> Float[np.ndarray, 'w y']:
  """Divides stairs as the target does, which has stairs, or both directions."""
  level, names = to_level(grouped, _GROUPS, classes)
  column = dict(zip(names, level.T, strict=True))
  return np.stack([column.get(name, np.zeros(len(grouped))) for name in classes], axis=1)
