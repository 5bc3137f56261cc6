"""The head of a base, which recognizes general activities."""

import functools
import types

import jax
import made_people
import msgspec
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics
import sklearn.preprocessing
from made_people import SMALL

from har_jax import config, config_fields, files
from har_jax.baselines import relative_features
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Sources
from har_jax.errors import UserError
from har_jax.experiments import stages, supervised_head
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal import recording
from har_jax.train.objective import Classify

ACTIVITIES = ('kicking', 'standing', 'typing', 'walking')


@functools.cache
def base_of(activities: tuple[str, ...]) -> files.Base:
  variables = Classify(SMALL, len(activities)).init(jax.random.key(0))
  card = {'model': config_fields.to_json(SMALL), 'classes': list(activities), 'pretraining': {}}
  return files.make_base(variables, card)


def windows(labels: np.ndarray) -> dict[str, np.ndarray]:
  """Standing has no movement, walking some, kicking a lot; in g and rad/s."""
  rng = np.random.default_rng(0)
  std = np.array([2.0, 0.01, 0.02, 0.4])[labels]
  noise = rng.standard_normal((len(labels), 128, 6)).astype(np.float32)
  return {
    'signal': noise * std[:, None, None].astype(np.float32) + np.float32([0, 0, 1, 0, 0, 0]),
    'label': labels.astype(np.int32),
  }


@pytest.fixture(scope='module')
def general() -> files.Base:
  labels = np.arange(120) % 4
  return supervised_head.with_general_head(base_of(ACTIVITIES), windows(labels), windows(labels[:40]))


def test_a_class_stands_for_activities_of_archives_that_no_other_stands_for():
  names = [name for group in supervised_head.CLASSES.values() for name in group]
  assert set(names) <= set(recording.ACTIVITIES)
  assert all(name in supervised_head.CLASSES[name] for name in recording.LOCOMOTION)
  assert len(set(names)) == len(names)


def test_its_classes_group_the_sources_activities(monkeypatch):
  """Three of the 40 validation windows show walking, and the model takes them for standing."""
  base, labels = base_of(ACTIVITIES), np.arange(120) % 4
  shown, rng = labels.copy(), np.random.default_rng(0)
  shown[[3, 7, 11]] = 1
  logits = (4 * np.eye(4)[shown] + rng.normal(0, 0.1, (120, 4))).astype(np.float32)
  monkeypatch.setattr(supervised_head, 'predict', lambda objective, variables, part: logits[part['row']])
  rows = np.arange(120)
  train, validation = ({'row': each, 'label': labels[each]} for each in (rows[40:], rows[:40]))
  general = supervised_head.with_general_head(base, train, validation)
  assert general.classes == ('walking', 'standing', 'unknown')
  assert general.encoder.keys() == base.encoder.keys()
  grouped = [row for row in range(40) if labels[row] != 2]  # typing is of no class
  expected = sklearn.metrics.f1_score(labels[grouped], shown[grouped], average='macro')
  assert general.card.pretraining['head_validation_macro_f1'] == pytest.approx(expected)
  assert len(general.card.set_scores) == len(grouped) == 30
  assert np.sum(np.array(general.card.set_scores) > 0.5) == 3
  # What is added to the head is linear: one more layer after the logits of the base.
  x, head = rng.normal(size=(9, 16)), 'params/head/dense_1'
  old, new = (
    x @ np.asarray(each.variables[f'{head}/kernel']) + np.asarray(each.variables[f'{head}/bias'])
    for each in (base, general)
  )
  fitted = np.linalg.lstsq(np.c_[old, np.ones(9)], new, rcond=None)[0]
  outputs = np.c_[logits[40:], np.ones(80)] @ fitted
  names = np.array(['unknown', 'standing', '', 'walking'])[labels[40:]]
  means = [outputs[names == name].mean(axis=0) for name in general.classes]
  np.testing.assert_allclose(general.card.class_logits, means, atol=2e-2)
  seated = rows[40:][labels[40:] != 3]  # nobody walks, but in validation
  fewer = supervised_head.with_general_head(base, {'row': seated, 'label': labels[seated]}, validation)
  assert fewer.classes == ('standing', 'unknown')
  assert len(fewer.card.set_scores) == 20


