"""What a fit trains with, what it measures, and what its card says."""

import copy
import dataclasses
import itertools
import types
from unittest import mock

import made_people
import msgspec
import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS, SUBJECTS
from sklearn.base import clone

from har_jax import config_fields, files
from har_jax.errors import UserError
from har_jax.recognizer import fitting, parameters, temperature
from har_jax.recognizer.calibration import calibrate
from har_jax.recognizer.recognizer import Recognizer
from har_jax.train.objective import Classify
from har_jax.variables import resident

_HELD_OUT = SUBJECTS == 'Dov'


@pytest.fixture(scope='module')
def stem_base(drawn) -> files.Base:
  model = made_people.SMALL
  return files.make_base(drawn(Classify(model, 2).init), {'model': config_fields.to_json(model)})


@pytest.fixture(scope='module')
def base_of_three(stem_base) -> files.Base:
  classes = ['walking', 'lying', 'sitting']
  model = dataclasses.replace(stem_base.card.model, window_statistics=False)
  card = msgspec.structs.replace(stem_base.card, classes=classes, temperature=0.7, model=model)
  return dataclasses.replace(stem_base, card=card)


@pytest.fixture(scope='module')
def fitted_head(stem_base) -> Recognizer:
  """Fitted to windows whose labels are right, and validated on some whose labels are wrong."""
  labels = np.where(_HELD_OUT & (LABELS == 'lying'), 'still', LABELS)
  return Recognizer(stem_base, method='lora', rank=2, max_steps=1, batch=8).fit(
    SIGNALS, labels, held_out=_HELD_OUT
  )


@pytest.mark.slow
def test_the_metrics_of_a_linear_head_are_of_the_windows_held_out(fitted_head):
  measured = fitted_head.adapter_.card.metrics['validation']
  assert measured['accuracy'] == pytest.approx(2 / 3)
  assert fitted_head.score(SIGNALS[~_HELD_OUT], LABELS[~_HELD_OUT]) == 1


def test_a_fit_has_the_temperature_expected_of_its_windows(fitted_head, stem_base):
  (train,) = {sum(LABELS[~_HELD_OUT] == name) for name in fitted_head.classes_}
  assert fitted_head.temperature == pytest.approx(0.5 + 0.09 * np.log(train))
  assert fitted_head.adapter_.card.adaptation_temperature == 1
  scratch = Recognizer(stem_base, method='scratch', max_steps=1, batch=8).fit(SIGNALS, LABELS)
  assert scratch.temperature == 1


def test_few_windows_move_the_temperature_of_a_fit_little(fitted_head):
  calibrated, windows, names = copy.copy(fitted_head), SIGNALS[_HELD_OUT], LABELS[_HELD_OUT]
  probabilities = fitted_head.predict_proba(windows)
  logits = np.log(probabilities) * fitted_head.temperature
  fitted = temperature.fit(logits, np.searchsorted(fitted_head.classes_, names))
  expected = temperature.shrink(fitted, len(names), fitted_head.temperature)
  for _ in range(2):  # a second calibration finds the same
    found = calibrate(calibrated, windows, names)
    assert found.temperature == pytest.approx(expected, rel=1e-3)
    assert found.confidence[0] == pytest.approx(probabilities.max(axis=1).mean())
  assert expected != pytest.approx(fitted_head.temperature, rel=0.02)


def test_the_card_has_the_mean_inputs_and_logits_of_the_head_by_class(fitted_head):
  adapter, windows, names = fitted_head.adapter_, SIGNALS[~_HELD_OUT], LABELS[~_HELD_OUT]
  _, inputs = fitted_head.answer_with_inputs(windows)
  logits = fitting.predict(adapter.objective, fitted_head.variables_, fitted_head.prepare(windows), 1)
  card = adapter.card
  for measured, rows, atol in ((card.class_means, inputs, 1e-4), (card.class_logits, logits, 1e-3)):
    means = [rows[names == name].mean(axis=0) for name in fitted_head.classes_]
    np.testing.assert_allclose(measured, means, atol=atol)


@pytest.mark.parametrize('method', ['linear', 'forest'])
def test_a_head_that_is_fitted_again_is_that_of_a_fit_to_all_windows(stem_base, method):
  part = Recognizer(stem_base, method=method, random_state=3).fit(SIGNALS, LABELS, held_out=_HELD_OUT)
  calibrate(part, SIGNALS[_HELD_OUT], LABELS[_HELD_OUT])
  before = part.adapter_.card
  part.adapter_ = part.adapter_.with_card(corrections=2)  # of a stream's user, in the head
  part.plan_ = plan = object()
  again = part.refit(SIGNALS, LABELS)
  assert again.plan_ is plan
  assert again.adapter_.card.corrections == 0
  whole = clone(part).fit(SIGNALS, LABELS)
  card = again.adapter_.card
  for name, value in whole.variables_.items():
    np.testing.assert_array_equal(again.variables_[name], value)
  assert (card.class_logits, card.class_means) == (
    whole.adapter_.card.class_logits,
    whole.adapter_.card.class_means,
  )
  assert card.checksum == whole.adapter_.card.checksum != before.checksum
  for name in (
    'temperature',
    'set_scores',
    'unknown_scores',
    'unknown_by_base',
    'metrics',
    'split',
    'training',
  ):
    assert getattr(card, name) == getattr(before, name)
  np.testing.assert_allclose(
    again.predict_proba(SIGNALS).argmax(axis=1), whole.predict_proba(SIGNALS).argmax(axis=1)
  )


