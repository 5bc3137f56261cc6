"""Leave-One-Dataset-Out: pretrain without the target, adapt to it, test; one result file a run.

<out>/<target>/pretrain/                                      shared by all methods, splits, budgets and seeds
<out>/<target>/<method>/<split>/labels-<budget>/seed<k>.json  a result, and beside it the run's folder

Any number of jobs may work on one --out: a folder is one job's at a time, and the others wait for what it makes.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from har_jax import config, results, runtime, variables
from har_jax.data import folds
from har_jax.data import windows as store
from har_jax.errors import Stopped, UserError
from har_jax.peft import METHODS, Method
from har_jax.results import Place
from har_jax.train import mesh, metrics
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.loop import Run, Trained, predict, train
from har_jax.train.objective import Classify, Reconstruct
from har_jax.variables import Variables

# The same people's recordings under two names: neither may be a source where the other is the target.
_TWINS = (frozenset({'hapt', 'ucihar'}),)
_LOOK_S = 1.0  # between two looks whether another job is done
_TELL_S = 60.0  # between two lines that say what is waited for


@dataclasses.dataclass(frozen=True)
class Study:
  """What to run: targets × methods × seeds of one experiment, over the windows of one folder; or a shard of them."""

  windows: pathlib.Path
  out: Place
  experiment: config.Experiment
  targets: tuple[str, ...]
  methods: tuple[str, ...]
  seeds: tuple[int, ...]
  sources: tuple[str, ...] = ()  # of pretraining; none: every archive but the target
  shard: tuple[int, int] = (0, 1)  # which, of how many
  batch_runs: int = 1  # so many seeds of a method train side by side, in one program

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
    number, shards = self.shard
    if not 0 <= number < shards:
      raise UserError(f'shard {number} of {shards}; they are counted from 0 to n-1, such as 0/4')
    if self.batch_runs < 1:
      raise UserError(f'lodo_batch_runs is {self.batch_runs}; give 1 (one run after the other) or more')
    if not self.runs:
      every = len(dataclasses.replace(self, shard=(0, 1)).runs)
      raise UserError(f'{every} runs cannot be dealt to {shards} shards; give at most {every}')

  @property
  def runs(self) -> list[tuple[str, int, str]]:
    """The target, seed and method of each run of this shard, whether finished or not.

    Together the shards are everything, each run in one of them, and none has more than one run more than another. A
    shard is one stretch of all runs, target after target, so that few shards wait for the same pretraining.
    """
    every = list(dict.fromkeys(itertools.product(self.targets, self.seeds, self.methods)))
    number, shards = self.shard
    return every[number * len(every) // shards : (number + 1) * len(every) // shards]

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


def run(
  study: Study,
  *,
  may_pretrain: bool = True,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Place, dict[str, Any]]]:
  """Each run's result file and what is in it, as they come; finished runs are read, not run again.

  Of several processes all do this alike, and one writes. `stop` is `train`'s.
  """
  for target, of_target in itertools.groupby(study.runs, key=lambda run: run[0]):
    base: Variables | None = None
    for name, seeds in _groups(of_target, study.batch_runs):
      places = {seed: result_path(study, target, name, seed) for seed in seeds}
      identities = {seed: _identity(study, target, name, seed) for seed in seeds}
      found = {seed: _finished(places[seed], identities[seed]) for seed in seeds}
      if missing := [seed for seed in seeds if found[seed] is None]:
        if base is None:
          base = pretrained_encoder(study, target, may_train=may_pretrain, progress=progress, stop=stop)
        with contextlib.ExitStack() as held:
          still = stop
          for seed in missing:
            title = f'{target}: {name}, seed {seed}'
            folder = places[seed].with_suffix('')
            still = held.enter_context(_alone(folder, identities[seed], title=title, stop=still))
            found[seed] = _finished(places[seed], identities[seed])  # by another job, while this one waited
          missing = [seed for seed in missing if found[seed] is None]
          of_seed = {seed: identities[seed] for seed in missing}
          made = adapt_and_test(study, target, METHODS[name], base, of_seed, progress=progress, stop=still)
          for seed, result in made.items():
            _write(places[seed], result)
            found[seed] = result
      for seed in seeds:
        yield places[seed], found[seed] or {}


def _groups(of_target: Iterable[tuple[str, int, str]], size: int) -> list[tuple[str, list[int]]]:
  """The runs of a target as methods with so many seeds at most, which train side by side."""
  if size == 1:
    return [(name, [seed]) for _, seed, name in of_target]
  seeds: dict[str, list[int]] = {}
  for _, seed, name in of_target:
    seeds.setdefault(name, []).append(seed)
  return [
    (name, all_of[first : first + size])
    for name, all_of in seeds.items()
    for first in range(0, len(all_of), size)
  ]


def pretrain(
  study: Study, *, progress: bool = True, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Place, dict[str, Any]]]:
  """The pretraining alone of each target of this shard: its file and what is in it. `stop` is `train`'s."""
  for target in dict.fromkeys(target for target, _, _ in study.runs):
    pretrained_encoder(study, target, progress=progress, stop=stop)
    path = pretrained_path(study, target)
    yield path, results.read(path)


