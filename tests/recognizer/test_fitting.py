"""What a fit trains with, what it measures, and what its card says."""

import dataclasses
import itertools
import types
from unittest import mock

import made_people
import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS, SUBJECTS

from har_jax import config_fields, files, records
from har_jax.datasets import balancing
from har_jax.errors import UserError
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


def test_the_card_has_the_mean_inputs_and_logits_of_the_head_by_class(fitted_head):
  adapter, windows, names = fitted_head.adapter_, SIGNALS[~_HELD_OUT], LABELS[~_HELD_OUT]
  _, inputs = fitted_head.answer_with_inputs(windows)
  logits = fitting.predict(adapter.objective, fitted_head.variables_, fitted_head.prepare(windows), 1)
  card = adapter.card
  for measured, rows, atol in ((card.class_means, inputs, 1e-4), (card.class_logits, logits, 1e-3)):
    means = [rows[names == name].mean(axis=0) for name in fitted_head.classes_]
    np.testing.assert_allclose(measured, means, atol=atol)


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


@pytest.mark.slow
def test_windows_with_pseudo_labels_are_drawn_by_the_random_state(unfitted, monkeypatch):
  spied = mock.Mock(side_effect=balancing.pseudo_labeled)
  monkeypatch.setattr(balancing, 'pseudo_labeled', spied)
  unfitted.adapt(SIGNALS, LABELS, max_steps=1, unlabeled=SIGNALS[:9], random_state=5)
  assert spied.call_args.kwargs == {'seed': 5}


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


# --- self-training


@pytest.mark.slow
def test_unlabeled_windows_train_with_the_teachers_labels(unfitted, monkeypatch):
  trained_on: list[dict] = []
  train = fitting.Fit._on

  def recorded(self, windows, title):
    trained_on.append(windows)
    return train(self, windows, title)

  monkeypatch.setattr(fitting.Fit, '_on', recorded)
  few = np.r_[0:12, 18:30]
  model = unfitted.adapt(SIGNALS[few], LABELS[few], unlabeled=SIGNALS[40:], validation_fraction=0.0)
  labeled, both = trained_on
  assert len(labeled['label']) == 24
  unseen = {signal.tobytes() for signal in model.prepare(SIGNALS[40:])}
  added = [
    (s.tobytes(), n) for s, n in zip(both['signal'], both['label'], strict=True) if s.tobytes() in unseen
  ]
  true = {s.tobytes(): name for s, name in zip(model.prepare(SIGNALS[40:]), LABELS[40:], strict=True)}
  correct = [model.classes_[number] == true[signal] for signal, number in added]
  assert np.mean(correct) > 0.9
  assert len(set(added)) > 10
  assert model.adapter_.card.training.self_training == records.SelfTraining(unlabeled_windows=32, kept=True)


@pytest.mark.slow
@pytest.mark.parametrize(('after', 'kept'), [(0.4, False), (0.5, True)])
def test_a_student_is_kept_unless_it_is_worse_on_the_held_out_windows(unfitted, monkeypatch, after, kept):
  scores = iter([0.5, after])
  train = fitting.Fit._on

  def scored(self, windows, title):
    return dataclasses.replace(
      train(self, windows, title), metrics={'macro_f1': next(scores), 'accuracy': 0.5}
    )

  monkeypatch.setattr(fitting.Fit, '_on', scored)
  model = unfitted.adapt(SIGNALS, LABELS, SUBJECTS, max_steps=2, unlabeled=SIGNALS)
  card = model.adapter_.card
  assert card.training.self_training == records.SelfTraining(
    unlabeled_windows=len(SIGNALS), kept=kept, before=0.5, after=after
  )
  assert card.metrics['validation']['macro_f1'] == 0.5


@pytest.mark.slow
def test_unlabeled_windows_of_another_shape_are_refused_before_training(unfitted, monkeypatch):
  monkeypatch.setattr(fitting.Fit, 'labeled', lambda self: pytest.fail('trained'))
  with pytest.raises(UserError, match=r'the windows are \[2, 100, 6\]'):
    unfitted.adapt(SIGNALS, LABELS, unlabeled=np.zeros((2, 100, 6)))
