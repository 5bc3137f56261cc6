"""Pretraining: one a target, shared by all its runs; and, where asked for, what goes on from it, once a seed."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

import jax

from har_jax import config, config_fields, runtime, storage, variables
from har_jax.data import folds, temporal_pairs
from har_jax.data.batches import Batch
from har_jax.errors import UserError
from har_jax.experiments import job_lock
from har_jax.experiments.study import Study, checksums, pretrained_path, stage_path
from har_jax.storage import Place
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.loop import Run, train
from har_jax.train.objective import Classify, Contrastive, Objective, Reconstruct
from har_jax.variables import Variables


class TrainOptions(TypedDict, total=False):
  """How to train what is not there yet; left out: it may be, with progress, and nothing stops it."""

  may_train: bool
  progress: bool
  stop: Callable[[], bool]  # `train`'s


def pretrained_encoder(study: Study, target: str, seed: int, **how: Unpack[TrainOptions]) -> Variables:
  """What a run of this seed starts from: the encoder, pretrained on the target's sources; then on its own train part where
  the protocol has `continued_pretraining_steps`; there by contrast where it has `contrastive_steps`; then by its sources' labels where it has
  `supervised_pretraining_steps`, with the head that learned them, its outputs those of `folds.source_classes`. Trained now where no job has
  done it yet.

  Raises UserError where it is not done and may not be.
  """
  protocol, path = study.experiment.protocol, pretrained_path(study, target)
  whole = pretrained_autoencoder(study, target, **how)
  if protocol.continued_pretraining_steps:
    whole = _continued(study, target, seed, whole, **how)
    path = stage_path(study, target, 'continued', seed)
  if protocol.contrastive_steps:
    whole = _contrasted(study, target, seed, path, whole, **how)
    path = stage_path(study, target, 'contrasted', seed)
  if protocol.supervised_pretraining_steps:
    sources = study.sources_of(target)
    return pretrain_supervised(
      stage_path(study, target, 'labeled', seed),
      path,
      whole,
      study.experiment,
      study.windows,
      sources,
      seed=seed,
      title=f'{target}: activities of {", ".join(sources)}, seed {seed}',
      **how,
    )
  return _encoder(whole)


def _encoder(whole: Variables) -> Variables:
  return variables.split(whole, lambda path: path.startswith('params/encoder/'))[0]


def _only(training: config.Training, steps: int) -> config.Training:
  return dataclasses.replace(training, epochs=float(steps), max_steps=steps, num_evals=1, patience=0)


def _continued(
  study: Study, target: str, seed: int, whole: Variables, **how: Unpack[TrainOptions]
) -> Variables:
  """The autoencoder after so many steps more.   Source: arXiv:2004.10964, section 4 (task-adaptive pretraining)."""
  folder, protocol = study.windows, study.experiment.protocol
  return train_or_load(
    stage_path(study, target, 'continued', seed),
    _on_target(study, target, seed, pretrained_path(study, target), 'contrastive_steps'),
    Reconstruct(study.experiment.model, study.experiment.precision),
    _only(study.experiment.pretrain, protocol.continued_pretraining_steps),
    lambda: (whole, *folds.unlabeled_windows(folder, target, protocol, seed)),
    seed=seed,
    title=f'{target}: pretraining on its own train part, by {protocol.split}, seed {seed}',
    **how,
  )


def _on_target(study: Study, target: str, seed: int, before: Place, *later: str) -> dict[str, Any]:
  """Identity of what goes on over the target's train part, from what the file at `before` tells of; `later` knobs come after it."""
  # The label budget is no part of it, so that runs of every budget share it; nor is what comes after.
  later = ('label_budget', 'supervised_pretraining_steps', 'self_training', 'tta_shifts', *later)
  asked = config_fields.to_json(study.experiment.protocol)
  return {
    'from': storage.read(before)['identity'],
    'protocol': {name: value for name, value in asked.items() if name not in later},
    'seed': seed,
    'windows': checksums(study.windows, [target]),
  }