def test_a_head_is_fitted_again_to_the_classes_of_the_fit_and_only_if_it_was_fitted_at_once(
  stem_base, fitted
):
  steps = copy.copy(fitted)  # its base takes normalized windows: no linear head
  assert steps.refit(SIGNALS, LABELS).adapter_ is fitted.adapter_
  linear = Recognizer(stem_base, method='linear').fit(SIGNALS, LABELS)
  some = LABELS != 'still'
  for signals, labels, given in (
    (SIGNALS[some], LABELS[some], "'lying', 'walking'"),
    (SIGNALS, np.where(some, LABELS, 'sitting'), "'lying', 'sitting', 'walking'"),
  ):
    with pytest.raises(
      UserError, match=rf"^the labels are {given}; .* of the fit: 'lying', 'still', 'walking'$"
    ):
      linear.refit(signals, labels)


def test_the_bytes_of_the_file_count_its_own_head_alone_and_memory_has_adams_moments(stem_base, monkeypatch):
  recognizer = Recognizer(stem_base, method='lora', rank=2, max_steps=1, batch=8)
  base, experiment = parameters.check(recognizer)
  labels = np.unique(LABELS, return_inverse=True)[1].astype(np.int32)
  parts = fitting.divide(recognizer, SIGNALS.astype(np.float32), labels, None, None, 'none')
  fit = fitting.fits(recognizer, base, experiment, ['lying', 'still', 'walking'], parts)('lora')
  fitted = fit.run()
  stored = files.make_adapter(base, fitted.variables, fit.card(fitted, {}) | {'classes': [*'abc']})
  assert fit.file_bytes() == sum(leaf.nbytes for leaf in stored.variables.values())
  monkeypatch.setattr(fitting.loop, 'planned_bytes', lambda *_, **__: 7)
  trained = fit.prepared.trainable | fit.prepared.statistics
  moments = fit.memory_bytes() - 7 - resident(fit.prepared.frozen) - resident(trained)
  assert moments >= 2 * resident(fit.prepared.trainable)  # of Adam


def test_the_seconds_of_a_trial_are_those_of_its_steps(base, monkeypatch):
  recognizer, labeled = Recognizer(base, method='lora', rank=2, verbose=True), mock.Mock()
  monkeypatch.setattr(fitting.Fit, 'labeled', lambda fit: labeled(fit.training.max_steps, fit.progress))
  monkeypatch.setattr(fitting.time, 'monotonic', itertools.count(10.0, 2.5).__next__)
  used, experiment = parameters.check(recognizer)
  parts = fitting.divide(recognizer, SIGNALS.astype(np.float32), np.arange(72) % 3, None, None, 'train')
  assert fitting.fits(recognizer, used, experiment, [*'abc'], parts)('lora').seconds(7) == 2.5
  labeled.assert_called_once_with(7, False)


def test_the_origin_of_rotations_is_a_reading_of_zero(base):
  recognizer = Recognizer(base, method='lora')
  parts = fitting.divide(recognizer, SIGNALS.astype(np.float32), np.arange(72) % 3, None, None, 'train')
  zero = parts.normalizer(np.zeros((1, 128, 6), np.float32))[0, 0, [0, 3]]
  assert abs(zero[0]) > 0.1
  np.testing.assert_allclose(parts.train['origin'], np.tile(zero, (len(parts.train['label']), 1)), rtol=1e-6)


class _TrainedError(Exception):
  pass


@pytest.mark.parametrize('method', ['linear', 'lora'])
def test_a_training_has_the_random_state_and_a_head_what_the_base_tells_of_the_classes(
  base_of_three, monkeypatch, method
):
  def train(objective, runs, *, prior=None, **options):
    assert [run.seed for run in runs] == [3]
    if method == 'linear':
      assert prior.is_same.tolist() == [[False, False, True], [True, False, False], [False, False, False]]
      assert (prior.temperature, prior.objective.classes) == (0.7, 3)
    raise _TrainedError

  monkeypatch.setattr(fitting.output_layer if method == 'linear' else fitting.loop, 'train', train)
  labels = np.array(['sitting', 'waving', 'walking'])[np.arange(len(LABELS)) % 3]
  with pytest.raises(_TrainedError):
    Recognizer(base_of_three, method=method, rank=2, random_state=3).fit(SIGNALS, labels)


@pytest.mark.parametrize('part', [{'side_width': 8}, {'window_statistics': True}])
def test_a_base_whose_head_has_more_than_the_encoders_features_tells_nothing_of_classes(base_of_three, part):
  model = dataclasses.replace(base_of_three.card.model, **part)
  card = msgspec.structs.replace(base_of_three.card, model=model)
  assert fitting.prior_of(dataclasses.replace(base_of_three, card=card), ['walking', 'sitting']) is None


def test_a_base_that_is_given_lends_its_model_to_training_from_scratch(base):
  assert parameters.check(Recognizer(base, method='scratch'))[0] is base
  assert parameters.check(Recognizer(method='scratch'))[0] is None


def test_weights_of_a_pretrained_encoder_have_half_of_the_learning_rate(base):
  _, experiment = parameters.check(Recognizer(base, learning_rate=0.5))
  assert (experiment.finetune.learning_rate, experiment.finetune.encoder_learning_rate) == (0.5, 0.25)


def test_continual_and_federated_training_set_alpha_and_seed(base):
  settings = types.SimpleNamespace(method='lora', rank=3, learning_rate=0.1, batch=5, seed=7)
  made = parameters.from_settings(settings, base, steps=9)
  assert (made.rank, made.alpha, made.random_state, made.max_steps, made.batch) == (3, 6.0, 7, 9, 5)
