"""A stream of domains: people of one dataset, or datasets and positions, one after another.   w windows."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from har_jax import config
from har_jax.datasets import splits
from har_jax.datasets import windows as store
from har_jax.datasets.batches import Batch, concatenate
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.normalization import PHYSICAL
from har_jax.errors import UserError, counted
from har_jax.signal.recording import LOCOMOTION

_MOST_RECORDINGS = 10**6  # of a dataset, so that recordings of several have different numbers
# Windows of an activity to test on: of a domain, which is tested after each, and of the unseen people.
_MOST_TEST, _MOST_UNSEEN = 20, 100
_FEWEST_PEOPLE = 3  # to train, to validate and to test on


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
    return np.unique(np.concatenate([np.empty(0, int), *(domain.labels for domain in self.domains[:count])]))


def stream_people(
  datasets: Datasets, target: str, *, labels: int, seed: int, classes: str = 'locomotion', most: int = 0
) -> Stream:
  """Streams the people of a dataset in a drawn order, but for those whom a subject-wise split tests on.

  labels: each person's labeled windows per activity, the first ones; 0: the first half of them.
  classes: locomotion or all, as `config.Protocol` has it. most: people; 0: all.
  Raises UserError where nobody has windows both to train and to test on.
  """
  part = _read(datasets, target, _list_activities(datasets, [target], classes), seed)
  names = part.windows.meta.subjects
  domains = [_make_domain(names[person], part, [rows], labels) for person, rows in part.people.items()]
  return _make_stream(domains[: most or None], [_sample(part, part.unseen, _MOST_UNSEEN)], part.activities)


def stream_datasets(
  datasets: Datasets,
  targets: Sequence[str],
  *,
  labels: int,
  seed: int,
  classes: str = 'locomotion',
  most: int = 0,
) -> Stream:
  """Streams datasets in a drawn order, each with all its people but for those whom a split tests on.

  targets: names, each with a position after a slash or at its first one: dsads/left_leg. The others are as in
  `stream_people`; labeled windows and `most` are of the people of each dataset.
  """
  activities = _list_activities(datasets, targets, classes)
  _check_people(datasets, targets)
  domains, unseen = [], []
  for number, target in enumerate(np.random.default_rng([seed, 2]).permutation(list(targets)).tolist()):
    part = _read(datasets, target, activities, seed)
    domain = _make_domain(target, part, list(part.people.values())[: most or None], labels)
    others = _sample(part, part.unseen, _MOST_UNSEEN)
    for test in (domain.test, others):
      test['recording'] += _MOST_RECORDINGS * number
    domains.append(domain)
    unseen.append(others)
  return _make_stream(domains, unseen, activities)


def _make_stream(domains: Sequence[Domain], unseen: Sequence[Batch], activities: Sequence[str]) -> Stream:
  """Keeps the domains with windows of two activities to train on and any to test on."""
  usable = tuple(domain for domain in domains if len(domain.labels) > 1 and len(domain.test['label']))
  if len(usable) < 2:
    raise UserError(
      f'{len(usable)} of {len(domains)} domains have labeled windows of two activities, and later ones to '
      'test on; two such domains are needed: give fewer --labels_per_activity, more --people or others'
    )
  return Stream(usable, concatenate(unseen), tuple(activities))


def _list_activities(datasets: Datasets, targets: Sequence[str], classes: str) -> list[str]:
  """Lists the activities of these datasets, each once. Raises UserError for an unknown kind of classes."""
  classes = config.Protocol(classes=classes).classes
  names = [name for target in targets for name in datasets[target.split('/')[0]].meta.activities]
  return [name for name in dict.fromkeys(names) if classes == 'all' or name in LOCOMOTION]


def _check_people(datasets: Datasets, targets: Sequence[str]) -> None:
  """Raises UserError where one target occurs twice, and where two datasets have the same people.

  One of these would train on people who are in no domain of the other.
  """
  if len(set(targets)) < len(targets):
    raise UserError(f'--targets={",".join(targets)}: give each once')
  names = dict.fromkeys(target.partition('/')[0] for target in targets)
  for one, other in itertools.combinations(names, 2):
    if datasets[one].people & datasets[other].people:
      raise UserError(
        f'{one} and {other} have the same people, so people in no domain of one may be in the other; give one'
      )


@dataclasses.dataclass(frozen=True)
class _Part:
  """A dataset at one position: who is in the stream, in a drawn order, and who is not."""

  windows: store.Windows
  activities: Sequence[str]
  label: Int[np.ndarray, 'w']  # indices into the activities; -1: none of them
  people: dict[int, np.ndarray]  # person → where its windows are
  unseen: Int[np.ndarray, 'p']


def _read(datasets: Datasets, target: str, activities: Sequence[str], seed: int) -> _Part:
  name, _, position = target.partition('/')
  windows = datasets[name].windows
  unseen_people = _draw_unseen_people(windows, target, activities, seed)
  positions = windows.meta.positions or []
  if position and position not in positions:
    has = ', '.join(positions) or 'one position only'
    raise UserError(f'{name} has no position {position!r}; it has {has}')
  windows = store.at_position(windows, positions.index(position) if position else 0)
  label = windows.labels(activities)
  labeled = np.flatnonzero(label >= 0)
  subjects = np.array(windows.meta.subjects)[windows.subject]
  is_unseen = np.isin(subjects[labeled], unseen_people)
  unseen, others = labeled[is_unseen], labeled[~is_unseen]
  order = np.random.default_rng([seed, 3]).permutation(np.unique(windows.subject[others])).tolist()
  people = {person: others[windows.subject[others] == person] for person in order}
  return _Part(windows, activities, label, people, unseen)


def _draw_unseen_people(
  windows: store.Windows, target: str, activities: Sequence[str], seed: int
) -> list[str]:
  """Draws those whom a subject-wise split tests on: of all positions, each of which may be a domain."""
  label = windows.labels(activities)
  labeled = np.flatnonzero(label >= 0)
  subjects = windows.subject[labeled]
  if (count := len(np.unique(subjects))) < _FEWEST_PEOPLE:
    raise UserError(
      f'{target} has {counted(count, "person", "people")} with windows of the classes, and '
      f'{_FEWEST_PEOPLE} are needed: give --classes=all, or another dataset'
    )
  try:
    parts = splits.split(label[labeled], subjects, config.Protocol(), seed)
  except UserError as error:
    raise UserError(f'{target}: {error}') from error
  return [windows.meta.subjects[person] for person in np.unique(subjects[parts.test])]


def _make_domain(name: str, part: _Part, people: Sequence[np.ndarray], labels: int) -> Domain:
  """Makes a domain of people; `people`: where the windows of each are."""
  everyone = (*people, np.empty(0, int))  # all people of a position may be unseen
  halves = [splits.split_first(part.label, person, labels) for person in everyone]
  train, later = (np.sort(np.concatenate(rows)) for rows in zip(*halves, strict=True))
  signal = PHYSICAL(part.windows.signals[train])
  batch = {'signal': signal, 'label': part.label[train], 'origin': PHYSICAL.origins(len(train))}
  return Domain(name, batch, _sample(part, later, _MOST_TEST))


def _sample(part: _Part, rows: Int[np.ndarray, 'p'], per_activity: int) -> Batch:
  """Takes at most so many windows of each activity, evenly over all of them."""
  sampled = [np.empty(0, int)]
  for label in np.unique(part.label[rows]):
    indices = rows[part.label[rows] == label]
    sampled.append(indices[np.unique(np.linspace(0, len(indices) - 1, per_activity).round().astype(int))])
  indices = np.sort(np.concatenate(sampled))
  return {
    'signal': PHYSICAL(part.windows.signals[indices]),
    'label': part.label[indices],
    'recording': part.windows.recording[indices].astype(np.int64),
  }
