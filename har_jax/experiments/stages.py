"""The training stages before adaptation, as a list, and the one loop that runs it.

pretraining   masked autoencoding of the sources' windows                   <pretraining>/
continued     the same, on the target's unlabeled training part             <out>/continued/<split>/seed<k>/
supervised    classification of the sources' activities, with labels        <out>/supervised/<split>/seed<k>/
              the same, where no stage on the target comes before           <pretraining>/../supervised/

A stage starts from the variables of the stage before it, as far as its own model has them. The folder of a
stage holds its checkpoints, its log and `pretrained.json`, which says that it is finished.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import jax
import msgspec

from har_jax import config, records, runtime, storage, variables
from har_jax.datasets import balancing
from har_jax.datasets.batches import Batch
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Sources
from har_jax.errors import UserError
from har_jax.experiments import job_lock
from har_jax.experiments.run_spec import RunSpec
from har_jax.storage import Place
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.loop import Run, train
from har_jax.train.objective import Classify, Objective, Reconstruct, initial_shapes
from har_jax.variables import Variables


@dataclasses.dataclass(frozen=True)
class TrainOptions:
  """Settings for training what is not finished yet."""

  may_train: bool = True  # False: an unfinished stage is an error
  progress: bool = True
  stop: Callable[[], bool] = lambda: False  # `train`'s


DEFAULT = TrainOptions()


@dataclasses.dataclass(frozen=True)
class Stage:
  """One training before adaptation.

  `identity` decides its numbers, together with that of the stages before it.
  """

  folder: Place
  objective: Objective
  datasets: Datasets
  windows: Callable[[], tuple[Batch, Batch]]  # reads the windows to train and to validate on
  identity: records.StageIdentity
  seed: int
  title: str

  @property
  def name(self) -> str:
    return self.identity.name

  @property
  def path(self) -> Place:
    return self.folder / 'pretrained.json'


def stages_of(spec: RunSpec) -> list[Stage]:
  """The stages of a run, in order. Runs of every method and label budget share them."""
  protocol, target, sources = spec.experiment.protocol, spec.target, spec.fold.sources
  names = ', '.join(sources.names)
  title = f'{target}: pretraining on {names}'
  stages = [masked_pretraining(spec.pretraining, spec.experiment, sources, title)]
  if protocol.continued_pretraining_steps:
    stages.append(_continued(spec))
  if protocol.supervised_pretraining_steps:
    title = f'{target}: activities of {names}'
    folder, seed = spec.pretraining.parent / 'supervised', 0
    if len(stages) > 1:  # it starts from a stage on the target's split
      folder, seed, title = _folder(spec, 'supervised'), spec.seed, f'{title}, seed {spec.seed}'
    stages.append(supervised_pretraining(folder, spec.experiment, sources, title, seed=seed))
  return stages


def masked_pretraining(folder: Place, experiment: config.Experiment, sources: Sources, title: str) -> Stage:
  """Pretraining of the masked autoencoder on the sources' windows."""
  return Stage(
    folder=folder,
    objective=Reconstruct(experiment.model, experiment.precision),
    datasets=sources.datasets,
    windows=sources.windows,
    identity=records.Pretraining(
      model=records.Encoder.part(experiment.model),
      dtype=experiment.precision.dtype,
      training=experiment.pretrain,
      validation=experiment.protocol.validation_fraction,
      normalize='none' if experiment.protocol.normalize == 'none' else 'train',
      windows=sources.datasets.identify(sources.names),
    ),
    seed=0,
    title=title,
  )


def _continued(spec: RunSpec) -> Stage:
  """Continued (task-adaptive) pretraining on the target's training part.

  Source: arXiv:2004.10964, section 4.
  The label budget is no part of its identity: runs of every budget share it.
  """
  experiment, protocol = spec.experiment, spec.experiment.protocol
  return Stage(
    folder=_folder(spec, 'continued'),
    objective=Reconstruct(experiment.model, experiment.precision),
    datasets=spec.fold.datasets,
    windows=spec.fold.unlabeled_windows,
    identity=records.Continued(
      protocol=msgspec.convert(protocol, records.Splitting, from_attributes=True),
      training=experiment.pretrain.fixed_length(protocol.continued_pretraining_steps),
      seed=spec.seed,
      windows={spec.target: spec.identity.windows[spec.target]},
    ),
    seed=spec.seed,
    title=f'{spec.target}: continued pretraining, {protocol.split} split, seed {spec.seed}',
  )


