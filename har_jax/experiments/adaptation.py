"""Adaptation of a pretrained encoder to a target: train, validate, test once."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import scipy  # loads scipy.special when it is used
from jaxtyping import Float

from har_jax import methods, records, runtime, storage, variables
from har_jax.datasets import balancing
from har_jax.datasets.batches import Batch
from har_jax.datasets.folds import TargetWindows
from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.stages import TrainOptions, seconds_of, stages_of
from har_jax.methods import METHODS, Settings
from har_jax.signal.summary import summarize
from har_jax.storage import Place
from har_jax.train import loop, metrics, output_layer
from har_jax.train.evaluation import predict
from har_jax.train.objective import Classify, encoder_shapes, initial_shapes
from har_jax.train.run import Run, Trained
from har_jax.variables import Variables


@dataclasses.dataclass(frozen=True)
class PreparedRun:
  """A run before its first step."""

  spec: RunSpec
  objective: Classify
  run: Run
  data: TargetWindows


def prepare_run(spec: RunSpec, base: Variables) -> PreparedRun:
  """Splits the target, draws head and adapters, and splits the variables into trainable and frozen.

  base: what `stages.run_stages` returns. If the last stage is supervised, its head is the starting point,
    too.
  """
  experiment, method = spec.experiment, METHODS[spec.method]
  data = spec.fold.target_windows()
  objective = Classify(method.model(experiment.model), len(data.classes), experiment.precision)
  encoder, others = variables.split(base, lambda path: path.startswith('params/encoder/'))
  has_head = experiment.protocol.supervised_pretraining_steps and 'head' not in experiment.lora.targets

  def head(drawn: Variables) -> Variables:
    return methods.arrange_head(others, drawn, spec.fold.sources.classes, data.classes)

  prepared = methods.prepare(
    objective.init,
    method,
    Settings.from_experiment(experiment),
    spec.seed,
    shapes=encoder_shapes(objective.model),
    init_new=objective.init_new,
    pretrained=encoder,
    head=head if has_head and base else None,
  )
  run = Run(
    prepared.trainable,
    prepared.statistics,
    prepared.frozen,
    data.train,
    data.validation,
    spec.seed,
    folder=spec.folder,
    title=spec.title,
  )
  return PreparedRun(spec, objective, run, data)


def adapt_and_test(
  specs: Sequence[RunSpec], bases: Mapping[int, Variables], options: TrainOptions
) -> dict[int, records.Result]:
  """Trains runs that differ only in their seed together; returns each result by seed.

  bases: by seed, what `stages.run_stages` returns; none for a method that starts from scratch.
  """
  if not specs:
    return {}
  prepared = {spec.seed: prepare_run(spec, bases.get(spec.seed, {})) for spec in specs}
  objective, first = next(iter(prepared.values())).objective, specs[0]
  protocol, method = first.experiment.protocol, METHODS[first.method]

  def trained(runs: Sequence[Run]) -> dict[int, Trained]:
    train = output_layer.train if method.fits_head else loop.train
    ends = train(
      objective,
      runs,
      training=first.experiment.finetune,
      pretrained=method.pretrained,
      wrap=methods.Wrapped(method, Settings.from_experiment(first.experiment)),
      progress=options.progress,
      stop=options.stop,
    )
    return dict(zip(prepared, ends, strict=True))

  runs, seconds = [start.run for start in prepared.values()], dict.fromkeys(prepared, 0.0)
  for number in range(1, protocol.self_training + 1):
    name = f'teacher{number}'
    teachers = trained(
      [
        dataclasses.replace(run, folder=spec.folder / name, title=f'{run.title}, teacher {number}')
        for spec, run in zip(specs, runs, strict=True)
      ]
    )
    seconds = {seed: seconds[seed] + teacher.seconds for seed, teacher in teachers.items()}
    runs = [_student_run(prepared[seed], teacher) for seed, teacher in teachers.items()]
  return {
    seed: _test(prepared[seed], end, earlier_s=seconds[seed], batch_runs=len(prepared))
    for seed, end in trained(runs).items()
  }


def _student_run(prepared: PreparedRun, teacher: Trained) -> Run:
  """The same run from its start, with the teacher's confident pseudo-labels added to its windows."""
  run, spec, objective = prepared.run, prepared.spec, prepared.objective

  def logits(windows: Batch) -> np.ndarray:
    return predict(objective, teacher.variables | run.frozen, windows)

  unlabeled, _ = spec.fold.unlabeled_windows()
  parts = [run.windows, balancing.pseudo_labeled(unlabeled, logits(unlabeled), seed=spec.seed)]
  if METHODS[spec.method].pretrained:
    sources = spec.fold.sources.windows_of_classes(prepared.data.classes)
    parts.append(balancing.filter_by_teacher(sources, logits(sources), seed=spec.seed))
  return dataclasses.replace(run, windows=balancing.concatenate_equally(parts))


