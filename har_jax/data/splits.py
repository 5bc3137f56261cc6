"""Who is learned from, who is chosen by and who is tested on.   w windows."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Int
from sklearn.model_selection import train_test_split

from har_jax import config
from har_jax.errors import UserError

_DRAWS = 100  # of subjects, until the train part knows every class


@dataclasses.dataclass(frozen=True)
class Split:
  """Places of windows, each part sorted; no window in two of them."""

  train: Int[np.ndarray, 'a']
  validation: Int[np.ndarray, 'b']
  test: Int[np.ndarray, 'c']


def split(
  labels: Int[np.ndarray, 'w'],
  subjects: Int[np.ndarray, 'w'],
  protocol: config.Protocol,
  seed: int,
  *,
  official: Int[np.ndarray, 's'] | None = None,
) -> Split:
  """Parts by subject or by window, before any label budget.

  By subject, no subject is in two parts, and shares are of subjects. By window the parts are stratified; windows
  overlap by half, so neighbors land in different parts and figures are optimistic. The official split tests on the
  subjects given, and draws those to choose by from the others.

  Raises UserError: too few subjects; a class that the train part never knows; a class too small to stratify.
  """
  if protocol.split == 'window':
    return _by_window(labels, protocol, seed)
  return _by_subject(labels, subjects, protocol, seed, official)


def _by_subject(
  labels: Int[np.ndarray, 'w'],
  subjects: Int[np.ndarray, 'w'],
  protocol: config.Protocol,
  seed: int,
  official: Int[np.ndarray, 's'] | None,
) -> Split:
  everyone = np.unique(subjects)
  tested = np.empty(0, everyone.dtype) if official is None else np.intersect1d(everyone, official)
  n_test = len(tested) or max(1, round(protocol.test_fraction * len(everyone)))
  n_validation = max(1, round(protocol.validation_fraction * len(everyone)))
  if len(everyone) - n_test - n_validation < 1:
    raise UserError(
      f'{len(everyone)} subjects are too few to train, validate and test on; use --split=window'
    )
  rng = np.random.default_rng(seed)
  for _ in range(_DRAWS):
    drawn = np.concatenate([tested, rng.permutation(np.setdiff1d(everyone, tested))])
    parts = np.split(drawn, [n_test, n_test + n_validation])
    test, validation, train = (np.flatnonzero(np.isin(subjects, part)) for part in parts)
    if len(np.unique(labels[train])) == len(np.unique(labels)):
      return Split(train, validation, test)
  missing = ', '.join(map(str, np.setdiff1d(labels, labels[train])))
  raise UserError(
    f'no draw of {_DRAWS} has every class in the train part; class {missing} is known of too few subjects'
  )


def _by_window(labels: Int[np.ndarray, 'w'], protocol: config.Protocol, seed: int) -> Split:
  _refuse_small_classes(labels)
  places = np.arange(len(labels))
  share = protocol.validation_fraction / (1 - protocol.test_fraction)
  try:
    rest, test = train_test_split(
      places, test_size=protocol.test_fraction, stratify=labels, random_state=seed
    )
    train, validation = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=seed)
  except ValueError as error:
    raise UserError(
      f'{len(labels)} windows are too few for these shares of a split by window: {error}'
    ) from error
  return Split(np.sort(train), np.sort(validation), np.sort(test))


def _refuse_small_classes(labels: Int[np.ndarray, 'w']) -> None:
  classes, counts = np.unique(labels, return_counts=True)
  if counts.min() < 10:
    raise UserError(
      f'class {classes[counts.argmin()]} has {counts.min()} windows; a split by window needs 10'
    )


def hold_out(subjects: Int[np.ndarray, 'w'], share: float, *, seed: int) -> Bool[np.ndarray, 'w']:
  """True for the windows of a share of the subjects, one at least; for pretraining, which needs no labels."""
  everyone = np.unique(subjects)
  count = max(1, round(share * len(everyone)))
  if count >= len(everyone):
    raise UserError(f'{len(everyone)} subjects are too few to keep one apart for validation')
  return np.isin(subjects, np.random.default_rng(seed).permutation(everyone)[:count])


def apply_label_budget(
  places: Int[np.ndarray, 'a'], labels: Int[np.ndarray, 'w'], protocol: config.Protocol, seed: int
) -> Int[np.ndarray, 'b']:
  """The windows of a part whose labels the budget pays for, sorted.

  A share is of all windows, those tested on included, and falls on the train and validation parts alike; as many of
  each class as their numbers say, one at least. A number is for each class of the part; a class with fewer gives all.
  """
  budget = protocol.budget
  rng = np.random.default_rng([seed, 1])  # apart from the draw of the split itself
  kept = []
  for each in np.unique(labels[places]):
    of_class = rng.permutation(places[labels[places] == each])
    wanted = (
      budget
      if isinstance(budget, int)
      else max(1, round(len(of_class) * budget / (1 - protocol.test_fraction)))
    )
    kept.append(of_class[:wanted])
  return np.sort(np.concatenate(kept))