def supervised_pretraining(
  folder: Place, experiment: config.Experiment, sources: Sources, title: str, *, seed: int = 0
) -> Stage:
  """Supervised pretraining: fine-tuning's steps on the sources' activities.   Source: arXiv:1811.01088.

  Raises UserError where the sources have fewer than two activities.
  """
  steps, classes = experiment.protocol.supervised_pretraining_steps, sources.classes
  if len(classes) < 2:
    raise UserError(
      f'supervised_pretraining_steps {steps} need at least two activities; '
      f'{", ".join(sources.names)} have {", ".join(classes) or "none"}'
    )
  return Stage(
    folder=folder,
    objective=Classify(experiment.model, len(classes), experiment.precision),
    datasets=sources.datasets,
    windows=sources.labeled_windows,
    identity=records.Supervised(
      model=experiment.model,
      classes=list(classes),
      windows_per_source=balancing.WINDOWS_PER_SOURCE,
      training=experiment.finetune.fixed_length(steps),
      seed=seed,
      windows=sources.datasets.identify(sources.names),
    ),
    seed=seed,
    title=title,
  )


def _folder(spec: RunSpec, stage: str) -> Place:
  return spec.out / stage / spec.experiment.protocol.split / f'seed{spec.seed}'


def run_stages(stages: Sequence[Stage], options: TrainOptions) -> Variables:
  """The variables after the last stage. A finished stage is loaded; the others are trained, by one job each.

  Raises UserError where a stage is unfinished and may not be trained, or where its folder is another
  experiment's.
  """
  stages = _chain(stages)
  for stage in stages:
    job_lock.is_claimed(stage.folder, stage.identity)
  finished = len(list(itertools.takewhile(_is_finished, stages)))
  variables_before: Variables = {}
  for stage in stages[max(finished - 1, 0) :]:
    variables_before = _load_or_train(stage, variables_before, options)
  for stage in stages:
    job_lock.sweep(stage.folder)
  return variables_before


def seconds_of(stages: Sequence[Stage]) -> dict[str, float]:
  """Training time of each finished stage, by name."""
  return {stage.name: storage.read_record(stage.path, records.Stage).seconds for stage in stages}


def _chain(stages: Sequence[Stage]) -> list[Stage]:
  """Adds to each stage's identity that of the stage before it."""

  def follow(before: Stage, stage: Stage) -> Stage:
    identity = msgspec.structs.replace(stage.identity, before=before.identity)
    return dataclasses.replace(stage, identity=identity)

  return list(itertools.accumulate(stages, follow))


def _load_or_train(stage: Stage, before: Variables, options: TrainOptions) -> Variables:
  """Loads a finished stage, or trains it under its lock if no other job has finished it meanwhile."""
  if not _is_finished(stage):
    if not options.may_train:
      raise UserError(
        f'{stage.path} is missing, and --phase=adapt trains no stage; run --phase=pretrain first'
      )
    with job_lock.exclusive(stage.folder, stage.identity, title=stage.title, stop=options.stop) as stop:
      if not _is_finished(stage):
        return _train(stage, before, dataclasses.replace(options, stop=stop))
  step = storage.read_record(stage.path, records.Stage).step
  return Checkpoints(stage.folder / 'checkpoints').variables(step, initial_shapes(stage.objective))


def _train(stage: Stage, before: Variables, options: TrainOptions) -> Variables:
  """Trains a stage, and writes that it is finished."""
  windows, validation = stage.windows()
  stage.datasets.check_unchanged(stage.identity.windows)
  shapes = initial_shapes(stage.objective)
  first = {path: leaf for path, leaf in before.items() if path in shapes}
  if len(first) < len(shapes):  # leaves that the stage before has not are drawn
    first = stage.objective.init(jax.random.key(stage.seed)) | first
  statistics, trainable = variables.split_statistics(first)
  run = Run(
    trainable, statistics, {}, windows, validation, stage.seed, folder=stage.folder, title=stage.title
  )
  (trained,) = train(
    stage.objective,
    [run],
    training=stage.identity.training,
    pretrained=False,
    progress=options.progress,
    stop=options.stop,
  )
  done = records.Stage(
    identity=stage.identity,
    step=trained.step,
    seconds=trained.seconds,
    history=msgspec.convert(trained.history, list[records.Validation]),
    windows=len(windows['signal']),
    versions=runtime.versions(),
    device=runtime.device(),
  )
  options.stop()  # raises if another job has taken the folder over
  job_lock.write(stage.path, done)
  return trained.variables


def _is_finished(stage: Stage) -> bool:
  """A `pretrained.json` without checkpoints does not count."""
  return job_lock.exists(stage.path) and job_lock.exists(stage.folder / 'checkpoints')
