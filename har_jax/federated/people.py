"""Each person's own windows: the first of each activity are labeled, the later ones are for testing.

w windows.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
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
  most: number of people who are clients, drawn by the seed; None: all.
  """

  folder: pathlib.Path
  target: str
  labels: int
  seed: int
  missing: int = 0
  most: int | None = None

  @property
  def entries(self) -> dict[str, Any]:
    """Entries of a card that decide the clients' windows."""
    entries = {'target': self.target, 'labels_per_activity': self.labels, 'missing': self.missing}
    return entries | {'most': self.most, 'windows': Datasets.open(self.folder)[self.target].checksum}


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
    missing = np.random.default_rng([seed, subject]).permutation(len(data.classes))[: archive.missing]
    parts.append(_split(data.train, np.flatnonzero(subjects == subject), archive.labels, missing.tolist()))
  clients = tuple(Person(number, *part) for number, part in enumerate(part for part in parts if part))
  return People(clients, data.validation, data.test, data.classes)


def read_person(
  folder: pathlib.Path, target: str, name: str, *, classes: tuple[str, ...], labels: int, number: int
) -> Person:
  """Reads one person of prepared windows, of these activities alone. labels: as in `Archive`.

  Raises UserError if there is no such person, or it has no labeled or no later windows.
  """
  windows = Dataset(folder / target).first_position
  people, label = windows.meta.subjects, windows.labels(classes)
  if name not in people:
    raise UserError(f'{folder / target} has no person {name!r}; it has {", ".join(people[:20])}')
  indices = np.flatnonzero((windows.subject == people.index(name)) & (label >= 0))
  normalizer = normalization.physical(windows.signals[indices])
  batch = {
    'signal': normalizer(windows.signals[indices]),
    'label': label[indices],
    'origin': normalizer.origins(len(indices)),
  }
  if (parts := _split(batch, np.arange(len(indices)), labels)) is None:
    raise UserError(f'{name} has too few windows of {", ".join(classes)} to train and to test on')
  return Person(number, *parts)


def _split(
  windows: Batch, indices: Int[np.ndarray, 'w'], labels: int, missing: Sequence[int] = ()
) -> tuple[Batch, Batch] | None:
  """One person's labeled and later windows; None if there are none of either. missing: without labels."""
  train, later = splits.split_first(windows['label'], indices, labels, missing)
  if not len(train) or not len(later):
    return None
  labeled = {name: array[train] for name, array in windows.items()}
  return labeled, {name: windows[name][later] for name in ('signal', 'label')}
