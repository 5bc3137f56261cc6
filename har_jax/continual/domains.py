"""A stream of domains: people of one dataset, or datasets and positions, one after another.   w windows."""

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from har_jax import config
from har_jax.datasets import label_budget, splits
from har_jax.datasets import windows as store
from har_jax.datasets.batches import Batch
from har_jax.datasets.normalization import PHYSICAL
from har_jax.errors import UserError
from har_jax.signal.recording import LOCOMOTION

_MOST_RECORDINGS = 10**6  # of a dataset, so that recordings of several have different numbers
# Windows of an activity to test on: of a domain, which is tested after each, and of the unseen people.
_MOST_TEST, _MOST_UNSEEN = 20, 100


@dataclasses.dataclass(frozen=True)
class Domain:
  """One domain's windows: signal, label and origin to train on; signal, label and recording to test on."""

  name: str
  train: Batch
  test: Batch

  @property
  def labels(self) -> Int[np.ndarray, 'y']:
    """The activities to train on, as indices into the stream's classes."""
    return np.unique(self.train['label'])


@dataclasses.dataclass(frozen=True)
class Stream:
  """Domains in the order in which they arrive, and windows of people who are in none of them."""

  domains: tuple[Domain, ...]
  unseen: Batch
  classes: tuple[str, ...]

  def seen(self, count: int) -> Int[np.ndarray, 'y']:
    """The activities of the first domains, sorted."""
    return np.unique(np.concatenate([np.empty(0, int), *(each.labels for each in self.domains[:count])]))


def of_people(
  folder: pathlib.Path, target: str, *, labels: int, seed: int, classes: str = 'locomotion', most: int = 0
) -> Stream:
  """The people of a dataset in a drawn order, but for those whom a subject-wise split tests on.

  labels: each person's labeled windows per activity, the first ones; 0: the first half of them.
  classes: locomotion or all, as `config.Protocol` has it. most: people; 0: all.
  Raises UserError where nobody has windows both to train and to test on.
  """
  names = _names(folder, [target], classes)
  windows, label, own, unseen = _read(folder, target, names, seed)
  subjects = windows.meta['subjects']
  found = [_domain(subjects[person], windows, label, [at], labels) for person, at in own.items()]
  return _stream(found[: most or None], [_test(windows, label, unseen, _MOST_UNSEEN)], names)


def of_datasets(
  folder: pathlib.Path,
  targets: Sequence[str],
  *,
  labels: int,
  seed: int,
  classes: str = 'locomotion',
  most: int = 0,
) -> Stream:
  """Datasets in a drawn order, each with all its people but for those whom a subject-wise split tests on.

  targets: names, each with a position after a slash or at its first one: dsads/left_leg. The rest is as in
  `of_people`; labeled windows and `most` are of the people of each dataset.
  """
  names = _names(folder, targets, classes)
  _check_people(folder, targets)
  found, unseen = [], []
  for place, target in enumerate(np.random.default_rng([seed, 2]).permutation(list(targets)).tolist()):
    windows, label, own, not_here = _read(folder, target, names, seed)
    domain = _domain(target, windows, label, list(own.values())[: most or None], labels)
    others = _test(windows, label, not_here, _MOST_UNSEEN)
    for test in (domain.test, others):
      test['recording'] += _MOST_RECORDINGS * place
    found.append(domain)
    unseen.append(others)
  return _stream(found, unseen, names)


def _stream(found: Sequence[Domain], unseen: Sequence[Batch], names: Sequence[str]) -> Stream:
  """The domains with windows of two activities to train on and any to test on."""
  usable = tuple(each for each in found if len(each.labels) > 1 and len(each.test['label']))
  if len(usable) < 2:
    raise UserError(
      f'{len(usable)} of {len(found)} domains have labeled windows of two activities, and later ones to test '
      'on; two such domains are needed: give fewer --labels_per_activity, more --people or others'
    )
  together = {name: np.concatenate([part[name] for part in unseen]) for name in unseen[0]}
  return Stream(usable, together, tuple(names))


