"""The interface of an export format.   w windows, n samples, c channels, y classes."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from har_jax.export.merged import Merged

# Number format of the weights. Under int8 each runtime has its own number format of products.
PRECISIONS = ('float32', 'int8')

# The files of an export by name
Files = Mapping[str, bytes]

# float32 [w, n, c] in physical units → probabilities, float32 [w, y]
Run = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Format:
  """Functions that turn a merged model into the content of a file, and load it in the format's runtime.

  batched: the precisions in which a call takes any number of windows; in others it takes one.
  extra_files: from model and card, what else the folder holds. Raises UserError if it is missing.
  """

  name: str
  file: str
  needs: tuple[str, ...]  # packages that only this format needs
  batched: tuple[str, ...]
  build: Callable[[Merged, str], bytes]
  start: Callable[[bytes], Run]
  extra_files: Callable[[Files], Files] = lambda files: {}
