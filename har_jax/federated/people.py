"""Each person's own windows: the first of each activity are labeled, the later ones are for testing.

w windows.
"""

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Int

from har_jax import config
from har_jax.datasets import normalization, splits
from har_jax.datasets.batches import Batch
from har_jax.datasets.datasets import Dataset, Datasets
from har_jax.datasets.folds import Fold
from har_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Person:
  """One client's windows, and the number that its draws of batches start from."""

  number: int
  train: Batch
  later: Batch


@dataclasses.dataclass(frozen=True)
class People:
  """The clients, and the windows of people who never take part."""

  clients: tuple[Person, ...]
  validation: Batch
  unseen: Batch
  classes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Archive:
  """An archive whose people are clients.

  labels: each client's labeled windows per activity, its first ones; 0: the first half of them.
  missing: activities that each client has no label of, drawn anew for each.
  ranks: of the clients, in turn; none: all have the federation's.
  most: number of people who are clients, drawn by the seed; None: all.
  """

  folder: pathlib.Path
  target: str
  labels: int
  seed: int
  missing: int = 0
  ranks: tuple[int, ...] = ()
  most: int | None = None

  @property
  def entries(self) -> dict[str, Any]:
    """What decides the clients' windows and ranks, as a card holds it."""
    entries = {'target': self.target, 'labels_per_activity': self.labels, 'missing': self.missing}
    entries |= {'most': self.most, 'client_ranks': list(self.ranks)}
    return entries | {'windows': Datasets.open(self.folder)[self.target].checksum}


@functools.lru_cache(maxsize=2)
def read(archive: Archive) -> People:
  """The people of an archive: those to train on are clients, as a subject-wise split draws them.

  A person without labeled or without later windows is left out.
  """
  datasets, seed = Datasets.open(archive.folder), archive.seed
  data = Fold(datasets, archive.target, (), config.Protocol(normalize='none'), seed).target_windows()
  subjects = data.subjects[data.indices['train']]
  if archive.missing > len(data.classes) - 2:
    raise UserError(f'{archive.missing} of {len(data.classes)} activities cannot be missing; two are needed')
  parts = []
  for subject in np.sort(np.random.default_rng(seed).permutation(np.unique(subjects))[: archive.most]):
    lacks = np.random.default_rng([seed, subject]).permutation(len(data.classes))[: archive.missing]
    parts.append(_split(data.train, np.flatnonzero(subjects == subject), archive.labels, lacks))
  usable = [(train, later) for train, later in parts if len(train['label']) and len(later['label'])]
  clients = tuple(Person(number, *part) for number, part in enumerate(usable))
  return People(clients, data.validation, data.test, data.classes)


def read_person(
  folder: pathlib.Path, target: str, name: str, *, classes: tuple[str, ...], labels: int, number: int
) -> Person:
  """Reads one person of prepared windows, of these activities alone. labels: as in `Archive`.

  Raises UserError if there is no such person, or it has no labeled or no later windows.
  """
  windows = Dataset(folder / target).first_position
  people, activities = windows.meta['subjects'], windows.meta['activities']
  if name not in people:
    raise UserError(f'{folder / target} has no person {name!r}; it has {", ".join(people[:20])}')
  label = np.array([classes.index(each) if each in classes else -1 for each in activities], np.int32)
  own = np.flatnonzero((windows.subject == people.index(name)) & (label[windows.activity] >= 0))
  normalizer = normalization.physical(windows.signals[own])
  mine = {
    'signal': normalizer(windows.signals[own]),
    'label': label[windows.activity[own]],
    'origin': normalizer.origins(len(own)),
  }
  train, later = _split(mine, np.arange(len(own)), labels, np.empty(0, int))
  if not len(train['label']) or not len(later['label']):
    raise UserError(f'{name} has too few windows of {", ".join(classes)} to train and to test on')
  return Person(number, train, later)


def _split(
  windows: Batch, own: Int[np.ndarray, 'w'], labels: int, lacks: Int[np.ndarray, 'm']
) -> tuple[Batch, Batch]:
  train, later = splits.split_first(windows['label'], own, labels, lacks.tolist())
  return {name: array[train] for name, array in windows.items()}, {
    name: windows[name][later] for name in ('signal', 'label')
  }
