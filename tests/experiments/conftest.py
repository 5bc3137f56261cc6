"""Studies that tests of the protocol share."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from lodo_studies import Study, dataset, run

from har_jax import config, experiments, methods
from har_jax.data import windows as store


@pytest.fixture(scope='module', autouse=True)
def quickly(compiled_fast: None) -> Iterator[None]:
  """In child processes too."""
  with pytest.MonkeyPatch.context() as patched:
    patched.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
    yield


@pytest.fixture(scope='module')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('windows')
  for seed, name in enumerate(('alpha', 'beta', 'gamma')):
    store.save(dataset(name, seed), folder / name)
  return folder


@pytest.fixture(scope='module')
def experiment(tiny: config.Model) -> config.Experiment:
  return config.Experiment(
    model=dataclasses.replace(tiny, depth=1),
    lora=config.Lora(rank=4, alpha=8.0),
    protocol=config.Protocol(validation_fraction=0.2),
    pretrain=config.Training(epochs=1.0, batch=32, num_evals=2),
    finetune=config.Training(max_steps=6, batch=16, num_evals=3),
  )


@pytest.fixture(scope='module')
def study_of(windows: pathlib.Path, experiment: config.Experiment) -> Study:
  def study(out: pathlib.Path, **given: Any) -> experiments.Study:
    protocol = dataclasses.replace(experiment.protocol, **given.pop('protocol', {}))
    fields = {
      'windows': windows,
      'experiment': dataclasses.replace(experiment, protocol=protocol),
      'targets': ('alpha',),
      'methods': ('lora',),
      'seeds': (0,),
    }
    return experiments.Study(out=out, **{**fields, **given})

  return study


@pytest.fixture(scope='module')
def out(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tmp_path_factory.mktemp('results')


@pytest.fixture(scope='module')
def runs(study_of: Study, out: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Every method, with a subject-wise split and seed 0."""
  return run(study_of(out, methods=tuple(methods.METHODS)))
