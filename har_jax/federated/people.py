"""Each person's own windows: the first of each activity are labeled, the later ones are for testing.

w windows.
"""

import dataclasses
import pathlib

import numpy as np
from jaxtyping import Int

from har_jax import config
from har_jax.data import folds, normalization
from har_jax.data import windows as store
from har_jax.data.batches import Batch
from har_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Person:
  """One client's windows, and the number that its draws of batches start from."""

  number: int
  train: Batch
  later: Batch


@dataclasses.dataclass(frozen=True)
class People:
  """The clients, and those who never take part."""

  clients: tuple[Person, ...]
  validation: Batch
  unseen: Batch
  classes: tuple[str, ...]


def of_archive(folder: pathlib.Path, target: str, *, labels: int, seed: int, missing: int = 0) -> People:
  """The people of an archive: those to train on are clients, as a subject-wise split draws them.

  labels: each client's labeled windows per activity, its first ones; 0: the first half of them.
  missing: activities that each client has no label of, drawn anew for each.
  """
  protocol = config.Protocol(normalize='none')
  data = folds.target_windows(folder, target, protocol, seed)
  subjects = store.at_first_position(store.load(folder / target)).subject[data.indices['train']]
  if missing > len(data.classes) - 2:
    raise UserError(f'{missing} of {len(data.classes)} activities cannot be missing; two are needed')
  return People(
    tuple(
      _person(
        number, data.train, np.flatnonzero(subjects == subject), labels, _lacks(data, number, missing, seed)
      )
      for number, subject in enumerate(np.unique(subjects))
    ),
    data.validation,
    data.test,
    data.classes,
  )


def of_name(
  folder: pathlib.Path, target: str, name: str, *, classes: tuple[str, ...], labels: int, number: int
) -> Person:
  """One person of prepared windows, of these activities alone. labels: as in `of_archive`.

  Raises UserError where there is no such person, or no labeled window of it.
  """
  windows = store.at_first_position(store.load(folder / target))
  people, activities = windows.meta['subjects'], windows.meta['activities']
  if name not in people:
    raise UserError(f'{folder / target} has no person {name!r}; it has {", ".join(people[:20])}')
  label = np.array([classes.index(each) if each in classes else -1 for each in activities], np.int32)
  label = label[windows.activity]
  own = np.flatnonzero((windows.subject == people.index(name)) & (label >= 0))
  if not len(own):
    raise UserError(f'{name} has no window of {", ".join(classes)}')
  normalizer = normalization.physical(windows.signals[own])
  mine = {
    'signal': normalizer(windows.signals[own]),
    'label': label[own],
    'origin': normalizer.origins(len(own)),
  }
  return _person(number, mine, np.arange(len(own)), labels, np.empty(0, int))


def _lacks(data: folds.TargetWindows, number: int, missing: int, seed: int) -> Int[np.ndarray, 'm']:
  return np.random.default_rng([seed, number]).permutation(len(data.classes))[:missing]


def _person(
  number: int, windows: Batch, own: Int[np.ndarray, 'w'], labels: int, lacks: Int[np.ndarray, 'm']
) -> Person:
  """In recording order. The window after the labeled ones overlaps them and is left out."""
  train_at, later_at = [], []
  for label in np.unique(windows['label'][own]):
    indices = own[windows['label'][own] == label]
    count = labels or len(indices) // 2
    train_at += [] if label in lacks else [indices[:count]]
    later_at.append(indices[count + 1 :])
  train, later = (np.sort(np.concatenate(at)) for at in (train_at, later_at))
  return Person(
    number,
    {name: array[train] for name, array in windows.items()},
    {name: windows[name][later] for name in ('signal', 'label')},
  )
