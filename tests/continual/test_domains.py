"""People, datasets and positions become domains that arrive one after another."""

import functools
import itertools
import types
from typing import Any

import made_people
import numpy as np
import pytest

from har_jax import config
from har_jax.continual import domains
from har_jax.datasets import splits
from har_jax.datasets.batches import Batch
from har_jax.datasets.datasets import Datasets
from har_jax.errors import UserError


def test_people_have_first_windows_and_others_are_unseen(windows, monkeypatch):
  stream_people = functools.partial(domains.stream_people, Datasets.open(windows), 'made', labels=4)
  stream = stream_people(seed=0)
  assert len(stream.domains) == 7  # of ten; three are in no domain
  for domain in stream.domains:
    assert np.bincount(domain.train['label']).tolist() == [4, 4, 4]
    assert np.bincount(domain.test['label']).tolist() == [7, 7, 7]
    flat = [part['signal'].reshape(len(part['signal']), -1) for part in (domain.train, domain.test)]
    assert not (flat[0][:, None] == flat[1][None]).all(axis=-1).any()
  assert np.bincount(stream.unseen['label']).tolist() == [3 * 12] * 3  # all of three people
  few = stream_people(seed=0, most=3).domains
  assert [domain.name for domain in few] == [domain.name for domain in stream.domains[:3]]
  recordings = {int(number) for domain in stream.domains for number in domain.test['recording']}
  assert not recordings & set(stream.unseen['recording'].tolist())
  monkeypatch.setattr(domains, '_MOST_TEST', 3)  # of seven, evenly
  few, many = (part.domains[0].test for part in (stream_people(seed=0), stream))
  rows = np.concatenate([np.flatnonzero(many['label'] == label)[[0, 3, 6]] for label in range(3)])
  np.testing.assert_array_equal(few['signal'], many['signal'][np.sort(rows)])


@pytest.mark.parametrize('seed', [0, 5])
def test_nobody_whom_a_subject_wise_split_of_the_seed_tests_on_is_a_domain(windows, seed):
  datasets = Datasets.open(windows)
  made = datasets['made'].windows
  label = made.labels(made_people.CLASSES)
  tested = splits.split(label, made.subject, config.Protocol(), seed).test
  stream = domains.stream_people(datasets, 'made', labels=4, seed=seed)
  people = {made.meta.subjects[person] for person in np.unique(made.subject[tested])}
  assert len(people) == 3
  assert {domain.name for domain in stream.domains} == set(made.meta.subjects) - people
  assert set(stream.unseen['recording'].tolist()) == set(made.recording[tested].tolist())


def test_datasets_and_positions_are_domains(windows):
  stream = domains.stream_datasets(
    Datasets.open(windows), ['made', 'placed/waist', 'placed/wrist'], labels=2, seed=0
  )
  assert sorted(domain.name for domain in stream.domains) == ['made', 'placed/waist', 'placed/wrist']
  assert all(np.bincount(domain.train['label']).tolist() == [14] * 3 for domain in stream.domains)
  recordings = [set(domain.test['recording'].tolist()) for domain in stream.domains]
  assert not any(one & other for one, other in itertools.combinations(recordings, 2))
  assert np.bincount(stream.unseen['label']).tolist() == [3 * 36] * 3  # all of three people
  assert len(set(stream.unseen['recording'].tolist())) == 3 * 3 * 3  # domains, people, activities
  with pytest.raises(UserError, match=r"placed has no position 'ankle'; it has waist, wrist"):
    domains.stream_datasets(Datasets.open(windows), ['made', 'placed/ankle'], labels=2, seed=0)
  with pytest.raises(UserError, match=r'0 of 2 domains .* give fewer --labels_per_activity'):
    domains.stream_datasets(Datasets.open(windows), ['made', 'placed'], labels=12, seed=0)


def test_people_come_in_an_order_that_the_seed_draws_and_no_more_than_asked(windows):
  datasets = Datasets.open(windows)
  for seed in (0, 5):
    stream = domains.stream_people(datasets, 'made', labels=4, seed=seed)
    names = sorted((domain.name for domain in stream.domains), key=lambda name: int(name[1:]))
    order = np.random.default_rng([seed, 3]).permutation(len(names))
    assert [domain.name for domain in stream.domains] == [names[index] for index in order]
    targets = ['made', 'placed/waist', 'placed/wrist']
    order = np.random.default_rng([seed, 2]).permutation(targets).tolist()
    placed = domains.stream_datasets(datasets, targets, labels=2, seed=seed)
    assert [domain.name for domain in placed.domains] == order
  few = domains.stream_datasets(datasets, ['made', 'placed'], labels=2, seed=0, most=3)
  assert all(np.bincount(domain.train['label']).tolist() == [6] * 3 for domain in few.domains)


def test_a_domain_of_one_activity_or_without_windows_to_test_on_is_left_out():
  def domain(name: str, *labels: int) -> domains.Domain:
    batch = {'label': np.array(labels)}
    return domains.Domain(name, batch, batch)

  untested = domains.Domain('d', {'label': np.array([0, 1])}, {'label': np.array([], int)})
  given = [domain('a', 0, 1), domain('b', 1, 1), domain('c', 0, 1), untested]
  unseen = [{'label': np.array([0])}]
  made = domains._make_stream(given, unseen, ('walking', 'sitting'))
  assert [each.name for each in made.domains] == ['a', 'c']
  with pytest.raises(UserError, match='1 of 2 domains'):
    domains._make_stream(given[:2], unseen, ('walking', 'sitting'))


@pytest.mark.parametrize('seed', range(4))
def test_unseen_people_are_in_no_domain_of_another_position(tmp_path, seed, monkeypatch):
  monkeypatch.setattr(made_people, 'CLASSES', ('walking', 'sitting', 'typing'))
  made_people.save_windows(tmp_path / 'placed', ('waist', 'wrist'), lacking=('p0', 'p1'))
  stream = domains.stream_datasets(
    Datasets.open(tmp_path), ['placed/waist', 'placed/wrist'], labels=2, seed=seed
  )

  def people(batch: Batch) -> set[int]:
    return set((batch['recording'] % 10**6 // len(made_people.CLASSES)).tolist())

  assert stream.classes == ('walking', 'sitting')
  assert not people(stream.unseen) & set().union(*(people(domain.test) for domain in stream.domains))


def test_a_dataset_without_windows_of_the_classes_is_refused_with_what_to_give(tmp_path, monkeypatch):
  monkeypatch.setattr(made_people, 'CLASSES', ('boxing', 'rowing'))
  made_people.save_windows(tmp_path / 'made')
  with pytest.raises(UserError, match=r'^made has 0 people with .* 3 are needed: give --classes=all'):
    domains.stream_people(Datasets.open(tmp_path), 'made', labels=2, seed=0)


def test_datasets_of_the_same_people_are_refused(tmp_path):
  for name in ('hapt', 'ucihar'):
    made_people.save_windows(tmp_path / name)
  with pytest.raises(UserError, match='hapt and ucihar have the same people'):
    domains.stream_datasets(Datasets.open(tmp_path), ['hapt', 'ucihar'], labels=2, seed=0)
  some: Any = {'a': types.SimpleNamespace(people={'x', 'y'}), 'b': types.SimpleNamespace(people={'y', 'z'})}
  with pytest.raises(UserError, match='a and b have the same people'):
    domains._check_people(some, ['a/waist', 'b'])
