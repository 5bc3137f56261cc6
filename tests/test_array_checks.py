"""The check of arrays' shapes in `make test`: what it refuses, and what it leaves alone."""

import array_checks
import beartype
import jaxtyping
import numpy as np
import pytest
from jaxtyping import Float


def _sum(rows: Float[np.ndarray, 'a b'], columns: Float[np.ndarray, 'b']) -> Float[np.ndarray, 'a']:
  return (rows * columns[: rows.shape[1]]).sum(axis=1)


@pytest.fixture
def checked():
  return array_checks._with_axes(typechecker=beartype.beartype)(_sum)


def test_arrays_whose_axes_differ_are_refused(checked):
  assert checked(np.ones((2, 3)), np.ones(3)).shape == (2,)
  for _ in range(2):
    with pytest.raises(jaxtyping.TypeCheckError):
      checked(np.ones((2, 3)), np.ones(4))


def test_what_names_no_axes_stays_as_it_is():
  def plain(number: int) -> int:
    return number

  assert array_checks._with_axes(typechecker=beartype.beartype)(plain) is plain