@pytest.mark.slow
def test_a_recognizer_of_the_base_predicts_without_labels(general, tmp_path):
  files.save_base(tmp_path, general.variables, general.card)
  recognizer = Recognizer.load(tmp_path)
  still_or_walking = windows(np.array([1, 3, 1, 3]))['signal'] * np.float32([9.80665] * 3 + [1] * 3)
  assert recognizer.predict(still_or_walking).tolist() == ['standing', 'walking', 'standing', 'walking']
  assert recognizer.method == 'auto'  # that of the next fit


@pytest.mark.slow
def test_the_head_answers_with_a_temperature_that_its_sets_have(general):
  validation = windows((np.arange(120) % 4)[:40])
  signals = validation['signal'] * np.float32([9.80665] * 3 + [1] * 3)
  recognizer = Recognizer(general)
  plain = Recognizer(
    files.make_base(general.variables, msgspec.structs.replace(general.card, temperature=1.0))
  )
  probabilities, unsoftened = recognizer.predict_proba(signals), plain.predict_proba(signals)
  softened = unsoftened ** (1 / 2.5)
  np.testing.assert_allclose(probabilities, softened / softened.sum(axis=1, keepdims=True), rtol=1e-4)
  assert recognizer.temperature == 2.5
  activities = np.array(ACTIVITIES)[validation['label']]
  groups = np.where(activities == 'kicking', 'unknown', activities)[activities != 'typing']
  grouped = probabilities[activities != 'typing'][groups[:, None] == recognizer.classes_]
  np.testing.assert_allclose(general.card.set_scores, np.sort(1 - grouped), atol=1e-3)


def test_a_rare_class_weighs_as_much_as_a_frequent_one():
  rng = np.random.default_rng(0)
  labels = np.repeat([0, 1], [90, 10])
  logits = (rng.normal(0, 1, (100, 3)) + labels[:, None]).astype(np.float32)
  kernel, bias = supervised_head._fit(logits, labels)
  scaler = sklearn.preprocessing.StandardScaler().fit(logits)
  weight = np.where(labels == 0, 100 / 2 / 90, 100 / 2 / 10)
  regression = sklearn.linear_model.LogisticRegression(max_iter=1000)
  regression.fit(scaler.transform(logits), labels, sample_weight=weight)
  odds = regression.decision_function(scaler.transform(logits))
  np.testing.assert_allclose(np.diff(logits @ kernel + bias)[:, 0], odds, atol=1e-3)


def test_the_head_of_recordings_is_fitted_to_nobody_who_is_held_out(tmp_path):
  made_people.save_windows(tmp_path / 'made')
  sources = Sources(Datasets.open(tmp_path), ('made',), config.Protocol())
  ((features, labels),) = supervised_head._read_recordings(sources, 'made', 0)
  held_out = sources.held_out('made')
  assert len(features) == len(labels) == (~held_out).sum() < len(held_out)


def test_a_recording_is_a_subject_at_a_position_relative_to_its_own_walking(tmp_path, monkeypatch):
  monkeypatch.setattr(made_people, 'CLASSES', ('nordic_walking', 'watching_tv', 'typing'))
  made_people.save_windows(tmp_path / 'made', ('waist', 'wrist'), windowing=config.Windowing(rate_hz=25))
  sources = Sources(Datasets.open(tmp_path), ('made',), config.Protocol())
  windows, held_out = sources.datasets['made'].windows, sources.held_out('made')
  label = windows.labels(made_people.CLASSES)
  parts = list(supervised_head._read_recordings(sources, 'made', 0))
  assert len(parts) == 2
  for position, (features, labels) in enumerate(parts):
    expected = []
    for subject in np.unique(windows.subject[~held_out]):
      own = (windows.position == position) & (windows.subject == subject)
      relative = relative_features.describe(windows.signals[own], 25).relative_to(label[own] == 0)
      expected.append(relative[label[own] < 2])  # typing is of no class
    np.testing.assert_allclose(features, np.concatenate(expected))
    names = np.array(supervised_head.KNOWN_CLASSES)[labels]
    assert names.tolist() == [name for _ in expected for name in ('walking', 'sitting') for _ in range(12)]
  monkeypatch.setattr(supervised_head, '_PER_POSITION', 150)  # of 324, drawn by the seed
  of_seeds = [next(supervised_head._read_recordings(sources, 'made', seed))[0] for seed in (0, 0, 1)]
  np.testing.assert_array_equal(*of_seeds[:2])
  assert not np.array_equal(*of_seeds[1:])