def _names(folder: pathlib.Path, targets: Sequence[str], classes: str) -> list[str]:
  """The activities of these datasets, each once. Raises UserError for an unknown kind of classes."""
  classes = config.Protocol(classes=classes).classes
  found = [name for each in targets for name in store.read_meta(folder / each.split('/')[0])['activities']]
  return [name for name in dict.fromkeys(found) if classes == 'all' or name in LOCOMOTION]


def _check_people(folder: pathlib.Path, targets: Sequence[str]) -> None:
  """Raises UserError where one target occurs twice, and where two datasets have the same people.

  One of these would train on people who are in no domain of the other.
  """
  if len(set(targets)) < len(targets):
    raise UserError(f'--targets={",".join(targets)}: give each once')
  datasets = dict.fromkeys(target.partition('/')[0] for target in targets)
  for one, other in itertools.combinations(datasets, 2):
    if store.same_people(folder, one) & store.same_people(folder, other):
      raise UserError(
        f'{one} and {other} have the same people, so people in no domain of one may be in the other; give one'
      )


def _read(
  folder: pathlib.Path, target: str, names: Sequence[str], seed: int
) -> tuple[store.Windows, Int[np.ndarray, 'w'], dict[int, np.ndarray], Int[np.ndarray, 'p']]:
  """Windows, labels (-1: none of the names), where those of each person are, and those of unseen people.

  The people are in a drawn order.
  """
  dataset, _, position = target.partition('/')
  windows = store.load(folder / dataset)
  unseen_people = _unseen_people(windows, target, names, seed)
  positions = windows.meta.get('positions', [])
  if position and position not in positions:
    has = ', '.join(positions) or 'one position only'
    raise UserError(f'{dataset} has no position {position!r}; it has {has}')
  if positions:
    windows = store.at_position(windows, positions.index(position) if position else 0)
  label = _labels(windows, names)
  known = np.flatnonzero(label >= 0)
  subjects = np.array(windows.meta['subjects'])[windows.subject]
  unseen = known[np.isin(subjects[known], unseen_people)]
  rest = np.setdiff1d(known, unseen)
  order = np.random.default_rng([seed, 3]).permutation(np.unique(windows.subject[rest])).tolist()
  return windows, label, {person: rest[windows.subject[rest] == person] for person in order}, unseen


def _labels(windows: store.Windows, names: Sequence[str]) -> Int[np.ndarray, 'w']:
  activities = windows.meta['activities']
  label = np.array([names.index(each) if each in names else -1 for each in activities], np.int32)
  return label[windows.activity]


def _unseen_people(windows: store.Windows, target: str, names: Sequence[str], seed: int) -> list[str]:
  """Those whom a subject-wise split tests on: of all positions, each of which may be a domain."""
  label = _labels(windows, names)
  known = np.flatnonzero(label >= 0)
  subjects = windows.subject[known]
  try:
    parts = splits.split(label[known], subjects, config.Protocol(), seed)
  except UserError as error:
    raise UserError(f'{target}: {error}') from error
  return [windows.meta['subjects'][person] for person in np.unique(subjects[parts.test])]


def _domain(
  name: str, windows: store.Windows, label: Int[np.ndarray, 'w'], people: Sequence[np.ndarray], labels: int
) -> Domain:
  """people: where the windows of each are."""
  everyone = (*people, np.empty(0, int))  # all people of a position may be unseen
  parts = [label_budget.split(label, own, labels) for own in everyone]
  train, later = (np.sort(np.concatenate(part)) for part in zip(*parts, strict=True))
  signal = PHYSICAL(windows.signals[train])
  batch = {'signal': signal, 'label': label[train], 'origin': PHYSICAL.origins(len(train))}
  return Domain(name, batch, _test(windows, label, later, _MOST_TEST))


def _test(windows: store.Windows, label: Int[np.ndarray, 'w'], at: Int[np.ndarray, 'p'], most: int) -> Batch:
  """At most so many windows of each activity, evenly over all of them."""
  kept = [np.empty(0, int)]
  for each in np.unique(label[at]):
    indices = at[label[at] == each]
    kept.append(indices[np.unique(np.linspace(0, len(indices) - 1, most).round().astype(int))])
  chosen = np.sort(np.concatenate(kept))
  return {
    'signal': PHYSICAL(windows.signals[chosen]),
    'label': label[chosen],
    'recording': windows.recording[chosen].astype(np.int64),
  }
