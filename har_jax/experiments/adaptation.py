"""Adaptation of a pretrained encoder to a target: train, validate, test once."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from har_jax import results, runtime, storage, variables
from har_jax.data import balancing, folds
from har_jax.data.batches import Batch
from har_jax.experiments import self_training
from har_jax.experiments.study import Study, pretrained_path, result_path, stage_path
from har_jax.methods import Method
from har_jax.train import metrics
from har_jax.train.loop import Run, Trained, predict, train
from har_jax.train.objective import Classify
from har_jax.variables import Variables


@dataclasses.dataclass(frozen=True)
class PreparedRun:
  """A run before its first step."""

  objective: Classify
  run: Run
  data: folds.TargetWindows


def prepare_run(study: Study, target: str, method: Method, base: Variables, seed: int) -> PreparedRun:
  """Splits the target, draws a head and adapters, and sorts out what moves.

  `base` is what `pretrained_encoder` gives. A head among it is gone on from, but where adapters freeze the head as drawn.
  """
  experiment = study.experiment
  windows = folds.target_windows(study.windows, target, experiment.protocol, seed)
  objective = Classify(experiment.model, len(windows.classes), experiment.precision)
  # Op by op, not under jit: a program of every weight's draw takes 5 to 11 s to compile for each method and head,
  # while single draws are compiled once for all of them (0.4 to 0.8 s).
  head_key, adapter_key = jax.random.split(jax.random.key(seed))
  started = objective.init(head_key)
  if method.pretrained:
    encoder, head = variables.split(base, lambda path: path.startswith('params/encoder/'))
    started |= encoder
    if head and 'head' not in experiment.lora.targets:
      known = folds.source_classes(study.windows, study.sources_of(target), experiment.protocol)
      outputs = f'params/head/dense_{len(experiment.model.head)}/'
      started |= {
        path: _of_classes(leaf, started[path], known, windows.classes) if path.startswith(outputs) else leaf
        for path, leaf in head.items()
      }
  adapted = method.adapt(started, experiment, adapter_key)
  statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
  trainable, frozen = variables.split(jax.device_put(rest), lambda path: method.trains(path, experiment))
  run = Run(
    trainable,
    statistics,
    frozen,
    windows.train,
    windows.validation,
    seed,
    folder=result_path(study, target, method.name, seed).with_suffix(''),
    title=f'{target}: {method.name}, by {experiment.protocol.split}, seed {seed}',
  )
  return PreparedRun(objective, run, windows)


def _of_classes(leaf: Any, drawn: Any, known: Sequence[str], classes: Sequence[str]) -> Any:
  """Weights or biases of outputs that tell `known` activities apart, for `classes` instead; as drawn where one is not known."""
  of_class = {place: known.index(name) for place, name in enumerate(classes) if name in known}
  to, taken = np.array(list(of_class), int), np.array(list(of_class.values()), int)
  return drawn.at[..., to].set(leaf[..., taken])


def adapt_and_test(
  study: Study,
  target: str,
  method: Method,
  bases: Mapping[int, Variables],
  identities: Mapping[int, dict[str, Any]],
  *,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> dict[int, dict[str, Any]]:
  """Runs, by seed, side by side: split, adapt, train, validate, test once. `bases`: the encoder of each seed, if pretrained."""
  experiment = study.experiment
  prepared = {seed: prepare_run(study, target, method, bases.get(seed, {}), seed) for seed in identities}
  if not prepared:
    return {}
  objective = next(iter(prepared.values())).objective

  def trained(runs: Sequence[Run]) -> dict[int, Trained]:
    ends = train(
      objective,
      runs,
      training=experiment.finetune,
      pretrained=method.pretrained,
      progress=progress,
      stop=stop,
    )
    return dict(zip(prepared, ends, strict=True))

  runs, spent = [each.run for each in prepared.values()], dict.fromkeys(prepared, 0.0)
  for number in range(1, experiment.protocol.self_training + 1):
    teachers = trained([_as_teacher(run, number) for run in runs])
    spent = {seed: spent[seed] + teacher.seconds for seed, teacher in teachers.items()}
    runs = [
      _student_run(study, target, method, prepared[seed], teacher) for seed, teacher in teachers.items()
    ]
  return {
    seed: _tested(prepared[seed], end, experiment.protocol.tta_shifts)
    | {'identity': identities[seed], 'side_by_side': len(prepared)}
    | {'seconds': {'training': spent[seed] + end.seconds} | _pretraining_s(study, target, method, seed)}
    for seed, end in trained(runs).items()
  }


def _as_teacher(run: Run, number: int) -> Run:
  return dataclasses.replace(
    run, folder=run.folder / f'teacher{number}', title=f'{run.title}, teacher {number}'
  )


def _student_run(study: Study, target: str, method: Method, prepared: PreparedRun, teacher: Trained) -> Run:
  """The run as it began, with what the teacher adds to the windows that it learns from."""
  run, protocol, objective = prepared.run, study.experiment.protocol, prepared.objective

  def logits(windows: Batch) -> np.ndarray:
    return predict(objective, teacher.variables | run.frozen, windows)

  own, _ = folds.unlabeled_windows(study.windows, target, protocol, run.seed)
  parts = [run.windows, self_training.self_labeled(own, logits(own), seed=run.seed)]
  if method.pretrained:
    sources = study.sources_of(target)
    theirs = folds.source_windows_of(study.windows, sources, protocol, prepared.data.classes)
    parts.append(self_training.filter_by_teacher(theirs, logits(theirs), seed=run.seed))
  return dataclasses.replace(run, windows=balancing.joined(parts))


def _pretraining_s(study: Study, target: str, method: Method, seed: int) -> dict[str, float]:
  if not method.pretrained:
    return {'pretraining': 0.0}
  told = {'pretraining': storage.read(pretrained_path(study, target))['seconds']}
  return told | {stage: storage.read(stage_path(study, target, stage, seed))['seconds'] for stage in ()}


def _tested(prepared: PreparedRun, end: Trained, tta_shifts: int) -> dict[str, Any]:
  """What a result file says of a run, apart from what the run was asked for and what it took."""
  objective, run, data = prepared.objective, prepared.run, prepared.data
  predicted = predict(objective, end.variables | run.frozen, data.test, tta_shifts=tta_shifts).argmax(axis=1)
  unadapted = jax.eval_shape(objective.init, jax.random.key(0))
  in_base = variables.count({path: leaf for path, leaf in unadapted.items() if path.startswith('params/')})
  in_adapters = variables.count(
    {path: leaf for path, leaf in (run.trainable | run.frozen).items() if path.startswith('lora/')}
  )
  return {
    'format': results.FORMAT,
    'test': metrics.measure(data.test['label'], predicted, len(data.classes)),
    'test_by_subject': _by_subject(data, predicted),
    'validation': end.history,
    'step': end.step,
    'parameters': {'trainable': variables.count(run.trainable), 'total': in_base + in_adapters},
    'bytes': {
      'frozen': variables.bytes_held(run.frozen),
      'trainable': variables.bytes_held(run.trainable),
      'statistics': variables.bytes_held(run.statistics),
      'optimizer': {'state': end.optimizer_bytes},
    },
    'data': data.description,
  } | runtime.describe()


def _by_subject(data: folds.TargetWindows, predicted: np.ndarray) -> dict[str, Any]:
  """Each test subject's own figures."""
  by_subject = {}
  for subject in np.unique(data.test_subjects):
    own = data.test_subjects == subject
    by_subject[str(subject)] = metrics.measure(data.test['label'][own], predicted[own], len(data.classes))
  return by_subject
