"""Leave-One-Dataset-Out: pretrain without the target, adapt to it, test; one result file a run.

<out>/<target>/pretrain/                                      shared by all methods, splits, budgets and seeds
<out>/<target>/<method>/<split>/labels-<budget>/seed<k>.json  a result, and beside it the run's folder
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from har_jax import config, results, runtime, variables
from har_jax.data import folds
from har_jax.data import windows as store
from har_jax.errors import UserError
from har_jax.peft import METHODS, Method
from har_jax.train import metrics
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.loop import predict, train
from har_jax.train.objective import Classify, Reconstruct
from har_jax.variables import Variables

# The same people's recordings under two names: neither may be a source where the other is the target.
_TWINS = (frozenset({'hapt', 'ucihar'}),)


@dataclasses.dataclass(frozen=True)
class Study:
  """What to run: targets × methods × seeds of one experiment, over the windows of one folder."""

  windows: pathlib.Path
  out: pathlib.Path
  experiment: config.Experiment
  targets: tuple[str, ...]
  methods: tuple[str, ...]
  seeds: tuple[int, ...]
  sources: tuple[str, ...] = ()  # of pretraining; none: every archive but the target

  def __post_init__(self):
    known = available(self.windows)
    for name in (*self.targets, *self.sources):
      if name not in known:
        raise UserError(f'no windows of {name!r} under {self.windows}; there are {", ".join(known)}')
    for name in self.methods:
      if name not in METHODS:
        raise UserError(f'unknown method {name!r}; one of {", ".join(METHODS)}')
    for seed in self.seeds:
      if not 0 <= seed < 2**32:  # NumPy's and scikit-learn's range
        raise UserError(f'seed {seed} is out of range; give whole numbers from 0 up')
    for target in self.targets:
      if left_out := _left_out(target).intersection(self.sources):
        raise UserError(
          f'{", ".join(sorted(left_out))} among the sources is the target {target}, or its recordings'
        )
      if not self.sources_of(target):
        raise UserError(f'nothing to pretrain on for {target}: {self.windows} holds no other archive')

  def sources_of(self, target: str) -> tuple[str, ...]:
    return self.sources or tuple(name for name in available(self.windows) if name not in _left_out(target))


def available(windows: pathlib.Path) -> list[str]:
  """The datasets of a folder of windows. Raises UserError where there is none."""
  names = sorted(path.parent.name for path in windows.glob('[!.]*/meta.json'))
  if not names:
    raise UserError(f'no windows under {windows}; make some with launch/prepare.py')
  return names


def _left_out(target: str) -> frozenset[str]:
  return frozenset({target}).union(*(twins for twins in _TWINS if target in twins))


def run(study: Study, *, progress: bool = True) -> Iterator[tuple[pathlib.Path, dict[str, Any]]]:
  """Each run's result file and what is in it, as they come; finished runs are read, not run again."""
  for target in study.targets:
    base: Variables | None = None
    for seed in study.seeds:
      for name in study.methods:
        path = result_path(study, target, name, seed)
        identity = _identity(study, target, name, seed)
        if path.exists():
          result = results.read(path)
          _refuse_other(path, result.get('identity'), identity)
        else:
          base = pretrained_encoder(study, target, progress=progress) if base is None else base
          result = adapt_and_test(
            study, target, METHODS[name], seed, base, identity=identity, progress=progress
          )
          results.write(path, result)
        yield path, result


def result_path(study: Study, target: str, method: str, seed: int) -> pathlib.Path:
  protocol = study.experiment.protocol
  budget = protocol.labels.replace('/', '-per-')
  return study.out / target / method / protocol.split / f'labels-{budget}' / f'seed{seed}.json'


def _identity(study: Study, target: str, method: str, seed: int) -> dict[str, Any]:
  """All that decides a result's numbers; a result file made with another is not taken for this one."""
  return {
    'target': target,
    'method': method,
    'seed': seed,
    'experiment': config.to_json(study.experiment),
    'windows': _checksums(study, (target, *study.sources_of(target))),
  }


def _checksums(study: Study, names: Sequence[str]) -> dict[str, Any]:
  metas = {name: store.read_meta(study.windows / name) for name in names}
  kept = ('checksum', 'position', 'code_version')
  return {
    name: {k: meta[k] for k in kept} | {'windows': meta['counts']['windows']} for name, meta in metas.items()
  }


def _refuse_other(path: pathlib.Path, made_with: Any, asked_for: Any) -> None:
  if lines := results.differences(made_with, asked_for):
    raise UserError(
      f'{path} is of another experiment; give another --out or delete it:\n  ' + '\n  '.join(lines[:10])
    )


