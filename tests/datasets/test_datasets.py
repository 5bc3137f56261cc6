"""A folder's datasets: each is opened once, and a change while it is in use is told."""

import collections
import dataclasses
import os
import pathlib

import made_people
import numpy as np
import pytest

from har_jax.config import Protocol, Windowing
from har_jax.datasets import windows as store
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Fold
from har_jax.errors import UserError


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
  for name in ('other', 'target'):
    made_people.save_windows(tmp_path / name)
  return tmp_path


@pytest.fixture
def reads(monkeypatch) -> collections.Counter[str]:
  """How often each file of windows was read, by its path."""
  counts: collections.Counter[str] = collections.Counter()
  for module, name in ((store.storage, 'read_card'), (store.storage, 'read_file'), (store.np, 'load')):
    original = getattr(module, name)

    def counted(path, *arguments, original=original, **options):
      if isinstance(path, pathlib.Path):
        counts[f'{path.parent.name}/{path.name}'] += 1
      return original(path, *arguments, **options)

    monkeypatch.setattr(module, name, counted)
  return counts


def test_a_fold_is_read_once_whatever_is_asked_of_it(folder, reads):
  datasets = Datasets.open(folder)
  assert not reads
  fold = Fold(datasets, 'target', ('other',), Protocol(validation_fraction=0.2), seed=0)
  for _ in range(3):
    datasets.identify(datasets.names)
    fold.target_windows()
    fold.unlabeled_windows()
    fold.sources.windows()
    fold.sources.labeled_windows()
    fold.sources.windows_of_classes(('walking',))
    dataclasses.replace(fold, seed=1).target_windows()
  files = [f'{name}/{file}' for name in ('other', 'target') for file in ('meta.json', 'signals.npy')]
  assert {file: reads[file] for file in files} == dict.fromkeys(files, 1)
  assert set(reads.values()) == {1}


def test_signals_stay_on_the_disk(folder):
  dataset = Datasets.open(folder)['target']
  assert dataset.windows is dataset.windows
  for windows in (dataset.windows, dataset.first_position):
    assert isinstance(windows.signals, np.memmap)


def _rewrite(folder: pathlib.Path, change: float) -> None:
  windows = store.load(folder)
  store.save(dataclasses.replace(windows, signals=windows.signals + np.float32(change)), folder)


def test_windows_that_change_while_in_use_are_told(folder):
  datasets = Datasets.open(folder)
  before = np.array(datasets['target'].windows.signals)
  datasets.check_unchanged(datasets.names)
  _rewrite(folder / 'target', 1)
  np.testing.assert_array_equal(datasets['target'].windows.signals, before)
  datasets.check_unchanged(['other'])
  with pytest.raises(UserError, match=r'the windows of target in .* have changed while they were in use'):
    datasets.check_unchanged(datasets.names)


def test_windows_that_change_before_they_are_loaded_are_told(folder):
  dataset = Datasets.open(folder)['target']
  assert dataset.identity.window_samples is None  # as identities are that know no other windows
  _rewrite(folder / 'target', 1)
  with pytest.raises(UserError, match='the windows of target in'):
    _ = dataset.windows


def test_the_same_windows_again_are_no_change(folder):
  datasets = Datasets.open(folder)
  assert len(datasets['target'].windows.signals) == 360
  _rewrite(folder / 'target', 0)
  datasets.check_unchanged(datasets.names)


@pytest.mark.parametrize('name', ['signals.npy', 'index.npz'])
def test_a_file_that_is_damaged_while_in_use_is_told(folder, name):
  datasets = Datasets.open(folder)
  assert len(datasets['target'].windows.signals) == 360
  path = folder / 'target' / name
  with path.open('r+b') as file:
    file.seek(-4, os.SEEK_END)
    file.write(b'\1\2\3\4')
  os.utime(path, ns=(0, 0))  # whatever the clock's resolution
  with pytest.raises(UserError, match=name):
    datasets.check_unchanged(datasets.names)


def test_a_dataset_that_is_missing_is_named_with_the_others(folder):
  with pytest.raises(UserError, match=r"no windows of 'tarhet' under .*; there are other, target"):
    Datasets.open(folder)['tarhet']
  with pytest.raises(UserError, match=r'no windows under .*; har-jax prepare'):
    Datasets.open(folder / 'nowhere')
  with pytest.raises(
    UserError, match=rf'{folder}/target is one dataset: give {folder}, and target by its name'
  ):
    Datasets.open(folder / 'target')


def test_datasets_of_two_lengths_or_rates_have_none_in_common(tmp_path):
  made_people.save_windows(tmp_path / 'one', windowing=Windowing(256, 50))
  made_people.save_windows(tmp_path / 'two', windowing=Windowing(64, 25))
  with pytest.raises(
    UserError, match=r'differ \(one 256 samples at 50 Hz, two 64 samples at 25 Hz\): prepare them alike'
  ):
    _ = Datasets.open(tmp_path).windowing
  made_people.save_windows(tmp_path / 'three', windowing=Windowing(256, 25))
  with pytest.raises(UserError, match='one 256 samples at 50 Hz, three 256 samples at 25 Hz'):
    _ = Datasets(tmp_path, ('one', 'three')).windowing
  identity = Datasets.open(tmp_path)['three'].identity
  assert (identity.window_samples, identity.rate_hz) == (256, 25)
