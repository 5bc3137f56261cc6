"""A hyperparameter of the loss reaches every trainer, with no code of its own in any of them."""

import dataclasses
import pathlib
from typing import Any

import made_people
import numpy as np
import pytest

from har_jax import Recognizer, config, config_fields, experiments, files
from har_jax.continual import domains
from har_jax.continual.settings import Settings
from har_jax.datasets.datasets import Datasets
from har_jax.experiments import stages
from har_jax.federated import people
from har_jax.federated.federation import Federation
from har_jax.federated.task import Task
from har_jax.train import objective
from launch.bench import running

_QUIET = experiments.TrainOptions(progress=False)


@dataclasses.dataclass(frozen=True)
class _Smoothed(config.Training):
  """Training settings with one more hyperparameter, which `losses` reads."""

  smoothing: float = config_fields.not_negative(0.25, 'a toy hyperparameter of the loss')


@dataclasses.dataclass(frozen=True)
class _Experiment(config.Experiment):
  pretrain: config.Training = _Smoothed(batch=32, max_steps=2)
  finetune: config.Training = _Smoothed(batch=32, max_steps=2)


class _Reached(Exception):
  """Raised by a loss in place of computing one."""


@pytest.fixture(autouse=True)
def loss_that_reads(monkeypatch) -> None:
  def losses(self: Any, variables: Any, batch: Any, key: Any, training: Any, *_: Any) -> Any:
    raise _Reached(training.smoothing)

  monkeypatch.setattr(config, 'Experiment', _Experiment)
  for kind in (objective.Reconstruct, objective.Classify):
    monkeypatch.setattr(kind, 'losses', losses)


@pytest.fixture(scope='module')
def base(tmp_path_factory, drawn) -> pathlib.Path:
  return made_people.save_base(tmp_path_factory.mktemp('base'), drawn)


@pytest.fixture(scope='module')
def windows(tmp_path_factory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('windows')
  for name in ('made', 'other'):
    made_people.save_windows(folder / name)
  return folder


def _fit(base: pathlib.Path, windows: pathlib.Path) -> None:
  signals = np.random.default_rng(0).standard_normal((8, 128, 6)).astype(np.float32)
  Recognizer(base, method='lora').fit(signals, [0, 1] * 4)


def _federate(base: pathlib.Path, windows: pathlib.Path) -> None:
  task = Task(Federation(made_people.CLASSES, **made_people.QUICK), files.load_base(base))
  person = people.read(people.Archive(windows, 'made', labels=4, seed=0, most=1)).clients[0]
  task.fit(task.start, person.train, number=0, done=0)


def _continue(base: pathlib.Path, windows: pathlib.Path) -> None:
  stream = domains.stream_people(Datasets.open(windows), 'made', labels=4, seed=0, most=2)
  learner = Settings(rank=2, steps=2, batch=8).learner(files.load_base(base), stream)
  learner.train(learner.start_with([0, 1]), stream.domains[0].train, 0)


def _bench(base: pathlib.Path, windows: pathlib.Path) -> None:
  running.finetuning(_Experiment(model=files.load_base(base).model), 'probe', 4)


def _study(windows: pathlib.Path, base: pathlib.Path, *methods: str) -> experiments.Study:
  protocol = config.Protocol(normalize='none', continued_pretraining_steps=1, supervised_pretraining_steps=1)
  return experiments.Study(
    out=windows / 'runs',
    datasets=Datasets.open(windows),
    experiment=_Experiment(model=files.load_base(base).model, protocol=protocol),
    targets=('made',),
    methods=methods,
    seeds=(0,),
  )


def _train_a_run(base: pathlib.Path, windows: pathlib.Path) -> None:
  list(experiments.run(_study(windows, base, 'scratch'), _QUIET))


def _pretrain(base: pathlib.Path, windows: pathlib.Path) -> None:
  list(experiments.run(_study(windows, base, 'lora'), _QUIET))


@pytest.mark.slow
@pytest.mark.parametrize('train', [_fit, _federate, _continue, _bench, _train_a_run, _pretrain])
def test_a_hyperparameter_of_the_loss_reaches(train, base, windows):
  with pytest.raises(_Reached) as reached:
    train(base, windows)
  assert reached.value.args == (0.25,)


def test_a_hyperparameter_of_the_loss_is_in_every_stage_and_its_identity(base, windows):
  (spec,) = _study(windows, base, 'lora').runs
  for stage in stages.stages_of(spec):
    assert (stage.name, stage.identity.training.smoothing) == (stage.name, 0.25)  # type: ignore[attr-defined]


def test_settings_that_differ_in_length_alone_share_a_step_and_its_loss():
  short, long = (_Smoothed(max_steps=steps) for steps in (1, 9))
  other = dataclasses.replace(short, smoothing=0.5)
  assert short.fixed_length(1) == long.fixed_length(1) != other.fixed_length(1)
