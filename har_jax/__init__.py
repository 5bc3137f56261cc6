"""Human activity recognition: a pretrained Transformer, adapted with little data, compute and memory."""

from typing import Any

__version__ = '0.1.0'


def __getattr__(name: str) -> Any:
  """Imports `Recognizer` on first use, since that takes a second."""
  if name == 'Recognizer':
    from har_jax.recognizer.recognizer import Recognizer

    return Recognizer
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
