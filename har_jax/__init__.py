"""Human activity recognition: pretrained on many datasets, adapted to the next one with little of everything."""

from typing import Any

__version__ = '0.1.0'


def __getattr__(name: str) -> Any:
  """`har_jax.Recognizer`, imported as it is asked for: it takes seconds, and `import har_jax` none."""
  if name == 'Recognizer':
    from har_jax.inference.recognizer import Recognizer

    return Recognizer
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
