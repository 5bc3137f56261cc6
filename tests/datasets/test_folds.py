"""The windows of a fold: disjoint parts, labels of the classes, normalization without the test part."""

import dataclasses
import pathlib
from typing import Any

import msgspec
import numpy as np
import pytest

from har_jax import records
from har_jax.archives import ARCHIVES
from har_jax.config import DEFAULT_WINDOWING, Protocol
from har_jax.datasets import balancing, normalization, splits
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Fold, Sources
from har_jax.errors import UserError
from har_jax.signal import cutting

_PARTS = ('train', 'validation', 'test')


def _fold(folder: pathlib.Path, target: str = 'target', *, seed: int = 0, **protocol: Any) -> Fold:
  return Fold(Datasets.open(folder), target, (), Protocol(**protocol), seed)


def _sources(folder: pathlib.Path, *names: str, **protocol: Any) -> Sources:
  """By default the two sources, with a subject of each held out."""
  options = {'validation_fraction': 0.2} | protocol
  return Sources(Datasets.open(folder), names or ('first', 'second'), Protocol(**options))


def _cut(
  activities: tuple[str, ...], rng: np.random.Generator, deviation: int, *, mean: int = 0, **more: str
) -> list[cutting.Window]:
  """Five subjects with one recording each: twelve windows of each activity, every 1.28 s."""
  return [
    cutting.Window(
      rng.normal(mean + subject, deviation, (128, 6)).astype(np.float32),
      activities[number // 12],
      f's{subject}',
      mean + subject,
      1.28 * number,
      **more,
    )
    for subject in range(5)
    for number in range(12 * len(activities))
  ]


def _save(folder: pathlib.Path, name: str, cut: list[cutting.Window], position: str) -> None:
  store.save(store.gather(cut, {'archive': name, 'position': position}, DEFAULT_WINDOWING), folder / name)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> pathlib.Path:
  path = tmp_path_factory.mktemp('windows')
  for seed, (name, *activities) in enumerate(
    (
      ('target', 'eating_soup', 'walking', 'sitting'),
      ('first', 'running', 'walking', 'typing'),
      ('second', 'lying', 'walking'),
    ),
    1,
  ):
    _save(path, name, _cut(tuple(activities), np.random.default_rng(seed), 1 + seed), 'waist')
  return path


@pytest.mark.parametrize('split', ['subject', 'five_fold', 'window'])
def test_each_part_has_its_windows_of_the_archive(folder, split):
  archive, fold = store.load(folder / 'target'), _fold(folder, split=split).target_windows()
  assert fold.classes == ('walking', 'sitting')  # in the order of recording.ACTIVITIES; eating_soup is none
  mean, deviation = (np.repeat(values, 3) for values in msgspec.structs.astuple(fold.description.normalizer))
  for part in _PARTS:
    indices, batch = fold.indices[part], getattr(fold, part)
    names = [archive.meta.activities[activity] for activity in archive.activity[indices]]
    assert [fold.classes[label] for label in batch['label']] == names
    np.testing.assert_allclose(batch['signal'] * deviation + mean, archive.signals[indices], atol=1e-5)
    assert getattr(fold.description.windows, part) == len(indices)
    assert sum(getattr(fold.description.by_class, part)) == len(indices)
    assert getattr(fold.description.subjects, part) == sorted(
      {f's{subject}' for subject in archive.subject[indices]}
    )
  assert len(set(np.concatenate(list(fold.indices.values())))) == 5 * 24
  assert fold.test_subjects.tolist() == [f's{subject}' for subject in archive.subject[fold.indices['test']]]


def test_normalization_depends_on_the_train_part_or_on_all(folder, tmp_path):
  archive, before = store.load(folder / 'target'), _fold(folder).target_windows()
  signals = np.array(archive.signals)
  for part in ('validation', 'test'):
    signals[before.indices[part]] *= 10
  store.save(dataclasses.replace(archive, signals=signals), tmp_path / 'target')
  after = _fold(tmp_path).target_windows()
  assert after.description == before.description
  np.testing.assert_array_equal(after.train['signal'], before.train['signal'])
  on_all = [_fold(path, normalize='dataset').target_windows() for path in (folder, tmp_path)]
  assert on_all[0].description.normalizer != on_all[1].description.normalizer


def test_all_activities_are_classes_if_asked_for(folder):
  fold = _fold(folder, classes='all').target_windows()
  assert sorted(fold.classes) == ['eating_soup', 'sitting', 'walking']
  assert len(set(np.concatenate(list(fold.indices.values())))) == 5 * 36


@pytest.mark.parametrize('seed', [0, 4])
def test_the_seed_draws_the_split_and_the_labels_of_both_parts(folder, seed):
  protocol = Protocol(label_budget='2/class')
  archive = store.load(folder / 'target')
  rows = np.flatnonzero(archive.labels(('walking', 'sitting')) >= 0)
  labels = archive.labels(('walking', 'sitting'))[rows]
  train, validation, test = splits.split(labels, archive.subject[rows], protocol, seed)
  drawn = [splits.apply_label_budget(part, labels, protocol, seed) for part in (train, validation)]
  fold = _fold(folder, seed=seed, label_budget='2/class').target_windows()
  for part, indices in zip(_PARTS, (*drawn, test), strict=True):
    np.testing.assert_array_equal(fold.indices[part], rows[indices])


def test_a_class_that_nobody_of_a_part_has_counts_as_zero(tmp_path):
  cut = _cut(('walking', 'sitting'), np.random.default_rng(0), 1)
  _save(tmp_path, 'target', [one for one in cut if one.activity == 'walking' or one.subject == 's3'], 'waist')
  by_class = _fold(tmp_path).target_windows().description.by_class
  assert (by_class.train, by_class.validation, by_class.test) == ([24, 12], [12, 0], [24, 0])


def test_a_label_budget_changes_train_and_validation_labels_only(folder):
  full, thin = (_fold(folder, label_budget=budget).target_windows() for budget in ('0.7', '2/class'))
  assert np.bincount(thin.train['label']).tolist() == np.bincount(thin.validation['label']).tolist() == [2, 2]
  np.testing.assert_array_equal(thin.test['signal'], full.test['signal'])
  assert thin.description.normalizer == full.description.normalizer
  unlabeled, validation = _fold(folder, label_budget='2/class').unlabeled_windows()
  assert sorted(unlabeled) == ['origin', 'signal']
  np.testing.assert_array_equal(unlabeled['signal'], full.train['signal'])
  np.testing.assert_array_equal(validation['signal'], full.validation['signal'])
  unlabeled, _ = _fold(folder, label_budget='2/class', test_fraction=0.6).unlabeled_windows()
  assert len(unlabeled['signal']) == 24  # of one subject


def test_sources_hold_out_subjects_and_are_normalized_each(folder):
  train, validation = _sources(folder, validation_fraction=0.4).windows()
  assert (len(train['signal']), len(validation['signal'])) == (3 * 60, 2 * 60)
  train, validation = _sources(folder).windows()
  assert (len(train['signal']), len(validation['signal'])) == (4 * 60, 60)
  for part in (train['signal'][: 4 * 36], train['signal'][4 * 36 :]):
    assert part[..., :3].mean() == pytest.approx(0, abs=1e-5)
    assert part[..., 3:].std() == pytest.approx(1, abs=1e-5)


@pytest.fixture
def positions(tmp_path) -> pathlib.Path:
  """'many' has two positions of the same five subjects, 'one' the first of them."""
  rng, activities = np.random.default_rng(4), ('walking', 'sitting', 'lying')
  torso = _cut(activities, rng, 1, position='torso')
  _save(tmp_path, 'many', torso + _cut(activities, rng, 2, mean=10, position='left_leg'), 'torso,left_leg')
  _save(tmp_path, 'one', torso, 'torso')
  return tmp_path


@pytest.mark.parametrize('split', ['subject', 'window'])
def test_a_target_has_its_first_position_only(positions, split):
  many, one = (_fold(positions, name, split=split, seed=3).target_windows() for name in ('many', 'one'))
  assert many.description == one.description
  assert many.description.position == 'torso'
  for part in _PARTS:
    np.testing.assert_equal(getattr(many, part), getattr(one, part))
    np.testing.assert_array_equal(many.indices[part], one.indices[part])


def test_a_source_has_all_positions_and_holds_a_subject_out_at_each(positions):
  train, validation = _sources(positions, 'many').windows()
  assert (len(train['signal']), len(validation['signal'])) == (2 * 4 * 36, 2 * 36)
  alone, alone_validation = _sources(positions, 'one').windows()
  np.testing.assert_array_equal(train['signal'][: 4 * 36], alone['signal'])
  np.testing.assert_array_equal(validation['signal'][:36], alone_validation['signal'])
  # Each position has its own normalizer.
  for part in (train['signal'][: 4 * 36], train['signal'][4 * 36 :]):
    assert part[..., :3].mean() == pytest.approx(0, abs=1e-5)
    assert part[..., 3:].std() == pytest.approx(1, abs=1e-5)
  archive = store.load(positions / 'many')
  is_held_out = splits.hold_out_subjects(archive.subject, 0.2, seed=0)
  assert len(set(archive.subject[is_held_out])) == 1
  is_left = archive.position == 1
  normalizer = normalization.fit(archive.signals[is_left & ~is_held_out])
  np.testing.assert_array_equal(validation['signal'][36:], normalizer(archive.signals[is_left & is_held_out]))


def test_a_position_that_only_held_out_subjects_have_is_left_out(tmp_path):
  rng, (held_out,) = (
    np.random.default_rng(4),
    np.flatnonzero(splits.hold_out_subjects(np.arange(5), 0.2, seed=0)),
  )
  torso, leg = (_cut(('walking', 'sitting'), rng, 1, position=name) for name in ('torso', 'left_leg'))
  own = [one for one in leg if one.subject == f's{held_out}']
  _save(tmp_path, 'alone', torso, 'torso')
  _save(tmp_path, 'more', torso + own, 'torso,left_leg')
  more, alone = (_sources(tmp_path, name).windows() for name in ('more', 'alone'))
  np.testing.assert_equal(more, alone)


def test_source_labels_index_the_classes_of_all_sources(folder):
  sources = _sources(folder)
  assert sources.classes == ('lying', 'running', 'typing', 'walking')
  train, validation = sources.labeled_windows()
  assert np.bincount(train['label']).tolist() == [48, 48, 48, 96]  # typing, too, which is no locomotion
  assert np.bincount(validation['label']).tolist() == [12, 12, 12, 24]
  of_target = sources.windows_of_classes(('walking', 'sitting', 'lying'))
  assert np.bincount(of_target['label']).tolist() == [96, 0, 48]
  walking = of_target['signal'][of_target['label'] == 0]
  np.testing.assert_array_equal(walking, train['signal'][train['label'] == 3])
  every, _ = _sources(folder, classes='all').windows()
  np.testing.assert_array_equal(train['signal'], every['signal'])  # of pretraining without labels


def test_a_large_source_gives_a_part_of_its_windows_a_small_one_all(folder, monkeypatch):
  monkeypatch.setattr(balancing, 'WINDOWS_PER_SOURCE', 100)
  train, validation = _sources(folder).labeled_windows()
  assert np.bincount(train['label'])[0] == 48  # lying, of the second source, which has 96 windows
  assert (len(train['label']), len(validation['label'])) == (100 + 96, 36 + 24)
  assert all(len(values) == 100 + 96 for values in train.values())


def test_windows_in_physical_units_depend_on_no_other_window(folder):
  g = 9.80665
  archive, fold = store.load(folder / 'target'), _fold(folder, normalize='none').target_windows()
  train, _ = _sources(folder, normalize='none').windows()
  assert fold.description.normalizer == records.Normalizer([0.0, 0.0], [g, 1.0])
  for part in _PARTS:
    raw = archive.signals[fold.indices[part]] / np.repeat([g, 1.0], 3)
    np.testing.assert_allclose(getattr(fold, part)['signal'], raw, rtol=1e-6)
  assert not fold.train['origin'].any()
  assert not train['origin'].any()


def test_the_official_split_tests_on_the_archives_own_subjects(folder, monkeypatch):
  archive = dataclasses.replace(ARCHIVES['hapt'], test_subjects=('s4', 's1', 'who has no window'))
  monkeypatch.setitem(ARCHIVES, 'target', archive)
  fold = _fold(folder, split='official').target_windows()
  assert fold.description.subjects.test == ['s1', 's4']


def test_impossible_folds_name_the_dataset_and_the_flag(folder):
  with pytest.raises(UserError, match=r'target .*--split=subject'):
    _fold(folder, split='official').target_windows()
  with pytest.raises(UserError, match=r'target: .*5 subjects.*walking'):
    _fold(folder, test_fraction=0.7, validation_fraction=0.25, label_budget='0.1').target_windows()


def test_varied_sources_have_moving_windows_in_reverse_too_for_training_alone(folder):
  plain = _sources(folder, normalize='none')
  varied = dataclasses.replace(plain, is_varied=True)
  assert plain.classes == ('lying', 'running', 'typing', 'walking')
  assert varied.classes == (*plain.classes, *(f'{name} reversed' for name in plain.classes))
  (train, validation), (before, held_out) = (sources.labeled_windows() for sources in (varied, plain))
  count = len(before['label'])
  assert len(train['label']) == 2 * count  # all move
  np.testing.assert_array_equal(train['label'], np.concatenate([before['label'], before['label'] + 4]))
  np.testing.assert_array_equal(validation['signal'], held_out['signal'])
  np.testing.assert_array_equal(validation['label'], held_out['label'])
  of_classes = varied.windows_of_classes(['walking', 'running'])
  assert sorted(set(of_classes['label'].tolist())) == [0, 1]
