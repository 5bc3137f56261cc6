"""Pictures of finished runs, and an output layer for each of their test subjects."""

import pathlib
from collections.abc import Callable

import jax
import numpy as np
import pytest
from lodo_studies import ACTIVITIES, LORA, QUIET, Study, spec_of
from scipy import special

from har_jax import config, storage
from har_jax.errors import UserError
from har_jax.experiments import personalization, pictures
from har_jax.experiments.personalization import fit_output_layer, personalize
from har_jax.train.objective import Classify

pytestmark = pytest.mark.slow


def test_pictures_show_the_same_windows_before_and_after(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path
):
  study = study_of(out)
  pictures.write(spec_of(study))
  shown = storage.read(out / 'alpha/lora/subject/labels-0.7/seed0/embeddings.json')
  windows = runs[LORA]['data']['windows']['test']
  assert [len(shown[name]) for name in ('label', 'before', 'after')] == [windows] * 3
  assert np.bincount(shown['label']).tolist() == runs[LORA]['data']['by_class']['test']
  assert shown['before'] != shown['after']
  filled = storage.read(out / 'alpha/pretrain/reconstructions.json')
  assert [window['activity'] for window in filled['windows']] == list(ACTIVITIES)
  model = study.experiment.model
  for window in filled['windows']:
    assert sum(window['hidden']) == model.hidden
    assert np.shape(window['signal']) == np.shape(window['reconstructed']) == (128, 6)


def test_pictures_of_an_unfinished_run_are_refused(study_of: Study, tmp_path: pathlib.Path):
  with pytest.raises(UserError, match=r'pretrained.json is missing'):
    pictures.write(spec_of(study_of(tmp_path)))


def test_each_test_subject_gets_an_output_layer(runs: dict[str, dict], study_of: Study, out: pathlib.Path):
  study = study_of(out)
  path, made = personalize(spec_of(study), 2, QUIET)
  assert list(made['by_subject']) == runs[LORA]['data']['subjects']['test']
  for each in made['by_subject'].values():
    # Of six windows an activity two are learned, one shares samples with them, three are left.
    assert each['windows'] == {'train': 2 * len(ACTIVITIES), 'test': 3 * len(ACTIVITIES)}
    for when in ('before', 'after'):
      assert np.sum(each[when]['confusion'], axis=1).tolist() == [3, 3, 3]
    assert each['after']['accuracy'] >= each['before']['accuracy']
  assert made['excluded'] == []
  assert personalize(spec_of(study), 2, QUIET) == (path, storage.read(path))


def test_results_with_another_penalty_are_refused(
  runs: dict[str, dict], study_of: Study, out: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  personalize(spec_of(study_of(out)), 2, QUIET)
  monkeypatch.setattr(personalization, '_PENALTY', 1.0)
  with pytest.raises(UserError, match='personal_penalty'):
    personalize(spec_of(study_of(out)), 2, QUIET)


def test_the_last_hidden_layer_gives_the_logits(drawn: Callable, tiny: config.Model):
  objective = Classify(tiny, 3)
  variables = drawn(objective.init)
  signal = jax.random.normal(jax.random.key(0), (4, 128, 6))
  layer = f'params/head/dense_{len(tiny.head)}'
  hidden = np.asarray(objective.last_hidden(variables, signal))
  kernel, bias = (np.asarray(variables[f'{layer}/{name}']) for name in ('kernel', 'bias'))
  logits = np.asarray(objective.predict(variables, {'signal': signal}, jax.random.key(0)))
  assert hidden @ kernel + bias == pytest.approx(logits, abs=1e-5)


def test_the_fitted_layer_is_where_the_penalized_loss_is_flat():
  rng = np.random.default_rng(0)
  hidden, logits, labels = rng.standard_normal((8, 5)), rng.standard_normal((8, 3)), np.arange(8) % 3
  added = fit_output_layer(hidden, logits, labels)
  errors = special.softmax(logits + hidden @ added, axis=1) - np.eye(3)[labels]
  assert hidden.T @ errors + 10.0 * added == pytest.approx(np.zeros((5, 3)), abs=1e-3)
  assert np.abs(added).max() > 0.01


def test_windows_that_are_sure_and_right_change_nothing():
  hidden, labels = np.ones((3, 4)), np.arange(3)
  assert np.abs(fit_output_layer(hidden, 50.0 * np.eye(3), labels)).max() < 1e-6


def test_personalization_needs_a_finished_subject_wise_run(
  study_of: Study, tmp_path: pathlib.Path, out: pathlib.Path
):
  with pytest.raises(UserError, match='--split=subject'):
    personalize(spec_of(study_of(tmp_path, protocol={'split': 'window'})), 2)
  with pytest.raises(UserError, match='run --stage=all before'):
    personalize(spec_of(study_of(tmp_path)), 2)
  with pytest.raises(UserError, match='fewer --personal_labels'):
    personalize(spec_of(study_of(out)), 6)
