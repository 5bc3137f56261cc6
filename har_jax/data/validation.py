"""Arrays that a program gives, checked before anything is made of them.   w windows.

All raise UserError with what was given, where it is not as they say.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from har_jax import config
from har_jax.errors import UserError


def windows(given: Any) -> Float[np.ndarray, 'w 128 6']:
  """Windows of finite numbers."""
  array = np.asarray(given)
  wanted = (
    f'give [w, {config.WINDOW_SAMPLES}, {config.CHANNELS}]: windows of 2.56 s at 50 Hz, acceleration x y z in m/s², '
    'rotation x y z in rad/s'
  )
  if array.ndim != 3 or array.shape[1:] != (config.WINDOW_SAMPLES, config.CHANNELS) or not len(array):
    raise UserError(f'the windows are {list(array.shape)}; {wanted}')
  if array.dtype.kind not in 'fiu':
    raise UserError(f'the windows are of {array.dtype.name}, no real numbers; {wanted}')
  if bad := int((~np.isfinite(array)).any(axis=(1, 2)).sum()):
    raise UserError(
      f'{bad} of {len(array)} windows hold a value that is not finite (NaN or infinite); leave these windows out'
    )
  return array.astype(np.float32)


def labels(given: Any, count: int) -> tuple[np.ndarray, Int[np.ndarray, 'w']]:
  """The classes, sorted, and each window's place among them."""
  array = np.asarray(given)
  if array.shape != (count,):
    raise UserError(
      f'the labels are {list(array.shape)}, and there are {count} windows; give one label a window'
    )
  if not all(isinstance(label, str | int | float) and label == label for label in array.tolist()):
    raise UserError(f'the labels are {array[:3].tolist()}...; give strings or numbers')
  classes, places = np.unique(array, return_inverse=True)
  if len(classes) < 2:
    raise UserError(f'all labels are {classes.tolist()[0]!r}; give windows of two classes or more')
  return classes, places.astype(np.int32)


def held_out(given: Any, label: Int[np.ndarray, 'w']) -> Bool[np.ndarray, 'w']:
  """True for the windows kept apart; of each class one at least is left to learn from."""
  apart = np.asarray(given)
  if apart.shape != label.shape or apart.dtype != bool:
    raise UserError(
      f'held_out is {list(apart.shape)} of {apart.dtype.name}, and there are {len(label)} windows; '
      'give True or False a window'
    )
  if len(np.unique(label[~apart])) < len(np.unique(label)):
    raise UserError('held_out keeps all windows of a class apart: leave one of each at least to learn from')
  return apart


def groups(given: Any, count: int) -> Int[np.ndarray, 'w'] | None:
  """Whose each window is: numbers for the names."""
  if given is None:
    return None
  array = np.asarray(given)
  if array.shape != (count,):
    raise UserError(f'the subjects are {list(array.shape)}, and there are {count} windows; give one a window')
  return np.unique(array, return_inverse=True)[1]
