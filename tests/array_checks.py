"""Limits jaxtyping's import hook to what pays, as its checks would take a sixth of all tests' time.

It checks functions that name axes, and not those within functions. mypy checks other types. A function is
decorated at its first call, and checked at its first calls in each test.
"""

import functools
from collections.abc import Callable
from typing import Any

import jaxtyping
import pytest

_CALLS = 20  # of a function in a test
_jaxtyped = jaxtyping.jaxtyped
_counts: dict[Callable[..., Any], int] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
  _counts.clear()
  return (yield)


def _with_axes(**options: Any) -> Callable[[Any], Any]:
  """Decorates as `jaxtyped` does the functions and dataclasses that name axes in an annotation."""
  checked = _jaxtyped(**options)

  def decorate(made: Any) -> Any:
    if not any('jaxtyping.' in repr(type_) for type_ in made.__annotations__.values()):
      return made
    if isinstance(made, type):
      return checked(made)
    if '<locals>' in made.__qualname__:
      return made
    decorated = functools.cache(lambda: checked(made))

    @functools.wraps(made)
    def limited(*args: Any, **kwargs: Any) -> Any:
      count = _counts.get(made, 0)
      if count >= _CALLS:
        return made(*args, **kwargs)
      _counts[made] = count + 1
      return decorated()(*args, **kwargs)

    return limited

  return decorate


jaxtyping.jaxtyped = _with_axes
