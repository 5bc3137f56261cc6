"""Human activity recognition: a pretrained Transformer, adapted with little data, compute and memory."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from har_jax.errors import UserError
  from har_jax.recognizer.recognizer import Recognizer
  from har_jax.timeline.adaptation import Adapted, adapt
  from har_jax.timeline.answers import Answers
  from har_jax.timeline.quality import Quality, check
  from har_jax.timeline.recognition import recognize
  from har_jax.timeline.suggestions import Suggestions, suggest

__version__ = '0.1.0'
__all__ = [
  'Adapted',
  'Answers',
  'Quality',
  'Recognizer',
  'Suggestions',
  'UserError',
  'adapt',
  'check',
  'recognize',
  'suggest',
]
_MODULES = {
  'Adapted': 'timeline.adaptation',
  'Answers': 'timeline.answers',
  'Quality': 'timeline.quality',
  'Recognizer': 'recognizer.recognizer',
  'Suggestions': 'timeline.suggestions',
  'UserError': 'errors',
  'adapt': 'timeline.adaptation',
  'check': 'timeline.quality',
  'recognize': 'timeline.recognition',
  'suggest': 'timeline.suggestions',
}


if not TYPE_CHECKING:  # a type checker would take any name for an attribute

  def __getattr__(name: str) -> Any:
    """Imports a public name on first use, since that takes a second."""
    if name not in _MODULES:
      raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)


def __dir__() -> list[str]:
  return sorted({*globals(), *__all__})
