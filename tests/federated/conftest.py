"""A small base, and prepared windows of ten people in the dataset `made`."""

import pathlib

import made_people
import pytest


@pytest.fixture(scope='session')
def base(tmp_path_factory: pytest.TempPathFactory, drawn) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('base')
  made_people.save_base(folder, drawn)
  return folder


@pytest.fixture(scope='session')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('windows')
  made_people.save_windows(folder / 'made')
  return folder