def pretrained_path(study: Study, target: str) -> Place:
  return study.out / target / 'pretrain' / 'pretrained.json'


def result_path(study: Study, target: str, method: str, seed: int) -> Place:
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


def _exists(path: Place) -> bool:
  """As the leading process sees it. The others do not look: a network share would go on telling them of the past."""
  return mesh.leaders_word(mesh.leads() and path.exists())


def _finished(path: Place, identity: dict[str, Any]) -> dict[str, Any] | None:
  """The result in a file, None where there is none. Raises UserError where it is of another experiment."""
  if not _exists(path):
    return None
  result = results.read(path)
  _refuse_other(path, result.get('identity'), identity)
  return result


def _write(path: Place, entries: dict[str, Any]) -> None:
  """One process writes; the others go on once the file is there."""
  if mesh.leads():
    results.write(path, entries)
  mesh.wait_for_all(str(path))


def _refuse_other(path: Place, made_with: Any, asked_for: Any) -> None:
  if lines := results.differences(made_with, asked_for):
    raise UserError(
      f'{path} is of another experiment; give another --out or delete it:\n  ' + '\n  '.join(lines[:10])
    )


# --- one job a folder


@contextlib.contextmanager
def _alone(
  folder: Place, identity: dict[str, Any], *, title: str, stop: Callable[[], bool]
) -> Iterator[Callable[[], bool]]:
  """Holds a run's folder, for what its run.json says: of all jobs that want it one goes on, and the others wait.

  Of several processes the leading one tries, again and again rather than waiting in the lock, so that the others meet it
  each time: nobody stays in a collective for long, and a stop comes through.
  Gives a `stop` to train with, which raises UserError once another job has taken the folder from a silent one.
  Raises UserError where the folder is another experiment's, Stopped where `stop` says so while it waits.
  """
  _is_claimed(folder, identity)  # refused before it waits
  lock = results.lock(folder) if mesh.leads() else None
  began = time.monotonic()
  tell = began
  while not mesh.leaders_word(lock is not None and lock.take()):
    if stop():
      raise Stopped(f'{title}: stopped while another job is at it')
    if lock is not None and time.monotonic() >= tell:
      minutes = (time.monotonic() - began) / 60
      print(
        f'{title}: {lock.holder()} is at it; waiting, {minutes:.0f} min so far', file=sys.stderr, flush=True
      )
      tell += _TELL_S
    time.sleep(_LOOK_S)

  def still_ours() -> bool:
    if lock is not None and lock.is_lost():
      raise UserError(
        f'{title}: no sign of life from this job for {results.LEASE_S:.0f} s, and another has taken {folder}; '
        'run again to go on with the rest'
      )
    return stop()

  try:
    if not _is_claimed(folder, identity):
      _claim(folder, identity)
    yield still_ours
  finally:
    if lock is not None:
      lock.release()


