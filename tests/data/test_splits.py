"""Who is learned from and tested on: parts that share nothing, and budgets that spare the test part."""

import numpy as np
import pytest

from har_jax.config import Protocol
from har_jax.data import splits
from har_jax.errors import UserError

_SUBJECTS, _CLASSES, _EACH = 20, 4, 30
SUBJECTS = np.repeat(np.arange(_SUBJECTS, dtype=np.int16), _CLASSES * _EACH)
LABELS = np.tile(np.repeat(np.arange(_CLASSES, dtype=np.int32), _EACH), _SUBJECTS)


def _parts(split: splits.Split) -> list[np.ndarray]:
  return [split.train, split.validation, split.test]


@pytest.mark.parametrize('kind', ['subject', 'window'])
@pytest.mark.parametrize('seed', range(5))
def test_every_window_is_in_one_part(kind: str, seed: int):
  parts = _parts(splits.split(LABELS, SUBJECTS, Protocol(split=kind), seed))
  np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(LABELS)))
  assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize('seed', range(5))
def test_by_subject_no_subject_is_in_two_parts(seed: int):
  parts = [set(SUBJECTS[part]) for part in _parts(splits.split(LABELS, SUBJECTS, Protocol(), seed))]
  assert [len(part) for part in parts] == [12, 2, 6]  # 0.6, 0.1 and 0.3 of twenty
  assert set.union(*parts) == set(range(_SUBJECTS))


def test_the_official_split_tests_on_the_subjects_given_and_a_seed_draws_the_others():
  official = np.array([3, 7, 11, 15])
  parts = [
    [
      set(SUBJECTS[part])
      for part in _parts(splits.split(LABELS, SUBJECTS, Protocol(split='official'), seed, official=official))
    ]
    for seed in (0, 1)
  ]
  assert all(test == {3, 7, 11, 15} for _, _, test in parts)
  assert all((len(train), len(validation)) == (14, 2) for train, validation, _ in parts)
  assert all(set.union(*three) == set(range(_SUBJECTS)) for three in parts)
  assert parts[0][1] != parts[1][1]


@pytest.mark.parametrize('seed', range(3))
def test_by_window_every_part_has_the_classes_in_proportion(seed: int):
  labels = np.repeat(np.arange(3, dtype=np.int32), [600, 300, 100])
  split = splits.split(labels, np.zeros(1000, np.int16), Protocol(split='window'), seed)
  for part, total in zip(_parts(split), (600, 100, 300), strict=True):
    assert abs(len(part) - total) <= 1
    shares = np.bincount(labels[part]) / len(part)
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=1.5 / total)


@pytest.mark.parametrize('kind', ['subject', 'window'])
def test_a_seed_repeats_its_split_and_others_differ(kind: str):
  protocol = Protocol(split=kind)
  first, again, other = (splits.split(LABELS, SUBJECTS, protocol, seed).test for seed in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert set(first) != set(other)


@pytest.mark.parametrize('seed', range(10))
def test_the_train_part_knows_every_class_even_where_few_subjects_do(seed: int):
  labels = LABELS.copy()
  labels[(SUBJECTS >= 3) & (LABELS == 3)] = 0  # three subjects of twenty know class 3
  split = splits.split(labels, SUBJECTS, Protocol(), seed)
  assert set(labels[split.train]) == {0, 1, 2, 3}


@pytest.mark.parametrize('kind', ['subject', 'window'])
def test_the_whole_budget_keeps_every_window(kind: str):
  protocol = Protocol(split=kind, label_budget='0.7')
  split = splits.split(LABELS, SUBJECTS, protocol, 0)
  for part in (split.train, split.validation):
    np.testing.assert_array_equal(splits.apply_label_budget(part, LABELS, protocol, 0), part)


@pytest.mark.parametrize(('labels', 'share'), [('0.35', 0.5), ('0.1', 1 / 7), ('0.01', 1 / 70)])
def test_a_share_is_of_all_windows_and_falls_on_each_class_alike(labels: str, share: float):
  protocol = Protocol(labels=labels)
  split = splits.split(LABELS, SUBJECTS, protocol, 0)
  for part in (split.train, split.validation):
    kept = splits.apply_label_budget(part, LABELS, protocol, 0)
    wanted = np.round(np.bincount(LABELS[part]) * share)
    np.testing.assert_array_equal(np.bincount(LABELS[kept]), np.maximum(wanted, 1))


def test_the_smallest_share_still_keeps_every_class():
  protocol = Protocol(label_budget='0.0001')
  kept = splits.apply_label_budget(np.arange(len(LABELS)), LABELS, protocol, 0)
  assert sorted(LABELS[kept]) == [0, 1, 2, 3]


def test_a_number_a_class_is_that_number_or_all_there_are():
  labels = np.repeat(np.arange(3, dtype=np.int32), [50, 20, 5])
  kept = splits.apply_label_budget(np.arange(75), labels, Protocol(label_budget='10/class'), 0)
  np.testing.assert_array_equal(np.bincount(labels[kept]), [10, 10, 5])


@pytest.mark.parametrize('labels', ['0.7', '0.1', '0.01', '1/class', '10/class'])
@pytest.mark.parametrize('kind', ['subject', 'window'])
def test_a_budget_moves_no_part_and_is_spent_within_it(kind: str, labels: str):
  whole, protocol = Protocol(split=kind), Protocol(split=kind, labels=labels)
  split, expected = (splits.split(LABELS, SUBJECTS, each, 3) for each in (protocol, whole))
  for part, same in zip(_parts(split), _parts(expected), strict=True):
    np.testing.assert_array_equal(part, same)
  kept = splits.apply_label_budget(split.train, LABELS, protocol, 3)
  assert set(kept) <= set(split.train)
  assert len(set(kept)) == len(kept)
  assert not set(kept) & set(split.test)


def test_a_smaller_budget_is_part_of_a_larger_one():
  part = np.arange(len(LABELS))
  small, large = (
    set(splits.apply_label_budget(part, LABELS, Protocol(label_budget=n), 0)) for n in ('0.1', '0.3')
  )
  assert small < large


def test_held_out_subjects_are_whole_and_of_the_share_asked_for():
  held_out = splits.hold_out(SUBJECTS, 0.1, seed=0)
  assert len(set(SUBJECTS[held_out])) == 2
  assert not set(SUBJECTS[held_out]) & set(SUBJECTS[~held_out])
  assert len(set(SUBJECTS[splits.hold_out(SUBJECTS, 0.001, seed=0)])) == 1  # one at least


@pytest.mark.parametrize(
  ('labels', 'subjects', 'protocol', 'says'),
  [
    ([0, 1] * 10, [0, 1] * 10, Protocol(), '2 subjects are too few'),
    (
      [0] * 9 + [1],
      range(10),
      Protocol(validation_fraction=0.6, label_budget='0.1'),
      r'class \d is known of too few',
    ),
    ([0] * 30 + [1] * 9, [0] * 39, Protocol(split='window'), 'class 1 has 9 windows; .* needs 10'),
    ([0, 1] * 10, [0] * 20, Protocol(split='window', validation_fraction=0.01), 'too few for these shares'),
  ],
)
def test_what_cannot_be_split_is_refused(labels: list, subjects: list, protocol: Protocol, says: str):
  with pytest.raises(UserError, match=says):
    splits.split(np.array(labels), np.array(subjects), protocol, 0)


def test_a_lone_subject_cannot_be_held_out():
  with pytest.raises(UserError, match='1 subjects are too few'):
    splits.hold_out(np.zeros(5, np.int16), 0.1, seed=0)