# --- pretraining


def pretrained_encoder(study: Study, target: str, *, progress: bool = True) -> Variables:
  """The encoder's variables, pretrained on the target's sources; trained now where that is not done yet."""
  experiment, folder = study.experiment, study.out / target / 'pretrain'
  sources = study.sources_of(target)
  model = config.to_json(experiment.model)
  identity = {
    'model': {name: value for name, value in model.items() if name not in ('head', 'dropout')},
    'dtype': experiment.precision.dtype,
    'training': config.to_json(experiment.pretrain),
    'normalise': experiment.protocol.normalise,
    'validation': experiment.protocol.validation_share,
    'windows': _checksums(study, sources),
  }
  _claim(folder, identity)
  objective = Reconstruct(experiment.model, experiment.precision)
  path = folder / 'pretrained.json'
  if path.exists():
    step = results.read(path)['step']
    shapes = jax.eval_shape(objective.init, jax.random.key(0))
    trained = Checkpoints(folder / 'checkpoints').variables(step, shapes)
  else:
    windows, validation = folds.pretraining_windows(study.windows, sources, experiment.protocol)
    done = train(
      objective,
      objective.init(jax.random.key(0)),
      {},
      {},
      windows=windows,
      validation=validation,
      training=experiment.pretrain,
      seed=0,
      folder=folder,
      title=f'{target}: pretraining on {", ".join(sources)}',
      pretrained=False,
      progress=progress,
    )
    trained = done.variables
    results.write(
      path,
      {'identity': identity, 'step': done.step, 'seconds': done.seconds, 'history': done.history}
      | {'windows': len(windows['signal'])}
      | runtime.describe(),
    )
  return variables.split(trained, lambda path: path.startswith('params/encoder/'))[0]


def _claim(folder: pathlib.Path, identity: dict[str, Any]) -> None:
  """Says what a run's folder is for, so that no other run goes on from its checkpoints."""
  path = folder / 'run.json'
  if path.exists():
    # To be deleted whole: without its run.json alone, another run would go on from its checkpoints.
    _refuse_other(folder, results.read(path), identity)
  else:
    results.write(path, identity)


# --- adaptation


def adapt_and_test(
  study: Study,
  target: str,
  method: Method,
  seed: int,
  base: Variables,
  *,
  identity: dict[str, Any],
  progress: bool = True,
) -> dict[str, Any]:
  """One run: split, adapt, train, choose on validation, test once."""
  experiment = study.experiment
  data = folds.target_windows(study.windows, target, experiment.protocol, seed)
  objective = Classify(experiment.model, len(data.classes), experiment.precision)
  # Op by op, not under jit: a program of every weight's draw takes 5 to 11 s to compile for each method and head,
  # while single draws are compiled once for all of them (0.4 to 0.8 s).
  head_key, adapter_key = jax.random.split(jax.random.key(seed))
  adapted = method.adapt(objective.init(head_key) | base, experiment, adapter_key)
  statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
  trainable, frozen = variables.split(jax.device_put(rest), lambda path: method.trains(path, experiment))
  path = result_path(study, target, method.name, seed)
  folder = path.with_suffix('')
  _claim(folder, identity)
  done = train(
    objective,
    trainable,
    statistics,
    frozen,
    windows=data.train,
    validation=data.validation,
    training=experiment.finetune,
    seed=seed,
    folder=folder,
    title=f'{target}: {method.name}, by {experiment.protocol.split}, seed {seed}',
    pretrained=True,
    progress=progress,
  )
  predicted = predict(objective, done.variables | frozen, data.test).argmax(axis=1)
  unadapted = jax.eval_shape(objective.init, jax.random.key(0))
  in_base = variables.count({path: leaf for path, leaf in unadapted.items() if path.startswith('params/')})
  in_adapters = variables.count({path: leaf for path, leaf in adapted.items() if path.startswith('lora/')})
  return {
    'format': results.FORMAT,
    'identity': identity,
    'test': metrics.measure(data.test['label'], predicted, len(data.classes)),
    'test_by_subject': _by_subject(data, predicted),
    'validation': done.history,
    'step': done.step,
    'seconds': {
      'training': done.seconds,
      'pretraining': results.read(study.out / target / 'pretrain' / 'pretrained.json')['seconds'],
    },
    'parameters': {'trainable': variables.count(trainable), 'total': in_base + in_adapters},
    'bytes': {
      'frozen': variables.bytes_held(frozen),
      'trainable': variables.bytes_held(trainable),
      'statistics': variables.bytes_held(statistics),
      'optimizer': {'state': done.optimizer_bytes},
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