def _contrasted(
  study: Study, target: str, seed: int, before: Place, whole: Variables, **how: Unpack[TrainOptions]
) -> Variables:
  """The encoder, and what contrasts on top of it, after so many steps over the target's train part."""
  experiment, protocol = study.experiment, study.experiment.protocol
  objective = Contrastive(experiment.model, experiment.precision)
  # A pair of windows for each window of pretraining's would take twice its time; whole rows of a person's.
  rows = max(experiment.pretrain.batch // 2 // temporal_pairs.IN_A_ROW, 1)
  halved = dataclasses.replace(experiment.pretrain, batch=rows * temporal_pairs.IN_A_ROW)
  training = _only(halved, protocol.contrastive_steps)
  asked = {name: getattr(objective, name) for name in ('temperature', 'degrees', 'apart_s', 'together')}
  return train_or_load(
    stage_path(study, target, 'contrasted', seed),
    _on_target(study, target, seed, before)
    | {'contrast': asked, 'training': config_fields.to_json(training)},
    objective,
    training,
    lambda: (
      objective.init(jax.random.key(seed)) | _encoder(whole),
      *folds.followed_windows(study.windows, target, protocol, seed),
    ),
    pretrained=True,
    seed=seed,
    title=f'{target}: what follows a window, by {protocol.split}, seed {seed}',
    **how,
  )


def pretrain_supervised(
  path: Place,
  before: Place,
  whole: Variables,
  experiment: config.Experiment,
  folder: pathlib.Path,
  sources: Sequence[str],
  *,
  seed: int,
  title: str,
  **how: Unpack[TrainOptions],
) -> Variables:
  """The encoder and a head after so many steps of telling the sources' activities apart, whose pretrained.json is or shall be at `path`.

  `whole` is what it starts from, which the pretrained.json at `before` tells of; steps are fine-tuning's, every weight at the
  rate of new ones.   Source: arXiv:1811.01088 (a labeled task between pretraining and the target).
  Raises UserError where the sources have fewer than two activities, or as `pretrained_encoder` does.
  """
  protocol = experiment.protocol
  classes = folds.source_classes(folder, sources, protocol)
  if len(classes) < 2:
    raise UserError(
      f'supervised_pretraining_steps {protocol.supervised_pretraining_steps} need two activities or more; {", ".join(sources)} have {", ".join(classes) or "none"}'
    )
  objective = Classify(experiment.model, len(classes), experiment.precision)
  training = _only(experiment.finetune, protocol.supervised_pretraining_steps)
  identity = {
    'from': storage.read(before)['identity'],
    'model': config_fields.to_json(experiment.model),
    'classes': list(classes),
    'training': config_fields.to_json(training),
    'seed': seed,
    'windows': checksums(folder, sources),
  }
  return train_or_load(
    path,
    identity,
    objective,
    training,
    lambda: (
      objective.init(jax.random.key(seed)) | _encoder(whole),
      *folds.labeled_source_windows(folder, sources, protocol),
    ),
    seed=seed,
    title=title,
    **how,
  )


def pretrained_autoencoder(study: Study, target: str, **how: Unpack[TrainOptions]) -> Variables:
  """Encoder and decoder, pretrained on the target's sources. Raises UserError as `pretrained_encoder` does."""
  sources = study.sources_of(target)
  return pretrain_mae(
    pretrained_path(study, target),
    study.experiment,
    study.windows,
    sources,
    title=f'{target}: pretraining on {", ".join(sources)}',
    **how,
  )


def pretrain_mae(
  path: Place,
  experiment: config.Experiment,
  folder: pathlib.Path,
  sources: Sequence[str],
  *,
  title: str,
  **how: Unpack[TrainOptions],
) -> Variables:
  """The autoencoder whose pretrained.json is or shall be at `path`, pretrained on the sources' windows under `folder`.

  Raises UserError as `pretrained_encoder` does.
  """
  model = config_fields.to_json(experiment.model)
  identity = {
    'model': {name: value for name, value in model.items() if name not in ('head', 'dropout')},
    'dtype': experiment.precision.dtype,
    'training': config_fields.to_json(experiment.pretrain),
    'validation': experiment.protocol.validation_fraction,
    'windows': checksums(folder, sources),
  }
  objective = Reconstruct(experiment.model, experiment.precision)
  return train_or_load(
    path,
    identity,
    objective,
    experiment.pretrain,
    lambda: (
      objective.init(jax.random.key(0)),
      *folds.pretraining_windows(folder, sources, experiment.protocol),
    ),
    seed=0,
    title=title,
    **how,
  )


def train_or_load(
  path: Place,
  identity: dict[str, Any],
  objective: Objective,
  training: config.Training,
  prepare_run: Callable[[], tuple[Variables, Batch, Batch]],
  *,
  seed: int,
  title: str,
  pretrained: bool = False,
  may_train: bool = True,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> Variables:
  """The variables that the file at `path` tells of; trained now, by one job, where they are not there.

  `begin` gives the first variables, and the windows to train and to validate on. `pretrained`: the encoder moves at the rate for such.
  """
  job_lock.is_claimed(path.parent, identity)
  trained: Variables | None = None
  if not _is_done(path):
    if not may_train:
      raise UserError(
        f'{path} is missing, and --stage=adapt pretrains nothing; run --stage=pretrain before it'
      )
    with job_lock.exclusive(path.parent, identity, title=title, stop=stop) as still:
      if not _is_done(path):  # nor made by another job, while this one waited
        first, windows, validation = prepare_run()
        statistics, moving = variables.split(first, lambda leaf: leaf.startswith('batch_stats/'))
        run = Run(moving, statistics, {}, windows, validation, seed, folder=path.parent, title=title)
        (done,) = train(
          objective, [run], training=training, pretrained=pretrained, progress=progress, stop=still
        )
        trained = done.variables
        job_lock.write(
          path,
          {'identity': identity, 'step': done.step, 'seconds': done.seconds, 'history': done.history}
          | {'windows': len(windows['signal'])}
          | runtime.describe(),
        )
  if trained is None:
    shapes = jax.eval_shape(objective.init, jax.random.key(0))
    trained = Checkpoints(path.parent / 'checkpoints').variables(storage.read(path)['step'], shapes)
  return trained


def _is_done(path: Place) -> bool:
  """A result file without its checkpoints, as it comes with a clone of a repository, is made again."""
  return job_lock.exists(path) and job_lock.exists(path.parent / 'checkpoints')
