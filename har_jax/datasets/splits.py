"""Splits into train, validation and test parts, held-out windows, and label budgets.   w windows."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from har_jax import config
from har_jax.errors import UserError, counted
from har_jax.signal.cutting import Window

_MAX_DRAWS = 100  # of subjects, until the train part has every class
_FOLDS = 5
MIN_CLASS_WINDOWS = 5  # with fewer windows of a class, none are held out for validation
_MIN_SUBJECTS = 4  # with fewer subjects, windows are held out, not subjects
_MIN_REMAINING = 2  # windows of a class that stay: one to train on, and one that may overlap


class Split(NamedTuple):
  """Indices of windows, each part sorted; the parts are disjoint."""

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
  """Splits subject-wise or window-wise, before any label budget.

  Subject-wise: no subject is in two parts, and fractions are of subjects. With `official` test subjects, only
  validation subjects are drawn.
  Five-fold: subject-wise, and the test subjects are one of five folds, the same five for every seed.
  Window-wise: stratified by class. Windows overlap by half, so neighbors in different parts leak.

  Raises UserError: too few subjects; a class that no train part has; a class too small to stratify.
  """
  if protocol.split == 'window':
    return _window_wise(labels, protocol, seed)
  test = _draw_fold(labels, subjects, seed) if protocol.split == 'five_fold' else official
  return _subject_wise(labels, subjects, protocol, seed, test)


def _draw_fold(
  labels: Int[np.ndarray, 'w'], subjects: Int[np.ndarray, 'w'], seed: int
) -> Int[np.ndarray, 's']:
  """Draws the subjects of fold `seed` of five that together test each subject once, with similar classes."""
  if seed >= _FOLDS:
    raise UserError(f'a five-fold split has seeds 0 to {_FOLDS - 1}; {seed} was given')
  if len(np.unique(subjects)) < _FOLDS:
    raise UserError(f'{_too_few(subjects)} for {_FOLDS} folds; use --split=subject')
  from sklearn.model_selection import StratifiedGroupKFold

  folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0).split(labels, labels, subjects)
  return np.unique(subjects[list(folds)[seed][1]])


def _too_few(subjects: Int[np.ndarray, 'w']) -> str:
  return f'{counted(len(np.unique(subjects)), "subject is", "subjects are")} too few'


def _subject_wise(
  labels: Int[np.ndarray, 'w'],
  subjects: Int[np.ndarray, 'w'],
  protocol: config.Protocol,
  seed: int,
  fixed: Int[np.ndarray, 's'] | None,
) -> Split:
  everyone = np.unique(subjects)
  fixed_test = np.empty(0, everyone.dtype) if fixed is None else np.intersect1d(everyone, fixed)
  n_test = len(fixed_test) or max(1, round(protocol.test_fraction * len(everyone)))
  n_validation = max(1, round(protocol.validation_fraction * len(everyone)))
  if len(everyone) - n_test - n_validation < 1:
    raise UserError(f'{_too_few(subjects)} to train, validate and test on; use --split=window')
  rng = np.random.default_rng(seed)
  for _ in range(_MAX_DRAWS):
    drawn = np.concatenate([fixed_test, rng.permutation(np.setdiff1d(everyone, fixed_test))])
    parts = np.split(drawn, [n_test, n_test + n_validation])
    test, validation, train = (np.flatnonzero(np.isin(subjects, part)) for part in parts)
    if len(np.unique(labels[train])) == len(np.unique(labels)):
      return Split(train, validation, test)
  missing = ', '.join(map(str, np.setdiff1d(labels, labels[train])))
  raise UserError(
    f'none of {_MAX_DRAWS} draws has every class in the train part; too few subjects have class {missing}'
  )


def _window_wise(labels: Int[np.ndarray, 'w'], protocol: config.Protocol, seed: int) -> Split:
  from sklearn.model_selection import train_test_split  # late: importing it takes a second

  classes, counts = np.unique(labels, return_counts=True)
  if counts.min() < 10:
    raise UserError(
      f'class {classes[counts.argmin()]} has {counts.min()} windows; a window-wise split needs 10'
    )
  fraction = protocol.validation_fraction / (1 - protocol.test_fraction)
  try:
    others, test = train_test_split(
      np.arange(len(labels)), test_size=protocol.test_fraction, stratify=labels, random_state=seed
    )
    train, validation = train_test_split(
      others, test_size=fraction, stratify=labels[others], random_state=seed
    )
  except ValueError as error:
    raise UserError(
      f'{len(labels)} windows are too few for these fractions of a window-wise split: {error}'
    ) from error
  return Split(np.sort(train), np.sort(validation), np.sort(test))


def hold_out_subjects(subjects: Int[np.ndarray, 'w'], fraction: float, *, seed: int) -> Bool[np.ndarray, 'w']:
  """True for the windows of a random fraction of the subjects, at least one subject. Needs no labels."""
  everyone = np.unique(subjects)
  count = max(1, round(fraction * len(everyone)))
  if count >= len(everyone):
    raise UserError(f'{_too_few(subjects)} to hold one out for validation')
  return np.isin(subjects, np.random.default_rng(seed).permutation(everyone)[:count])


def hold_out_at_random(
  labels: Int[np.ndarray, 'w'], subjects: Int[np.ndarray, 'w'] | None, fraction: float, seed: int
) -> tuple[Bool[np.ndarray, 'w'], str]:
  """Holds out subjects, or windows of each class if there are too few of them.

  Returns a mask, True where held out, and the kind of split: subject, window or none.
  """
  classes = np.unique(labels)
  held_out = np.zeros(len(labels), bool)
  if not fraction or np.bincount(labels).min() < MIN_CLASS_WINDOWS:
    return held_out, 'none'
  if subjects is not None and len(np.unique(subjects)) >= _MIN_SUBJECTS:
    for draw in range(_MAX_DRAWS):
      drawn = hold_out_subjects(subjects, fraction, seed=seed + draw)
      if len(np.unique(labels[~drawn])) == len(classes):
        return drawn, 'subject'
    # Too few subjects have some class: hold out windows, so that every class is trained.
  rng = np.random.default_rng(seed)
  for label in classes:
    indices = rng.permutation(np.flatnonzero(labels == label))
    count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
    held_out[indices[:count]] = True
  return held_out, 'window'


def hold_out_last(
  windows: Sequence[Window], fraction: float, windowing: config.Windowing
) -> tuple[Bool[np.ndarray, 'w'], Bool[np.ndarray, 'w']]:
  """Holds out the last windows of each activity in time, which share no sample with the others to train on.

  Returns two disjoint masks. First, True: held out. Second, True: overlaps a held-out window.
  Holds out the last `fraction` of each activity, at least one window, and nothing of an activity with fewer
  than `MIN_CLASS_WINDOWS`. Holds out nothing at all if `fraction` is 0, or fewer than two activities remain.
  A random choice would be optimistic: it shares half of its samples with the training windows on either side.
  """
  activity = np.array([window.activity for window in windows])
  recording = np.array([window.recording for window in windows])
  start_s = np.array([window.start_s for window in windows])
  held_out, overlapping = np.zeros((2, len(windows)), bool)
  by_activity = [np.flatnonzero(activity == name) for name in np.unique(activity)]
  by_activity = [indices for indices in by_activity if len(indices) >= MIN_CLASS_WINDOWS]
  if not fraction or len(by_activity) < 2:
    return held_out, overlapping
  for indices in by_activity:
    in_order = indices[np.lexsort((start_s[indices], recording[indices]))]
    count = min(max(1, round(fraction * len(in_order))), len(in_order) - _MIN_REMAINING)
    held_out[in_order[-count:]] = True
  window_s = (windowing.samples - 0.5) / windowing.rate_hz  # half a sample less: neighbors do not overlap
  for number in np.unique(recording[held_out]):
    others = np.flatnonzero((recording == number) & ~held_out)
    starts = np.sort(start_s[(recording == number) & held_out])
    after = np.searchsorted(starts, start_s[others])
    distance = np.minimum(
      np.abs(start_s[others] - starts[np.minimum(after, len(starts) - 1)]),
      np.abs(start_s[others] - starts[np.maximum(after - 1, 0)]),
    )
    overlapping[others[distance < window_s]] = True
  return held_out, overlapping


def split_first(
  labels: Int[np.ndarray, 'w'],
  person: Int[np.ndarray, 'p'],
  count: int,
  unlabeled: Collection[int] = (),
) -> tuple[Int[np.ndarray, 'a'], Int[np.ndarray, 'b']]:
  """Splits a person's windows into the first ones of each activity, to train on, and later ones; both sorted.

  person: indices of the person's windows, in recording order. count: windows per activity to train on; 0: the
  first half. unlabeled: activities without a window to train on. A window between the parts overlaps both,
  and is in neither.
  """
  first, later = [np.empty(0, int)], [np.empty(0, int)]
  for label in np.unique(labels[person]):
    indices = person[labels[person] == label]
    end = count or len(indices) // 2
    first.append(indices[: 0 if label in unlabeled else end])
    later.append(indices[end + 1 :])
  return np.sort(np.concatenate(first)), np.sort(np.concatenate(later))


def apply_label_budget(
  indices: Int[np.ndarray, 'a'], labels: Int[np.ndarray, 'w'], protocol: config.Protocol, seed: int
) -> Int[np.ndarray, 'b']:
  """The windows of one part, train or validation, whose labels are used; sorted.

  A fraction is of all windows, with the test part, and thins each class of both parts alike; at least one
  window per class stays. A number is per class of the part; a class with fewer windows keeps all.
  """
  budget = protocol.budget
  rng = np.random.default_rng([seed, 1])  # independent of the draw of the split
  drawn = []
  for label in np.unique(labels[indices]):
    class_indices = rng.permutation(indices[labels[indices] == label])
    count = (
      budget
      if isinstance(budget, int)
      else max(1, round(len(class_indices) * budget / (1 - protocol.test_fraction)))
    )
    drawn.append(class_indices[:count])
  return np.sort(np.concatenate(drawn))
