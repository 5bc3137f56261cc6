"""Limits jaxtyping's import hook to annotations with axes: mypy checks other types, in no test's time.

A function is decorated at its first call: to decorate all of them takes seconds in each process.
"""

import functools
from collections.abc import Callable
from typing import Any

import jaxtyping

_jaxtyped = jaxtyping.jaxtyped


def _with_axes(**options: Any) -> Callable[[Any], Any]:
  """Decorates as `jaxtyped` does the functions and dataclasses that name axes in an annotation."""
  checked = _jaxtyped(**options)

  def decorate(made: Any) -> Any:
    if not any('jaxtyping.' in repr(type_) for type_ in made.__annotations__.values()):
      return made
    if isinstance(made, type):
      return checked(made)
    decorated = functools.cache(lambda: checked(made))
    return functools.wraps(made)(lambda *args, **kwargs: decorated()(*args, **kwargs))

  return decorate


jaxtyping.jaxtyped = _with_axes