def test_a_class_at_a_position_is_drawn_by_the_root_of_its_windows(monkeypatch):
  """The roots of these numbers of windows are 20, 10 and 5."""
  first, second = np.repeat([0, 3], [400, 100]), np.repeat([0], 25)
  parts = {'one': [(np.full((500, 1), 1.0), first)], 'other': [(np.full((25, 1), 2.0), second)]}
  monkeypatch.setattr(supervised_head, '_read_recordings', lambda sources, name, seed: parts[name])
  monkeypatch.setattr(supervised_head.recording_head, 'fit', lambda *arguments, seed: (*arguments, seed))
  sources = types.SimpleNamespace(names=('one', 'other'))
  features, labels, classes, seed = supervised_head.fit_recording_head(sources, seed=4)
  assert (len(labels), classes, seed) == (12_000, supervised_head.KNOWN_CLASSES, 4)
  shares = [((features[:, 0] == part) & (labels == label)).mean() for part, label in ((1, 0), (1, 3), (2, 0))]
  np.testing.assert_allclose(shares, [20 / 35, 10 / 35, 5 / 35], atol=0.02)
  sources = types.SimpleNamespace(names=('other',))
  assert supervised_head.fit_recording_head(sources, seed=4) is None


def test_fitting_starts_from_the_rows_of_known_classes():
  base = base_of(ACTIVITIES)
  drawn = Classify(SMALL, 2).init(jax.random.key(1))
  arrange = base.head_for(['Walking', 'juggling'])
  assert arrange is not None
  head = arrange(drawn)
  kernel = 'params/head/dense_1/kernel'
  np.testing.assert_array_equal(head[kernel][:, 0], base.variables[kernel][:, 3])
  np.testing.assert_array_equal(head[kernel][:, 1], drawn[kernel][:, 1])
  np.testing.assert_array_equal(
    head['params/head/dense_0/kernel'], base.variables['params/head/dense_0/kernel']
  )


def test_sources_without_two_general_activities_are_refused():
  labels = np.arange(40) % 2
  with pytest.raises(UserError, match='a head needs two classes; the sources have kicking, typing'):
    supervised_head.with_general_head(base_of(('kicking', 'typing')), windows(labels), windows(labels))
  supervised_head.check_activities(('kicking', 'typing', 'walking'))  # unknown and walking


def test_supervised_pretraining_takes_two_activities_or_more(tmp_path):
  experiment = config.Experiment(protocol=config.Protocol(normalize='none', supervised_pretraining_steps=5))
  sources = types.SimpleNamespace(names=('a', 'b'), classes=('lying', 'walking'), labeled_windows=None)
  sources.datasets = types.SimpleNamespace(identify=lambda names: {})
  stage = stages.supervised_pretraining(tmp_path, experiment, sources, 'activities')
  assert (stage.objective.classes, stage.seed) == (2, 0)
  sources.classes = ('lying',)
  with pytest.raises(
    UserError, match='supervised_pretraining_steps 5 need at least two activities; a, b have lying'
  ):
    stages.supervised_pretraining(tmp_path, experiment, sources, 'activities')


def test_an_encoder_alone_has_no_classes():
  base = base_of(ACTIVITIES)
  card = msgspec.structs.replace(base.card, classes=[])
  encoder = files.make_base(base.variables, card)
  assert encoder.classes == ()
  assert encoder.head_for(['walking']) is None
  assert not hasattr(Recognizer(encoder), 'adapter_')
  assert encoder.variables.keys() == base.encoder.keys()
