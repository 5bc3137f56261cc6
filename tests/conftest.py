"""Where the tests find real recordings, and the small things that many of them use."""

import os
import pathlib

import pytest

_DEFAULT = pathlib.Path(__file__).parents[1] / '..' / 'shared' / 'data'


@pytest.fixture(scope='session')
def archives_folder() -> pathlib.Path:
  """The folder of real archives; its tests skip, with this reason, where it is missing."""
  folder = pathlib.Path(os.environ.get('HAR_ARCHIVES', _DEFAULT))
  if not folder.is_dir():
    pytest.skip(f'no real archives at {folder}: set HAR_ARCHIVES to a folder that holds them')
  return folder.resolve()