def _is_claimed(folder: Place, identity: dict[str, Any]) -> bool:
  """Whether a run's folder says what it is for. Raises UserError where that is something else."""
  path = folder / 'run.json'
  if not _exists(path):
    return False
  # To be deleted whole: without its run.json alone, another run would go on from its checkpoints.
  _refuse_other(folder, results.read(path), identity)
  return True


def _claim(folder: Place, identity: dict[str, Any]) -> None:
  path = folder / 'run.json'
  _write(path, identity)
  if not path.exists():
    raise UserError(f'{path}, which process 0 wrote, is not there; give an --out that all processes share')


# --- pretraining


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
  experiment, path = study.experiment, pretrained_path(study, target)
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
  _is_claimed(path.parent, identity)
  objective = Reconstruct(experiment.model, experiment.precision)
  trained: Variables | None = None
  if not _exists(path):
    if not may_train:
      raise UserError(
        f'{path} is missing, and --stage=adapt pretrains nothing; run --stage=pretrain before it'
      )
    title = f'{target}: pretraining on {", ".join(sources)}'
    with _alone(path.parent, identity, title=title, stop=stop) as still:
      if not _exists(path):  # nor made by another job, while this one waited
        windows, validation = folds.pretraining_windows(study.windows, sources, experiment.protocol)
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
        _write(
          path,
          {'identity': identity, 'step': done.step, 'seconds': done.seconds, 'history': done.history}
          | {'windows': len(windows['signal'])}
          | runtime.describe(),
        )
  if trained is None:
    shapes = jax.eval_shape(objective.init, jax.random.key(0))
    trained = Checkpoints(path.parent / 'checkpoints').variables(results.read(path)['step'], shapes)
  return variables.split(trained, lambda path: path.startswith('params/encoder/'))[0]


# --- adaptation


def adapt_and_test(
  study: Study,
  target: str,
  method: Method,
  base: Variables,
  identities: Mapping[int, dict[str, Any]],
  *,
  progress: bool = True,
  stop: Callable[[], bool] = lambda: False,
) -> dict[int, dict[str, Any]]:
  """Runs, by seed, side by side: split, adapt, train, choose on validation, test once."""
  experiment = study.experiment
  data = {seed: folds.target_windows(study.windows, target, experiment.protocol, seed) for seed in identities}
  runs = {}
  for seed, windows in data.items():
    objective = Classify(experiment.model, len(windows.classes), experiment.precision)
    # Op by op, not under jit: a program of every weight's draw takes 5 to 11 s to compile for each method and head,
    # while single draws are compiled once for all of them (0.4 to 0.8 s).
    head_key, adapter_key = jax.random.split(jax.random.key(seed))
    adapted = method.adapt(objective.init(head_key) | base, experiment, adapter_key)
    statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
    trainable, frozen = variables.split(jax.device_put(rest), lambda path: method.trains(path, experiment))
    runs[seed] = Run(
      trainable,
      statistics,
      frozen,
      windows.train,
      windows.validation,
      seed,
      folder=result_path(study, target, method.name, seed).with_suffix(''),
      title=f'{target}: {method.name}, by {experiment.protocol.split}, seed {seed}',
    )
  if not runs:
    return {}
  ends = train(
    objective,
    list(runs.values()),
    training=experiment.finetune,
    pretrained=True,
    progress=progress,
    stop=stop,
  )
  pretraining_s = results.read(pretrained_path(study, target))['seconds']
  return {
    seed: _tested(objective, runs[seed], end, data[seed])
    | {'identity': identities[seed], 'side_by_side': len(runs)}
    | {'seconds': {'training': end.seconds, 'pretraining': pretraining_s}}
    for seed, end in zip(runs, ends, strict=True)
  }


def _tested(objective: Classify, run: Run, end: Trained, data: folds.TargetWindows) -> dict[str, Any]:
  """What a result file says of a run, apart from what the run was asked for and what it took."""
  predicted = predict(objective, end.variables | run.frozen, data.test).argmax(axis=1)
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
