"""What a format is.   w windows, n samples, c channels, y classes."""

import dataclasses
from collections.abc import Callable

import numpy as np

from har_jax.export.merged import Merged

PRECISIONS = (
  'float32',
  'int8',
)  # what weights are held in; under int8, what products are made in is the runtime's affair

Run = Callable[
  [np.ndarray], np.ndarray
]  # float32 [w, n, c] in physical units → probabilities, float32 [w, y]


@dataclasses.dataclass(frozen=True)
class Format:
  """How a merged model becomes a file's content, and how the file's own runtime starts it."""

  name: str
  file: str
  needs: tuple[str, ...]  # packages, beside our own requirements
  together: tuple[
    str, ...
  ]  # precisions in which a call may take any number of windows; in others it takes one
  build: Callable[[Merged, str], bytes]
  start: Callable[[bytes], Run]