def _test(prepared: PreparedRun, end: Trained, *, earlier_s: float, batch_runs: int) -> records.Result:
  """The result of a run. The test part is used here alone. earlier_s: training time of the teachers."""
  spec, objective, run, data = prepared.spec, prepared.objective, prepared.run, prepared.data
  adapted = end.variables | run.frozen
  logits = predict(objective, adapted, data.test, tta_shifts=spec.experiment.protocol.tta_shifts)
  plain = initial_shapes(objective)
  weights = {path: leaf for path, leaf in plain.items() if path.startswith('params/')}
  added = {path: leaf for path, leaf in run.trainable.items() if path not in plain}
  stages = stages_of(spec) if METHODS[spec.method].pretrained else []
  signals = data.signals[data.indices['train']]
  activities = [data.classes[label] for label in data.train['label']]
  return make_result(
    spec,
    data,
    scipy.special.softmax(logits.astype(np.float64), axis=1),
    signals=summarize(signals, activities, spec.experiment.model.rate_hz),
    collections=list(METHODS[spec.method].collections),
    starts_from=relative_to(stages[-1].folder, spec.result) if stages else None,
    validation=msgspec.convert(end.history, list[records.Validation]),
    step=end.step,
    parameters=records.Counted(
      trainable=variables.count(run.trainable), total=variables.count(weights) + variables.count(added)
    ),
    bytes=records.Bytes(
      frozen=variables.bytes_held(run.frozen),
      trainable=variables.bytes_held(run.trainable),
      statistics=variables.bytes_held(run.statistics),
      optimizer={'state': end.optimizer_bytes},
    ),
    seconds={'training': earlier_s + end.seconds, 'pretraining': 0.0} | seconds_of(stages),
    batch_runs=batch_runs,
  )


def make_result(
  spec: RunSpec, data: TargetWindows, probabilities: Float[np.ndarray, 'w y'], **entries: Any
) -> records.Result:
  """The result of the test part. entries: those that do not follow from its probabilities."""
  labels, predicted = data.test['label'], probabilities.argmax(axis=1)
  return records.Result(
    identity=spec.identity,
    test=metrics.measure(labels, predicted, len(data.classes)),
    selective=metrics.measure_selective(labels, probabilities),
    test_by_subject={
      str(subject): metrics.measure(labels[rows], predicted[rows], len(data.classes))
      for subject in np.unique(data.test_subjects)
      for rows in [data.test_subjects == subject]
    },
    data=data.description,
    versions=runtime.versions(),
    device=runtime.device(),
    **entries,
  )


def relative_to(folder: Place, result: Place) -> str:
  """The folder relative to the result file, so that both can move; in a bucket, its address."""
  if storage.is_bucket(folder) or storage.is_bucket(result):
    return str(folder)
  return pathlib.Path(os.path.relpath(folder, result.parent)).as_posix()
