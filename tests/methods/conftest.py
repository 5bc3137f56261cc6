"""The plain model and its variables, which the methods adapt."""

import pytest

from har_jax.train.objective import Classify
from har_jax.variables import Variables


@pytest.fixture(scope='module')
def objective(tiny) -> Classify:
  return Classify(tiny, 3)


@pytest.fixture(scope='module')
def base(objective, drawn) -> Variables:
  return drawn(objective.init)
