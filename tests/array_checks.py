"""Limits jaxtyping's import hook to annotations with axes: mypy checks other types, in no test's time."""

from collections.abc import Callable
from typing import Any

import jaxtyping

_jaxtyped = jaxtyping.jaxtyped


def _with_axes(**options: Any) -> Callable[[Any], Any]:
  """Decorates as `jaxtyped` does the functions and dataclasses that name axes in an annotation."""
  checked = _jaxtyped(**options)

  def decorate(made: Any) -> Any:
    has_axes = any('jaxtyping.' in repr(type_) for type_ in made.__annotations__.values())
    return checked(made) if has_axes else made

  return decorate


jaxtyping.jaxtyped = _with_axes
