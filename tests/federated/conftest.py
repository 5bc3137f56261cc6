"""A small base, and prepared windows of ten people in the dataset `made`."""

import pathlib
import warnings

import made_people
import pytest

from har_jax.federated import people

with warnings.catch_warnings(action='ignore'):  # of what Flower imports
  from flower_grid import grid, server, task_identity  # noqa: F401


@pytest.fixture(scope='session')
def base(tmp_path_factory, drawn) -> pathlib.Path:
  return made_people.save_base(tmp_path_factory.mktemp('base'), drawn)


@pytest.fixture(scope='session')
def windows(tmp_path_factory) -> pathlib.Path:
  return made_people.save_windows(tmp_path_factory.mktemp('windows') / 'made').parent


@pytest.fixture(scope='session')
def archive(windows) -> people.Archive:
  return people.Archive(windows, 'made', labels=4, seed=0)
