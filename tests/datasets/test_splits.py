"""Splits have disjoint parts, and label budgets thin the train and validation parts only."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from har_jax.config import DEFAULT_WINDOWING, Protocol, Windowing
from har_jax.datasets import splits
from har_jax.errors import UserError
from har_jax.signal.cutting import Window

_SUBJECTS, _CLASSES, _EACH = 20, 4, 30
SUBJECTS = np.repeat(np.arange(_SUBJECTS, dtype=np.int16), _CLASSES * _EACH)
LABELS = np.tile(np.repeat(np.arange(_CLASSES, dtype=np.int32), _EACH), _SUBJECTS)
EVERY = np.arange(len(LABELS))


@pytest.mark.parametrize('kind', ['subject', 'window'])
@pytest.mark.parametrize('seed', range(5))
def test_every_window_is_in_one_part(kind, seed):
  parts = splits.split(LABELS, SUBJECTS, Protocol(split=kind), seed)
  np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(LABELS)))
  assert all((np.diff(part) > 0).all() for part in parts)


# 0.1 and 0.3 of them, rounded, and at least one.
@pytest.mark.parametrize(
  ('count', 'sizes'), [(20, [12, 2, 6]), (17, [10, 2, 5]), (5, [2, 1, 2]), (3, [1, 1, 1])]
)
@pytest.mark.parametrize('seed', range(3))
def test_subject_wise_no_subject_is_in_two_parts(seed, count, sizes):
  subjects = SUBJECTS % count
  parts = [set(subjects[part]) for part in splits.split(LABELS, subjects, Protocol(), seed)]
  assert [len(part) for part in parts] == sizes
  assert set.union(*parts) == set(range(count))


def test_the_official_split_fixes_test_subjects_and_draws_the_others():
  official = np.array([3, 7, 11, 15, 99])  # one has no window of these activities
  drawn = [
    splits.split(LABELS, SUBJECTS, Protocol(split='official'), seed, official=official) for seed in (0, 1)
  ]
  parts = [[set(SUBJECTS[part]) for part in split] for split in drawn]
  assert all(test == {3, 7, 11, 15} for _, _, test in parts)
  assert all((len(train), len(validation)) == (14, 2) for train, validation, _ in parts)
  assert all(set.union(*three) == set(range(_SUBJECTS)) for three in parts)
  assert parts[0][1] != parts[1][1]


def test_five_folds_test_each_subject_once_and_never_train_on_one_tested():
  folds = [splits.split(LABELS, SUBJECTS, Protocol(split='five_fold'), seed) for seed in range(5)]
  tested = np.concatenate([np.unique(SUBJECTS[fold.test]) for fold in folds])
  np.testing.assert_array_equal(np.sort(tested), np.arange(_SUBJECTS))
  # As in the runs of results/, whatever the seed of a run.
  drawn = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(LABELS, LABELS, SUBJECTS)
  np.testing.assert_equal([fold.test for fold in folds], [test for _, test in drawn])
  for fold in folds:
    parts = [set(SUBJECTS[part]) for part in fold]
    assert [len(part) for part in parts] == [14, 2, 4]
    assert set.union(*parts) == set(range(_SUBJECTS))


def test_a_sixth_fold_and_fewer_subjects_than_folds_are_refused():
  protocol = Protocol(split='five_fold')
  with pytest.raises(UserError, match='seeds 0 to 4'):
    splits.split(LABELS, SUBJECTS, protocol, 5)
  with pytest.raises(UserError, match='4 subjects'):
    splits.split(LABELS, SUBJECTS % 4, protocol, 0)
  assert len(set(splits.split(LABELS, SUBJECTS % 5, protocol, 0).test // (_CLASSES * _EACH) % 5)) == 1


@pytest.mark.parametrize('seed', range(3))
def test_window_wise_every_part_keeps_the_class_proportions(seed):
  labels = np.repeat(np.arange(3, dtype=np.int32), [600, 300, 100])
  split = splits.split(labels, np.zeros(1000, np.int16), Protocol(split='window'), seed)
  for part, total in zip(split, (600, 100, 300), strict=True):
    assert abs(len(part) - total) <= 1
    fractions = np.bincount(labels[part]) / len(part)
    np.testing.assert_allclose(fractions, [0.6, 0.3, 0.1], atol=1.5 / total)


def _labeled(budget: str, part: np.ndarray = EVERY, seed: int = 0) -> np.ndarray:
  return splits.apply_label_budget(part, LABELS, Protocol(label_budget=budget), seed)


@pytest.mark.parametrize(
  'draw',
  [
    lambda seed: splits.split(LABELS, SUBJECTS, Protocol(), seed),
    lambda seed: splits.split(LABELS, SUBJECTS, Protocol(split='window'), seed),
    lambda seed: [_labeled(budget, seed=seed) for budget in ('0.1', '10/class')],
    lambda seed: [np.flatnonzero(splits.hold_out_subjects(SUBJECTS, 0.3, seed=seed))],
    lambda seed: [np.flatnonzero(splits.hold_out_at_random(np.arange(72) % 3, None, 0.25, seed)[0])],
  ],
)
def test_a_seed_repeats_its_draws_and_another_differs(draw):
  for first, again, other in zip(draw(0), draw(0), draw(1), strict=True):
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_the_train_part_has_every_class_even_a_rare_one():
  labels = np.where((SUBJECTS > 0) & (LABELS == 3), 0, LABELS)  # one subject of twenty has class 3
  for seed in range(10):
    assert set(labels[splits.split(labels, SUBJECTS, Protocol(), seed).train]) == {0, 1, 2, 3}


@pytest.mark.parametrize('kind', ['subject', 'window'])
@pytest.mark.parametrize(
  ('budget', 'fraction'), [('0.7', 1.0), ('0.35', 0.5), ('0.1', 1 / 7), ('0.01', 1 / 70), ('0.0001', 0.0)]
)
def test_a_budget_is_a_fraction_of_all_windows_and_equal_per_class(kind, budget, fraction):
  protocol = Protocol(split=kind, label_budget=budget)
  split = splits.split(LABELS, SUBJECTS, protocol, 0)
  for part in (split.train, split.validation):
    labeled = splits.apply_label_budget(part, LABELS, protocol, 0)
    expected = np.round(np.bincount(LABELS[part]) * fraction)
    np.testing.assert_array_equal(np.bincount(LABELS[labeled]), np.maximum(expected, 1))


def test_a_budget_per_class_keeps_that_many_or_all():
  labels = np.repeat(np.arange(3, dtype=np.int32), [50, 20, 5])
  labeled = splits.apply_label_budget(np.arange(75), labels, Protocol(label_budget='10/class'), 0)
  np.testing.assert_array_equal(np.bincount(labels[labeled]), [10, 10, 5])
  for seed, drawn in enumerate([[1, 3, 6], [2, 4, 6]]):  # as in the runs of results/
    labeled = splits.apply_label_budget(np.arange(9), labels, Protocol(label_budget='3/class'), seed)
    assert labeled.tolist() == drawn


@pytest.mark.parametrize('budget', ['0.7', '0.1', '0.01', '1/class', '10/class'])
@pytest.mark.parametrize('kind', ['subject', 'window'])
def test_a_budget_changes_no_split_and_stays_in_its_part(kind, budget):
  protocol = Protocol(split=kind, label_budget=budget)
  split, expected = (splits.split(LABELS, SUBJECTS, used, 3) for used in (protocol, Protocol(split=kind)))
  np.testing.assert_equal(split, expected)
  labeled = _labeled(budget, split.train, seed=3)
  assert set(labeled) <= set(split.train)
  assert len(set(labeled)) == len(labeled)


def test_a_smaller_budget_is_a_subset_of_a_larger_one():
  assert set(_labeled('0.1')) < set(_labeled('0.3'))


def test_hold_out_takes_all_windows_of_a_fraction_of_the_subjects():
  held_out = splits.hold_out_subjects(SUBJECTS, 0.1, seed=0)
  assert len(set(SUBJECTS[held_out])) == 2
  assert not set(SUBJECTS[held_out]) & set(SUBJECTS[~held_out])
  assert len(set(SUBJECTS[splits.hold_out_subjects(SUBJECTS, 0.001, seed=0)])) == 1  # at least one


@pytest.mark.parametrize(
  ('labels', 'subjects', 'protocol', 'message'),
  [
    ([0, 1] * 10, [0, 1] * 10, Protocol(), r'^2 subjects .*--split=window'),
    ([0] * 9 + [1], range(10), Protocol(validation_fraction=0.6, label_budget='0.1'), r'class \d'),
    ([0] * 30 + [1] * 9, [0] * 39, Protocol(split='window'), 'class 1 has 9 windows; .* needs 10'),
    ([0, 1] * 10, [0] * 20, Protocol(split='window', validation_fraction=0.01), '^20 windows are too few'),
  ],
)
def test_too_few_subjects_or_windows_are_an_error(labels, subjects, protocol, message):
  with pytest.raises(UserError, match=message):
    splits.split(np.array(labels), np.array(subjects), protocol, 0)
  with pytest.raises(UserError, match=r'^1 subject is too few'):
    splits.hold_out_subjects(np.zeros(5, np.int16), 0.1, seed=0)


def test_held_out_windows_are_of_other_subjects_or_of_every_class():
  labels, subjects = np.arange(72) % 3, np.arange(72) // 18
  held_out, split = splits.hold_out_at_random(labels, subjects, 0.1, 0)
  assert split == 'subject'
  assert len(set(subjects[held_out])) == 1
  assert not set(subjects[held_out]) & set(subjects[~held_out])
  for too_few in (None, subjects % 3):
    held_out, split = splits.hold_out_at_random(labels, too_few, 0.25, 0)
    assert split == 'window'
    assert np.bincount(labels[held_out]).tolist() == [6, 6, 6]
  drawn = {int(subjects[splits.hold_out_at_random(labels, subjects, 0.1, seed)[0]][0]) for seed in range(20)}
  assert drawn == {0, 1, 2, 3}
  # Only one subject has class 0, which must be trained whatever is drawn.
  rare = np.where(subjects == 2, 0, 1)
  for seed in range(8):
    held_out, split = splits.hold_out_at_random(rare, subjects, 0.1, seed)
    assert split == 'subject'
    assert set(rare[~held_out]) == {0, 1}
  # Every class has one subject only, so none can be held out.
  assert splits.hold_out_at_random(subjects, subjects, 0.1, 0)[1] == 'window'
  # A class of four windows is too small to hold one out; of five, at most four are held out.
  for small in (labels[:12], np.r_[labels[:15], 0, 0, 3]):
    assert splits.hold_out_at_random(small, None, 0.1, 0)[1] == 'none'
  held_out, _ = splits.hold_out_at_random(labels[:15], None, 0.99, 0)
  assert np.bincount(labels[:15][held_out]).tolist() == [4, 4, 4]


@pytest.mark.parametrize(
  ('count', 'unlabeled', 'first', 'later'),
  [
    (1, (), [2, 3], [6, 7, 8, 9, 10, 11]),
    (1, {1}, [2], [6, 7, 8, 9, 10, 11]),
    (0, (), [2, 3, 4, 5], [8, 9, 10, 11]),
  ],
)
def test_a_person_gives_the_first_windows_of_each_activity_and_those_after_the_next(
  count, unlabeled, first, later
):
  labels = np.array([1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0])
  parts = splits.split_first(labels, np.arange(2, 12), count, unlabeled)
  assert [part.tolist() for part in parts] == [first, later]


_SIGNAL = np.zeros((128, 6), np.float32)


def _windows(*runs: tuple[str, int, float, int]) -> list[Window]:
  """From (activity, recording, start_s, count): windows every 1.28 s."""
  return [
    Window(_SIGNAL, activity, 'me', recording, start_s + 1.28 * i)
    for activity, recording, start_s, count in runs
    for i in range(count)
  ]


@pytest.mark.parametrize(
  ('runs', 'held_out', 'overlapping'),
  [
    ((('walk', 0, 0.0, 10), ('sit', 0, 20.0, 20)), [8, 9, 26, 27, 28, 29], [7, 25]),
    # Two recordings of the same seconds: the last windows are those of the later recording.
    (
      (('walk', 1, 0.0, 5), ('walk', 0, 0.0, 5), ('sit', 0, 10.0, 4), ('sit', 0, 10 + 5 * 1.28, 1)),
      [3, 4, 14],
      [2],
    ),
    # Windows overlap the last ones of the activity before, however many were held out earlier.
    (
      (('walk', 0, 0.0, 10), ('sit', 0, 12.8, 10), ('stand', 0, 25.6, 10)),
      [8, 9, 18, 19, 28, 29],
      [7, 10, 17, 20, 27],
    ),
    # An activity with few windows is trained, and not validated.
    ((('walk', 0, 0.0, 10), ('sit', 0, 20.0, 10), ('stand_to_sit', 0, 40.0, 1)), [8, 9, 18, 19], [7, 17]),
  ],
)
def test_the_last_windows_are_held_out_and_their_neighbor_dropped(runs, held_out, overlapping):
  masks = splits.hold_out_last(_windows(*runs), 0.2, DEFAULT_WINDOWING)
  assert [np.flatnonzero(mask).tolist() for mask in masks] == [held_out, overlapping]


@pytest.mark.parametrize(
  ('windowing', 'overlapping'), [(Windowing(40, 20), [6, 7]), (Windowing(20, 20), [7])]
)
def test_neighbors_overlap_by_the_length_of_windows(windowing, overlapping):
  walk, sit = (
    [Window(_SIGNAL, name, 'me', 0, first_s + 0.8 * i) for i in range(10)]
    for name, first_s in (('walk', 0.0), ('sit', 50.0))
  )
  _, found = splits.hold_out_last([*walk, *sit], 0.2, windowing)
  assert np.flatnonzero(found[:10]).tolist() == overlapping


@pytest.mark.parametrize('fraction', [0.05, 0.3, 0.99])
def test_train_and_held_out_windows_share_no_sample(fraction):
  windows = _windows(
    ('walk', 0, 30.0, 7), ('sit', 0, 14.0, 6), ('walk', 0, 0.0, 9), ('run', 1, 0.0, splits.MIN_CLASS_WINDOWS)
  )
  held_out, overlapping = splits.hold_out_last(windows, fraction, DEFAULT_WINDOWING)
  assert not (held_out & overlapping).any()
  train = ~held_out & ~overlapping
  assert {windows[i].activity for i in np.flatnonzero(train)} == {'walk', 'sit', 'run'}
  assert {windows[i].activity for i in np.flatnonzero(held_out)} == {'walk', 'sit', 'run'}
  for i in np.flatnonzero(train):
    for k in np.flatnonzero(held_out):
      if windows[i].recording == windows[k].recording:
        assert abs(windows[i].start_s - windows[k].start_s) > 2.55


@pytest.mark.parametrize(
  ('sitting', 'fraction'), [(splits.MIN_CLASS_WINDOWS - 1, 0.2), (splits.MIN_CLASS_WINDOWS, 0.0)]
)
def test_nothing_is_held_out_of_too_few_windows(sitting, fraction):
  held_out, overlapping = splits.hold_out_last(
    _windows(('walk', 0, 0.0, 30), ('sit', 0, 50.0, sitting)), fraction, DEFAULT_WINDOWING
  )
  assert not held_out.any()
  assert not overlapping.any()
