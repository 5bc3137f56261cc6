"""Pretraining: one a target, shared by all its runs; and, where asked for, what goes on from it, once a seed."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

import jax

from har_jax import config, knobs, results, runtime, variables
from har_jax.data import folds, neighbours
from har_jax.data.batches import Batch
from har_jax.errors import UserError
from har_jax.lodo import claim
from har_jax.lodo.study import Study, checksums, pretrained_path, stage_path
from har_jax.results import Place
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.loop import Run, train
from har_jax.train.objective import Classify, Contrast, Objective, Reconstruct
from har_jax.variables import Variables


class How(TypedDict, total=False):
  """How to train what is not there yet; left out: it may be, with progress, and nothing stops it."""

  may_train: bool
  progress: bool
  stop: Callable[[], bool]  # `train`'s


def pretrained_encoder(study: Study, target: str, seed: int, **how: Unpack[How]) -> Variables:
  """What a run of this seed starts from: the encoder, pretrained on the target's sources; then on its own train part where
  the protocol has `unlabelled_steps`; there by contrast where it has `contrast_steps`; then by its sources' labels where it has
  `source_label_steps`, with the head that learned them, its outputs those of `folds.source_classes`. Trained now where no job has
  done it yet.

  Raises UserError where it is not done and may not be.
  """
  protocol, path = study.experiment.protocol, pretrained_path(study, target)
  whole = pretrained_autoencoder(study, target, **how)
  if protocol.unlabelled_steps:
    whole = _continued(study, target, seed, whole, **how)
    path = stage_path(study, target, 'continued', seed)
  if protocol.contrast_steps:
    whole = _contrasted(study, target, seed, path, whole, **how)
    path = stage_path(study, target, 'contrasted', seed)
  if protocol.source_label_steps:
    sources = study.sources_of(target)
    return labelled_at(
      stage_path(study, target, 'labelled', seed),
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
  return dataclasses.replace(training, epochs=float(steps), max_steps=steps, evaluations=1, patience=0)


def _continued(study: Study, target: str, seed: int, whole: Variables, **how: Unpack[How]) -> Variables:
  """The autoencoder after so many steps more.   Source: arXiv:2004.10964, section 4 (task-adaptive pretraining)."""
  folder, protocol = study.windows, study.experiment.protocol
  return _trained_once(
    stage_path(study, target, 'continued', seed),
    _on_target(study, target, seed, pretrained_path(study, target), 'contrast_steps'),
    Reconstruct(study.experiment.model, study.experiment.precision),
    _only(study.experiment.pretrain, protocol.unlabelled_steps),
    lambda: (whole, *folds.unlabelled_windows(folder, target, protocol, seed)),
    seed=seed,
    title=f'{target}: pretraining on its own train part, by {protocol.split}, seed {seed}',
    **how,
  )


def _on_target(study: Study, target: str, seed: int, before: Place, *later: str) -> dict[str, Any]:
  """Identity of what goes on over the target's train part, from what the file at `before` tells of; `later` knobs come after it."""
  # The label budget is no part of it, so that runs of every budget share it; nor is what comes after.
  later = ('labels', 'source_label_steps', 'self_training', 'test_shifts', *later)
  asked = knobs.to_json(study.experiment.protocol)
  return {
    'from': results.read(before)['identity'],
    'protocol': {name: value for name, value in asked.items() if name not in later},
    'seed': seed,
    'windows': checksums(study.windows, [target]),
  }


