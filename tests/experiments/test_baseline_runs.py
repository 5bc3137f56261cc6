"""Runs of baselines through the protocol of all methods."""

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
from lodo_studies import QUIET, alter, as_record, run, spec_of, with_altered, without_seconds

from har_jax import baselines, config, experiments, files, results
from har_jax.baselines import BASELINES
from har_jax.errors import Stopped, UserError
from har_jax.experiments.personalization import personalize

_FOREST = 'alpha/forest/subject/labels-0.7/seed0.json'
_EVERY = [pytest.param(name, marks=pytest.mark.slow if name == 'rocket' else ()) for name in BASELINES]


def test_a_missing_package_is_named_before_any_run(study_of, tmp_path, monkeypatch):
  for name in [name for name in sys.modules if name.partition('.')[0] == 'aeon']:
    monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, 'aeon', None)
  for method in ('rocket', 'ensemble'):
    with pytest.raises(UserError, match=r"aeon.*pip install 'har_jax\[baselines\]'"):
      study_of(tmp_path, methods=('lora', method))


class _Spy:
  """Remembers what it is fitted to and what it predicts; every prediction is the first class."""

  def __init__(self, random_state: int, rate_hz: int = 0):
    self.seen: dict[str, Any] = {'random_state': random_state, 'rate_hz': rate_hz, 'predicted': []}
    _Spy.last = self

  def fit(self, X: np.ndarray, y: np.ndarray) -> '_Spy':
    self.seen |= {'windows': np.array(X), 'labels': y}
    return self

  def predict_proba(self, X: np.ndarray) -> np.ndarray:
    self.seen['predicted'].append(len(X))
    return np.tile([1.0, 0.0, 0.0], (len(X), 1))

  arrays = (np.zeros((2, 3), np.float32), np.zeros(4, np.int64))


@pytest.fixture
def spy(monkeypatch) -> type[_Spy]:
  monkeypatch.setitem(baselines.BASELINES, 'forest', _Spy)
  return _Spy


@pytest.fixture
def study(study_of, tmp_path) -> experiments.Study:
  return study_of(tmp_path / 'out', methods=('forest',))


@pytest.mark.parametrize('name', _EVERY)
def test_the_same_seed_gives_the_same_numbers(study_of, tmp_path, name):
  one, other = (run(study_of(tmp_path / out, methods=(name,))) for out in ('one', 'other'))
  assert without_seconds(one) == without_seconds(other)
  (result,) = one.values()
  assert result['test']['accuracy'] > 0.9
  assert sum(map(sum, result['test']['confusion'])) == result['data']['windows']['test']
  assert result['parameters']['trainable'] > 0
  assert result['bytes']['trainable']['fitted'] >= 4 * result['parameters']['total']


def test_it_is_fitted_to_the_labeled_train_windows_in_physical_units(study_of, tmp_path, spy):
  study = study_of(tmp_path, methods=('forest',), protocol={'label_budget': '4/class'}, seeds=(3,))
  (result,) = run(study).values()
  seen = spy.last.seen
  data = spec_of(study, 'forest', seed=3).fold.target_windows()
  archive = study.datasets['alpha'].windows
  assert (seen['random_state'], seen['rate_hz']) == (3, 50)
  np.testing.assert_array_equal(np.bincount(seen['labels']), [4, 4, 4])
  np.testing.assert_array_equal(seen['windows'], archive.signals[data.indices['train']])
  of_train = np.array(archive.meta.subjects)[archive.subject[data.indices['train']]]
  assert not set(of_train) & {*data.description.subjects.test, *result['test_by_subject']}
  # Each part once, and the test part last.
  assert seen['predicted'] == [result['data']['windows'][part] for part in ('validation', 'test')]
  assert result['parameters'] == {'trainable': 10, 'total': 10}
  assert results.row(as_record(result), 'a')['trainable_bytes'] == 6 * 4 + 4 * 8
  (validated,) = result['validation']  # by a spy that answers the first class alone
  share = (data.validation['label'] == 0).mean()
  assert validated['accuracy'] == pytest.approx(share)
  assert validated['macro_f1'] == pytest.approx(2 * share / (1 + share) / 3)  # of three classes


def test_windows_that_change_during_a_run_give_no_result(study_of, tmp_path, windows, spy, monkeypatch):
  copied = with_altered(windows, tmp_path / 'windows', 'alpha', set())
  study, fit = study_of(tmp_path / 'out', methods=('forest',), windows=copied), spy.fit

  def fit_and_alter(self, X, y):
    alter(copied / 'alpha')
    return fit(self, X, y)

  monkeypatch.setattr(spy, 'fit', fit_and_alter)
  with pytest.raises(UserError, match=r'the windows of alpha .* have changed while they were in use'):
    run(study)
  assert not (tmp_path / 'out' / _FOREST).exists()


def test_seeds_of_a_batch_are_fitted_one_by_one(study_of, tmp_path, spy):
  results = run(study_of(tmp_path, methods=('forest',), seeds=(0, 1), batch_runs=2))
  assert spy.last.seen['random_state'] == 1
  assert [result['identity']['seed'] for result in results.values()] == [0, 1]
  assert {result['batch_runs'] for result in results.values()} == {1}


def test_a_line_says_that_a_baseline_is_fitted_and_a_lock_that_is_left_is_deleted(
  study, spy, capsys, monkeypatch
):
  list(experiments.run(study))
  assert '\ralpha: forest, subject split, seed 0: fitting forest' in capsys.readouterr().err
  swept: list[Any] = []
  monkeypatch.setattr('har_jax.experiments.job_lock.sweep', swept.append)
  list(experiments.run(study))  # which is finished
  assert swept == [spec_of(study, 'forest').folder]


def test_a_baseline_has_no_stages_no_checkpoint_and_no_adapter(study, spy):
  assert list(experiments.pretrain(study, QUIET)) == []
  result = run(study)[_FOREST]
  assert (result['collections'], result['starts_from'], result['step']) == (None, None, 0)
  assert [path.name for path in spec_of(study, 'forest').folder.iterdir()] == ['run.json']
  assert not spec_of(study, 'forest').pretraining.exists()
  with pytest.raises(UserError, match='forest has no output layer to personalize'):
    personalize(spec_of(study, 'forest'), 1)
  with pytest.raises(UserError, match='is of forest, which has no adapter'):
    files.load_run(study.out / _FOREST)


def test_a_stopped_baseline_leaves_no_result(study, spy):
  with pytest.raises(Stopped, match='alpha: forest'):
    list(experiments.run(study, dataclasses.replace(QUIET, stop=lambda: True)))
  assert not (study.out / _FOREST).exists()


def test_its_row_has_the_hyperparameters_of_split_and_labels_alone(study, spy):
  row = results.row(as_record(run(study)[_FOREST]), 'a')
  assert {flag for flag in config.HYPERPARAMETERS if row[flag] is not None} == set(results.SHARED)
