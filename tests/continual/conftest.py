"""A stream of three made-up people, the first of whom never stands, and what learns it."""

import dataclasses
import pathlib

import made_people
import pytest

from har_jax import files
from har_jax.continual import domains
from har_jax.continual.domains import Stream
from har_jax.continual.learner import Learner
from har_jax.continual.settings import Settings
from har_jax.datasets.datasets import Datasets

QUICK = Settings(rank=2, steps=16, batch=8, memory_kb=20)


@pytest.fixture(scope='session')
def base(tmp_path_factory, drawn) -> pathlib.Path:
  return made_people.save_base(tmp_path_factory.mktemp('base'), drawn)


@pytest.fixture(scope='session')
def windows(tmp_path_factory) -> pathlib.Path:
  """The datasets `made`, and `placed` with two positions."""
  folder = tmp_path_factory.mktemp('windows')
  made_people.save_windows(folder / 'made')
  made_people.save_windows(folder / 'placed', ('waist', 'wrist'))
  return folder


@pytest.fixture(scope='session')
def quick() -> Settings:
  return QUICK


@pytest.fixture(scope='session')
def stream(windows) -> Stream:
  people = domains.stream_people(Datasets.open(windows), 'made', labels=4, seed=0, most=3)
  first, *others = people.domains
  never = people.classes.index('standing')
  parts = {
    part: {name: array[batch['label'] != never] for name, array in batch.items()}
    for part, batch in (('train', first.train), ('test', first.test))
  }
  return dataclasses.replace(people, domains=(dataclasses.replace(first, **parts), *others))


@pytest.fixture(scope='session')
def learner(base, stream, quick) -> Learner:
  return quick.learner(files.load_base(base), stream)
