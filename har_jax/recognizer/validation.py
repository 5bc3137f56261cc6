"""What scikit-learn asks of a classifier, and checks of the arrays that a caller passes.

w windows, n samples. Checks raise ArrayError with the value found and the value expected.
To import scikit-learn would take a second of each start.
"""

import inspect
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from har_jax import config
from har_jax.errors import UserError
from har_jax.signal.recording import LARGEST


class ArrayError(UserError, ValueError):
  """Arrays that are no windows or labels; a ValueError, as scikit-learn has it."""


def check_windows(X: Any, windowing: config.Windowing) -> Float[np.ndarray, 'w n 6']:
  """Windows without a NaN or a huge value, in float32."""
  if hasattr(X, 'tocsr'):
    raise ArrayError(f'the windows are sparse, a {type(X).__name__}; give an array')
  expected = (
    f'give [w, {windowing.samples}, {config.CHANNELS}]: windows of {windowing.seconds:g} s at '
    f'{windowing.rate_hz} Hz, acceleration x y z in m/s², angular velocity x y z in rad/s'
  )
  array = as_array(X, f'the windows are of different lengths; {expected}')
  if array.ndim != 3 or array.shape[1:] != (windowing.samples, config.CHANNELS) or not len(array):
    raise ArrayError(f'the windows are {list(array.shape)}; {expected}')
  if array.dtype.kind not in 'fiu':
    raise ArrayError(f'the windows are {array.dtype.name}, not real numbers; {expected}')
  with np.errstate(over='ignore'):  # 1e39 is infinite in float32
    array = array.astype(np.float32)
  if bad := int((~(np.abs(array) <= LARGEST)).any(axis=(1, 2)).sum()):
    raise ArrayError(
      f'{bad} of {len(array)} windows have a value that is NaN or beyond {LARGEST:g}; leave these windows out'
    )
  return array


def as_array(values: Any, sentence: str) -> np.ndarray:
  """The values as an array. Raises ArrayError with the sentence if they are lists of different lengths."""
  try:
    array = np.asarray(values)
  except ValueError as error:  # NumPy's sentence is of its own arrays
    raise ArrayError(sentence) from error
  # In a list, NumPy makes texts of the numbers beside a text.
  return array if array.dtype.kind != 'U' or hasattr(values, 'dtype') else np.asarray(values, object)


def check_labels(y: Any, count: int) -> tuple[np.ndarray, Int[np.ndarray, 'w']]:
  """The sorted classes, and the class index of each window."""
  if y is None:
    raise ArrayError('fit requires y to be passed, but the target y is None; give one label per window')
  array = as_array(y, 'the labels are of different lengths; give one label per window')
  if array.ndim == 2 and array.shape[1] == 1:
    from sklearn.utils.validation import column_or_1d  # late: importing it takes a second

    array = column_or_1d(array, warn=True)
  array = one_per_window(array, count, 'label')
  if strange := [label for label in array.tolist() if not _is_name(label) or isinstance(label, bool)]:
    raise ArrayError(f'the labels have {strange[0]!r}; give strings or numbers')
  if blank := [label for label in array.tolist() if str(label).strip() in ('', 'nan')]:
    raise ArrayError(f'the labels have {blank[0]!r}; leave out windows without a label')
  if array.dtype.kind == 'f' and (continuous := array[~np.isfinite(array) | (array != np.trunc(array))]).size:
    raise ArrayError(f'the labels are continuous, such as {continuous[0]}; give names or whole numbers')
  classes, indices = np.unique(array, return_inverse=True)
  if len(classes) < 2:
    raise ArrayError(
      f'the labels have one class, {classes.tolist()[0]!r}; give windows of two classes or more'
    )
  return classes, indices.astype(np.int32)


def check_held_out(held_out: Any, label: Int[np.ndarray, 'w']) -> Bool[np.ndarray, 'w']:
  """Reads which windows are held out. At least one window of each class must stay to train on."""
  mask = np.asarray(held_out)
  if mask.shape != label.shape or mask.dtype != bool:
    raise ArrayError(
      f'held_out is {list(mask.shape)} of {mask.dtype.name} for {len(label)} windows; '
      'give True or False per window'
    )
  if len(np.unique(label[~mask])) < len(np.unique(label)):
    raise ArrayError('held_out has all windows of a class; leave at least one of each class to train on')
  return mask


def one_per_window(values: Any, count: int, word: str) -> np.ndarray:
  """Array with one value per window, none of them missing, all of them names or all numbers.

  NumPy would silently stretch a single value over all windows.
  """
  array = as_array(values, f'the {word}s are of different lengths; give one {word} per window')
  if array.shape != (count,):
    raise ArrayError(f'the {word}s are {list(array.shape)} for {count} windows; give one {word} per window')
  if array.dtype.kind in 'Of':
    if strange := [value for value in array.tolist() if not _is_name(value)]:
      raise ArrayError(f'the {word}s have {strange[0]!r}; give strings or numbers')
    are_texts = {isinstance(value, str) for value in array.tolist()}
    if len(are_texts) > 1:
      raise ArrayError(f'the {word}s are strings and numbers, which have no order: give all as strings')
    array = array.astype(str) if True in are_texts else array  # no card takes NumPy's own texts
  return array


def _is_name(value: Any) -> bool:
  return isinstance(value, str | int | float) and value == value


class Estimator:
  """Parameters, score, tags and the check for a fit, as scikit-learn's BaseEstimator and ClassifierMixin.

  An estimator's `__init__` stores each parameter under its own name. No parameter is itself an estimator.
  """

  def get_params(self, deep: bool = True) -> dict[str, Any]:
    """The parameters of `__init__`. deep: no effect."""
    names = list(inspect.signature(type(self)).parameters)
    return {name: getattr(self, name) for name in names}

  def set_params(self, **changed: Any) -> Any:
    """Changes parameters and returns itself. Raises ValueError where one is unknown."""
    names = self.get_params()
    for name, value in changed.items():
      if name not in names:
        raise ValueError(f'{name!r} is no parameter of {type(self).__name__}; one of {", ".join(names)}')
      setattr(self, name, value)
    return self

  def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Accuracy of `predict`."""
    from sklearn.metrics import accuracy_score

    predicted = self.predict(X)  # type: ignore[attr-defined]
    return float(accuracy_score(y, predicted, sample_weight=sample_weight))

  def __sklearn_is_fitted__(self) -> bool:
    return hasattr(self, 'classes_')

  def check_fitted(self) -> None:
    """Raises scikit-learn's NotFittedError before `fit`, which sets `classes_`."""
    if not self.__sklearn_is_fitted__():
      from sklearn.exceptions import NotFittedError

      raise NotFittedError(f'this {type(self).__name__} is not fitted: call fit first')

  def __sklearn_tags__(self) -> Any:
    from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

    return Tags(
      estimator_type='classifier',
      requires_fit=not self.__sklearn_is_fitted__(),  # the bundled base recognizes without
      target_tags=TargetTags(required=True),
      classifier_tags=ClassifierTags(),
      input_tags=InputTags(two_d_array=False, three_d_array=True),
    )
