"""What a fit trains with, what it measures, and what its card says."""

import itertools
import types

import made_people
import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS, SUBJECTS

from har_jax import config_fields, files
from har_jax.datasets import balancing
from har_jax.recognizer import fitting, parameters
from har_jax.recognizer.recognizer import Recognizer
from har_jax.train.objective import Classify

_HELD_OUT = SUBJECTS == 'Dov'


@pytest.fixture(scope='module')
def stem_base(drawn) -> files.Base:
  model = made_people.SMALL
  return files.make_base(drawn(Classify(model, 2).init), {'model': config_fields.to_json(model)})


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


def test_the_card_has_the_mean_inputs_of_the_head_by_class(fitted_head):
  _, inputs = fitted_head.answer_with_inputs(SIGNALS[~_HELD_OUT])
  names = LABELS[~_HELD_OUT]
  means = [inputs[names == name].mean(axis=0) for name in fitted_head.classes_]
  np.testing.assert_allclose(fitted_head.adapter_.card.class_means, means, atol=1e-4)


def test_the_bytes_of_the_file_count_its_own_head_alone(stem_base):
  recognizer = Recognizer(stem_base, method='lora', rank=2, max_steps=1, batch=8)
  base, experiment = parameters.check(recognizer)
  labels = np.unique(LABELS, return_inverse=True)[1].astype(np.int32)
  parts = fitting.divide(recognizer, SIGNALS.astype(np.float32), labels, None, None, 'none')
  fit = fitting.fits(recognizer, base, experiment, ['lying', 'still', 'walking'], parts)('lora')
  fitted = fit.run(None, tta_shifts=1)
  stored = files.make_adapter(base, fitted.variables, fit.card(fitted, {}) | {'classes': [*'abc']})
  assert fit.file_bytes() == sum(leaf.nbytes for leaf in stored.variables.values())


def test_the_seconds_of_a_trial_are_those_of_its_steps(base, monkeypatch):
  recognizer = Recognizer(base, method='lora', rank=2, verbose=True)
  trained = []

  def labeled(self):
    trained.append((self.training.max_steps, self.progress))

  monkeypatch.setattr(fitting.Fit, 'labeled', labeled)
  clock = itertools.count(10.0, 2.5)
  monkeypatch.setattr(fitting.time, 'monotonic', lambda: next(clock))
  used, experiment = parameters.check(recognizer)
  parts = fitting.divide(recognizer, SIGNALS.astype(np.float32), np.arange(72) % 3, None, None, 'train')
  assert fitting.fits(recognizer, used, experiment, [*'abc'], parts)('lora').seconds(7) == 2.5
  assert trained == [(7, False)]


def test_the_origin_of_rotations_is_a_reading_of_zero(base):
  recognizer = Recognizer(base, method='lora')
  parts = fitting.divide(recognizer, SIGNALS.astype(np.float32), np.arange(72) % 3, None, None, 'train')
  zero = parts.normalizer(np.zeros((1, 128, 6), np.float32))[0, 0, [0, 3]]
  assert abs(zero[0]) > 0.1
  np.testing.assert_allclose(parts.train['origin'], np.tile(zero, (len(parts.train['label']), 1)), rtol=1e-6)


@pytest.mark.slow
def test_windows_with_pseudo_labels_are_drawn_by_the_random_state(unfitted, monkeypatch):
  seeds = []
  draw = balancing.pseudo_labeled
  monkeypatch.setattr(
    balancing, 'pseudo_labeled', lambda *args, seed: seeds.append(seed) or draw(*args, seed=seed)
  )
  unfitted.adapt(SIGNALS, LABELS, max_steps=1, unlabeled=SIGNALS[:9], random_state=5)
  assert seeds == [5]


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
