"""Pretraining: one a target, shared by all its runs."""

import pathlib
from collections.abc import Callable, Sequence

import jax

from har_jax import config, results, runtime, variables
from har_jax.data import folds
from har_jax.errors import UserError
from har_jax.lodo import claim
from har_jax.lodo.study import Study, checksums, pretrained_path
from har_jax.results import Place
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.loop import Run, train
from har_jax.train.objective import Reconstruct
from har_jax.variables import Variables


def pretrained_encoder(
  study: Study,
  target: str,
  *,
  may_train: bool = True,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> Variables:
  """The encoder's variables, pretrained on the target's sources; trained now where no job has done it yet.

  Raises UserError where it is not done and may not be.
  """
  whole = pretrained_autoencoder(study, target, may_train=may_train, progress=progress, stop=stop)
  return variables.split(whole, lambda path: path.startswith('params/encoder/'))[0]


def pretrained_autoencoder(
  study: Study,
  target: str,
  *,
  may_train: bool = True,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> Variables:
  """As `pretrained_encoder`, with the decoder."""
  sources = study.sources_of(target)
  return autoencoder_at(
    pretrained_path(study, target),
    study.experiment,
    study.windows,
    sources,
    title=f'{target}: pretraining on {", ".join(sources)}',
    may_train=may_train,
    progress=progress,
    stop=stop,
  )


def autoencoder_at(
  path: Place,
  experiment: config.Experiment,
  folder: pathlib.Path,
  sources: Sequence[str],
  *,
  title: str,
  may_train: bool = True,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> Variables:
  """The autoencoder whose pretrained.json is or shall be at `path`, pretrained on the sources' windows under `folder`.

  Raises UserError as `pretrained_encoder` does.
  """
  model = config.to_json(experiment.model)
  identity = {
    'model': {name: value for name, value in model.items() if name not in ('head', 'dropout')},
    'dtype': experiment.precision.dtype,
    'training': config.to_json(experiment.pretrain),
    'validation': experiment.protocol.validation_share,
    'windows': checksums(folder, sources),
  }
  claim.is_claimed(path.parent, identity)
  objective = Reconstruct(experiment.model, experiment.precision)
  trained: Variables | None = None
  if not _is_done(path):
    if not may_train:
      raise UserError(
        f'{path} is missing, and --stage=adapt pretrains nothing; run --stage=pretrain before it'
      )
    with claim.alone(path.parent, identity, title=title, stop=stop) as still:
      if not _is_done(path):  # nor made by another job, while this one waited
        windows, validation = folds.pretraining_windows(folder, sources, experiment.protocol)
        run = Run(
          trainable=objective.init(jax.random.key(0)),
          statistics={},
          frozen={},
          windows=windows,
          validation=validation,
          seed=0,
          folder=path.parent,
          title=title,
        )
        (done,) = train(
          objective, [run], training=experiment.pretrain, pretrained=False, progress=progress, stop=still
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
