"""Studies that tests of the protocol share."""

import dataclasses
import pathlib
import shutil
from typing import Any

import pytest
from lodo_studies import METHODS, Study, dataset, run
from small_baselines import small_baselines  # noqa: F401

from har_jax import config, experiments
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets


@pytest.fixture(scope='session')
def windows(tmp_path_factory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('windows')
  for seed, name in enumerate(('alpha', 'beta', 'gamma')):
    store.save(dataset(name, seed), folder / name)
  return folder


@pytest.fixture(scope='session')
def experiment(tiny) -> config.Experiment:
  return config.Experiment(
    model=dataclasses.replace(tiny, depth=1),
    # Not the embedding: after few steps, predictions that the rounding decides would be more.
    lora=config.Lora(rank=4, alpha=8.0, targets=('query', 'key', 'value', 'output', 'up', 'down')),
    protocol=config.Protocol(validation_fraction=0.2),
    pretrain=config.Training(epochs=1.0, batch=32, num_evals=1),
    finetune=config.Training(max_steps=6, batch=16, num_evals=2),
  )


@pytest.fixture(scope='session')
def study_of(windows, experiment) -> Study:
  def study(out: pathlib.Path, **options: Any) -> experiments.Study:
    protocol = dataclasses.replace(experiment.protocol, **options.pop('protocol', {}))
    fields = {
      'datasets': Datasets.open(options.pop('windows', windows)),
      'experiment': dataclasses.replace(experiment, protocol=protocol),
      'targets': ('alpha',),
      'methods': ('lora',),
      'seeds': (0,),
    }
    return experiments.Study(out=out, **{**fields, **options})

  return study


@pytest.fixture(scope='session')
def finished(study_of, tmp_path_factory) -> tuple[pathlib.Path, dict[str, dict[str, Any]]]:
  """The folder and the results of these methods, with a subject-wise split and seed 0."""
  folder = tmp_path_factory.mktemp('finished')
  results = run(study_of(folder, methods=METHODS))
  return folder, results


@pytest.fixture(scope='module')
def out(finished, tmp_path_factory) -> pathlib.Path:
  """A copy of the folder, which the tests of a module may add to."""
  return pathlib.Path(shutil.copytree(finished[0], tmp_path_factory.mktemp('out') / 'out'))


@pytest.fixture(scope='module')
def runs(finished) -> dict[str, dict[str, Any]]:
  """The results by the name of their file under `out`."""
  return finished[1]
