"""Masked pretraining: what it excludes, what it shares, and its normalization."""

import pathlib

import numpy as np
import pytest
from lodo_studies import LORA, pretraining_of, run, with_altered, without_seconds

from har_jax import storage
from har_jax.datasets import splits
from har_jax.datasets import windows as store

pytestmark = pytest.mark.slow


def test_pretraining_is_shared_by_methods_seeds_splits_and_budgets(runs, study_of, out):
  pretrained = out / 'alpha' / 'pretrain' / 'pretrained.json'
  before = pretrained.stat().st_mtime_ns
  by_window = run(study_of(out, methods=('probe',), seeds=(0, 1), protocol={'split': 'window'}))
  few = run(study_of(out, methods=('probe',), protocol={'label_budget': '2/class'}))
  assert list(by_window) == [f'alpha/probe/window/labels-0.7/seed{seed}.json' for seed in (0, 1)]
  assert pretrained.stat().st_mtime_ns == before
  (result,) = few.values()
  assert list(few) == ['alpha/probe/subject/labels-2-per-class/seed0.json']
  assert result['data']['by_class']['train'] == result['data']['by_class']['validation'] == [2, 2, 2]
  # The budget leaves the test part as it was.
  whole = runs['alpha/probe/subject/labels-0.7/seed0.json']
  assert result['data']['subjects'] == whole['data']['subjects']
  assert result['data']['windows']['test'] == whole['data']['windows']['test']


def test_a_pretraining_without_checkpoints_is_trained_again(runs, study_of, out, tmp_path):
  path = pathlib.Path('alpha', 'pretrain', 'pretrained.json')
  (tmp_path / path).parent.mkdir(parents=True)
  storage.write(tmp_path / path, storage.read(out / path))
  name = 'alpha/probe/subject/labels-0.7/seed0.json'
  assert run(study_of(tmp_path, methods=('probe',)))[name]['test'] == runs[name]['test']


def test_test_windows_affect_neither_training_nor_model_choice(runs, study_of, windows, out, tmp_path):
  tested = set(runs[LORA]['data']['subjects']['test'])
  altered = with_altered(windows, tmp_path / 'windows', 'alpha', tested)
  result = run(study_of(tmp_path / 'out', windows=altered, pretrained_dir=out))[LORA]
  assert without_seconds(result)['validation'] == without_seconds(runs[LORA])['validation']
  assert result['data']['normalizer'] == runs[LORA]['data']['normalizer']
  assert result['step'] == runs[LORA]['step']
  assert result['test']['confusion'] != runs[LORA]['test']['confusion']


def test_held_out_windows_never_affect_pretraining_normalization(study_of, windows, tmp_path):
  beta = store.load(windows / 'beta')
  held_out = splits.hold_out_subjects(beta.subject, 0.2, seed=0)
  people = set(np.array(beta.meta.subjects)[beta.subject[held_out]])
  altered = with_altered(windows, tmp_path / 'windows', 'beta', people)
  for normalize in ('train', 'dataset'):
    parts = [
      pretraining_of(study_of(tmp_path, windows=folder, protocol={'normalize': normalize}))
      for folder in (windows, altered)
    ]
    (train, validation), (train_altered, validation_altered) = parts
    assert np.array_equal(train['signal'], train_altered['signal'])
    assert not np.array_equal(validation['signal'], validation_altered['signal'])
