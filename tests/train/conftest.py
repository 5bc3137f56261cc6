"""A finished run, for tests of the loop and of resumption."""

import pytest
from line import run_of, train_all

from har_jax.train.loop import Run, Trained


@pytest.fixture(scope='session')
def uninterrupted(tmp_path_factory) -> Run:
  """A finished run; training it again only reads its result."""
  run = run_of(tmp_path_factory.mktemp('uninterrupted'))
  train_all([run])
  return run


@pytest.fixture(scope='session')
def trained(uninterrupted) -> Trained:
  return train_all([uninterrupted])[0]