def _contrasted(
  study: Study, target: str, seed: int, before: Place, whole: Variables, **how: Unpack[How]
) -> Variables:
  """The encoder, and what contrasts on top of it, after so many steps over the target's train part."""
  experiment, protocol = study.experiment, study.experiment.protocol
  objective = Contrast(experiment.model, experiment.precision)
  # A pair of windows for each window of pretraining's would take twice its time; whole rows of a person's.
  rows = max(experiment.pretrain.batch // 2 // neighbours.IN_A_ROW, 1)
  halved = dataclasses.replace(experiment.pretrain, batch=rows * neighbours.IN_A_ROW)
  training = _only(halved, protocol.contrast_steps)
  asked = {name: getattr(objective, name) for name in ('temperature', 'degrees', 'apart_s', 'together')}
  return _trained_once(
    stage_path(study, target, 'contrasted', seed),
    _on_target(study, target, seed, before) | {'contrast': asked, 'training': knobs.to_json(training)},
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


def labelled_at(
  path: Place,
  before: Place,
  whole: Variables,
  experiment: config.Experiment,
  folder: pathlib.Path,
  sources: Sequence[str],
  *,
  seed: int,
  title: str,
  **how: Unpack[How],
) -> Variables:
  """The encoder and a head after so many steps of telling the sources' activities apart, whose pretrained.json is or shall be at `path`.

  `whole` is what it starts from, which the pretrained.json at `before` tells of; steps are fine-tuning's, every weight at the
  rate of new ones.   Source: arXiv:1811.01088 (a labelled task between pretraining and the target).
  Raises UserError where the sources have fewer than two activities, or as `pretrained_encoder` does.
  """
  protocol = experiment.protocol
  classes = folds.source_classes(folder, sources, protocol)
  if len(classes) < 2:
    raise UserError(
      f'source_label_steps {protocol.source_label_steps} need two activities or more; {", ".join(sources)} have {", ".join(classes) or "none"}'
    )
  objective = Classify(experiment.model, len(classes), experiment.precision)
  training = _only(experiment.finetune, protocol.source_label_steps)
  identity = {
    'from': results.read(before)['identity'],
    'model': knobs.to_json(experiment.model),
    'classes': list(classes),
    'training': knobs.to_json(training),
    'seed': seed,
    'windows': checksums(folder, sources),
  }
  return _trained_once(
    path,
    identity,
    objective,
    training,
    lambda: (
      objective.init(jax.random.key(seed)) | _encoder(whole),
      *folds.labelled_source_windows(folder, sources, protocol),
    ),
    seed=seed,
    title=title,
    **how,
  )


def pretrained_autoencoder(study: Study, target: str, **how: Unpack[How]) -> Variables:
  """Encoder and decoder, pretrained on the target's sources. Raises UserError as `pretrained_encoder` does."""
  sources = study.sources_of(target)
  return autoencoder_at(
    pretrained_path(study, target),
    study.experiment,
    study.windows,
    sources,
    title=f'{target}: pretraining on {", ".join(sources)}',
    **how,
  )


def autoencoder_at(
  path: Place,
  experiment: config.Experiment,
  folder: pathlib.Path,
  sources: Sequence[str],
  *,
  title: str,
  **how: Unpack[How],
) -> Variables:
  """The autoencoder whose pretrained.json is or shall be at `path`, pretrained on the sources' windows under `folder`.

  Raises UserError as `pretrained_encoder` does.
  """
  model = knobs.to_json(experiment.model)
  identity = {
    'model': {name: value for name, value in model.items() if name not in ('head', 'dropout')},
    'dtype': experiment.precision.dtype,
    'training': knobs.to_json(experiment.pretrain),
    'validation': experiment.protocol.validation_share,
    'windows': checksums(folder, sources),
  }
  objective = Reconstruct(experiment.model, experiment.precision)
  return _trained_once(
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


def _trained_once(
  path: Place,
  identity: dict[str, Any],
  objective: Objective,
  training: config.Training,
  begin: Callable[[], tuple[Variables, Batch, Batch]],
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
  claim.is_claimed(path.parent, identity)
  trained: Variables | None = None
  if not _is_done(path):
    if not may_train:
      raise UserError(
        f'{path} is missing, and --stage=adapt pretrains nothing; run --stage=pretrain before it'
      )
    with claim.alone(path.parent, identity, title=title, stop=stop) as still:
      if not _is_done(path):  # nor made by another job, while this one waited
        first, windows, validation = begin()
        statistics, moving = variables.split(first, lambda leaf: leaf.startswith('batch_stats/'))
        run = Run(moving, statistics, {}, windows, validation, seed, folder=path.parent, title=title)
        (done,) = train(
          objective, [run], training=training, pretrained=pretrained, progress=progress, stop=still
        )
        trained = done.variables
        claim.write(
          path,
          {'identity': identity, 'step': done.step, 'seconds': done.seconds, 'history': done.history}
          | {'windows': len(windows['signal'])}
          | runtime.describe(),
        )
  if trained is None:
    shapes = jax.eval_shape(objective.init, jax.random.key(0))
    trained = Checkpoints(path.parent / 'checkpoints').variables(results.read(path)['step'], shapes)
  return trained


def _is_done(path: Place) -> bool:
  """A result file without its checkpoints, as it comes with a clone of a repository, is made again."""
  return claim.exists(path) and claim.exists(path.parent / 'checkpoints')
