"""Probabilities of the sources' activities, as those of a target's classes."""

import dataclasses
import types
from typing import Any

import lodo_studies
import numpy as np
import pytest
from lodo_studies import QUIET, dataset, spec_of

from har_jax import experiments
from har_jax.datasets import windows as store
from har_jax.errors import UserError
from har_jax.experiments import kinds, zero_shot
from har_jax.train.objective import Classify


@pytest.mark.parametrize(
  ('classes', 'expected'),
  [(('walking', 'stairs'), [True, True]), (('upstairs', 'downstairs', 'typing'), [False, True, False])],
)
def test_a_target_is_tested_on_the_classes_that_the_sources_know(classes, expected):
  assert zero_shot._answerable(classes, ('downstairs', 'typing', 'walking')).tolist() == expected


def test_activities_of_one_group_add_up_and_others_are_left_out():
  names = ('walking', 'typing', 'nordic_walking', 'sitting')
  (grouped,) = zero_shot._group(np.array([[0.1, 0.2, 0.3, 0.4]]), names)
  found = {name: grouped[number] for number, name in enumerate(zero_shot._GROUPS) if grouped[number]}
  assert found == pytest.approx({'walking': 0.4, 'sitting': 0.4})


def test_stairs_of_unknown_direction_are_up_or_down():
  names = ('walking', 'upstairs', 'downstairs', 'stairs')
  grouped = zero_shot._group(np.array([[0.1, 0.3, 0.1, 0.4]]), names)
  with_directions = zero_shot._divide(grouped, ('walking', 'upstairs', 'downstairs', 'lying'))
  np.testing.assert_allclose(with_directions, [[0.1, 0.6, 0.2, 0]])
  np.testing.assert_allclose(zero_shot._divide(grouped, ('walking', 'stairs')), [[0.1, 0.8]])


@pytest.fixture
def study(study_of, tmp_path, monkeypatch) -> experiments.Study:
  """The source lacks lying. Walking is answered as sitting in every other window, the rest rightly."""
  store.save(dataset('alpha', 0), tmp_path / 'windows' / 'alpha')
  monkeypatch.setattr(lodo_studies, 'ACTIVITIES', ('walking', 'sitting'))
  store.save(dataset('beta', 1), tmp_path / 'windows' / 'beta')
  monkeypatch.setattr(zero_shot, 'seconds_of', lambda stages: {stage.name: 5.0 for stage in stages})
  protocol = {'supervised_pretraining_steps': 4, 'tta_shifts': 3}
  study = study_of(tmp_path / 'out', windows=tmp_path / 'windows', protocol=protocol)

  def predict(objective: Classify, base: Any, windows: Any, *, tta_shifts: int) -> np.ndarray:
    assert (objective.model, objective.classes, tta_shifts) == (study.experiment.model, 3, 3)
    assert base['params/encoder/kernel'].shape == (2, 5)
    label = windows['label']
    column = np.where((label == 1) | (np.arange(len(label)) % 2 == 0), 1, 2)
    # Eating soup, which is no class of the target, is the likeliest of all.
    return np.log(np.eye(3)[column] * 0.3 + [0.6, 0.05, 0.05])

  monkeypatch.setattr(zero_shot, 'predict', predict)
  return study


_BASE = {'params/encoder/kernel': np.zeros((2, 5), np.float32)}


def test_a_result_is_of_the_windows_of_classes_that_the_sources_know(study):
  spec = spec_of(study, 'zero_shot')
  result = kinds.find(spec.method).run([spec], {0: _BASE}, QUIET)[0]
  assert result.data.classes == ['walking', 'sitting', 'lying']
  assert result.test.confusion == [[6, 6, 0], [0, 12, 0], [0, 0, 0]]
  assert [measured.confusion for measured in result.test_by_subject.values()] == [
    [[3, 3, 0], [0, 6, 0], [0, 0, 0]]
  ] * 2
  assert [entry.accuracy for entry in result.validation] == [0.75]
  windows = result.data.windows
  assert (windows.train, windows.validation, windows.test) == (0, 12, 24)
  assert (result.parameters.trainable, result.parameters.total) == (0, 10)
  assert (result.bytes.frozen, result.collections) == ({'params': 40}, [])
  assert result.seconds == {'training': 0, 'pretraining': 5, 'supervised': 5}
  assert result.starts_from == '../../../supervised'
  protocol = dataclasses.replace(spec.experiment.protocol, continued_pretraining_steps=2)
  spec = dataclasses.replace(spec, experiment=dataclasses.replace(spec.experiment, protocol=protocol))
  result = kinds.find(spec.method).run([spec], {0: _BASE}, QUIET)[0]
  assert result.starts_from == '../../../supervised/subject/seed0'  # the last of three stages


def test_a_recording_head_answers_each_subject_apart(study, monkeypatch):
  """It takes one subject's windows for walking, the other's for sitting."""
  spec = spec_of(study, 'zero_shot_recording', seed=1)
  data, described, asked = spec.fold.target_windows(), [], []

  def combine(encoder: np.ndarray, signals: np.ndarray, classes: Any) -> np.ndarray:
    described.append(signals)
    np.testing.assert_allclose(encoder[:, classes.index('sitting')] + encoder[:, 0], 0.4)
    return np.eye(len(classes))[[0 if len(described) % 2 else classes.index('sitting')] * len(encoder)]

  def fit(sources: Any, *, seed: int) -> Any:
    asked.append((sources.names, seed))
    return types.SimpleNamespace(size=100, combine=combine)

  monkeypatch.setattr(zero_shot.supervised_head, 'fit_recording_head', fit)
  monkeypatch.setattr(zero_shot.relative_features, 'describe', lambda signals, rate_hz: signals * rate_hz)
  result = kinds.find(spec.method).run([spec], {1: _BASE}, QUIET)[1]
  assert asked == [(('beta',), 1)]
  assert result.parameters.total == 110
  of_subject = {'walking': [[6, 0, 0], [6, 0, 0], [0] * 3], 'sitting': [[0, 6, 0], [0, 6, 0], [0] * 3]}
  first, second = (result.test_by_subject[name].confusion for name in np.unique(data.test_subjects))
  assert [first, second] == [of_subject['sitting'], of_subject['walking']]  # after the validation subject
  tested = data.subjects[data.indices['test']]
  for subject, signals in zip(np.unique(tested), described[1:], strict=True):
    own = data.indices['test'][tested == subject]
    np.testing.assert_array_equal(signals, data.signals[own] * 50)


def test_what_zero_shot_cannot_do_without_is_named(study, monkeypatch):
  monkeypatch.setattr(zero_shot.supervised_head, 'fit_recording_head', lambda sources, seed: None)
  with pytest.raises(UserError, match='zero_shot_recording needs sources with walking; beta have none'):
    zero_shot.predict_and_test(spec_of(study, 'zero_shot_recording'), _BASE, by_recording=True)
  monkeypatch.setattr(zero_shot, '_answerable', lambda classes, activities: np.array([True, False, False]))
  with pytest.raises(
    UserError, match='zero_shot needs two classes of alpha in the sources; they have eating'
  ):
    zero_shot.predict_and_test(spec_of(study, 'zero_shot'), _BASE)
