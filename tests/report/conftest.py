"""Results made by hand."""

import made_results
import pytest


@pytest.fixture(scope='session')
def result():
  """Makes one result file's content."""
  return made_results.result
