"""A small base, and prepared windows of ten people in the dataset `made`."""

import pathlib

import made_people
import pytest


@pytest.fixture(scope='session')
def base(tmp_path_factory: pytest.TempPathFactory, drawn) -> pathlib.Path:
  return made_people.save_base(tmp_path_factory.mktemp('base'), drawn)


@pytest.fixture(scope='session')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return made_people.save_windows(tmp_path_factory.mktemp('windows') / 'made').parent
