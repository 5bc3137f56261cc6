"""Self-training of a recognizer on unlabeled windows."""

import dataclasses

import numpy as np
import pytest
from labeled_windows import LABELS, SIGNALS, SUBJECTS

from har_jax import records
from har_jax.errors import UserError
from har_jax.recognizer import fitting

pytestmark = pytest.mark.slow


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


def test_unlabeled_windows_of_another_shape_are_refused_before_training(unfitted, monkeypatch):
  monkeypatch.setattr(fitting.Fit, 'labeled', lambda self: pytest.fail('trained'))
  with pytest.raises(UserError, match=r'the windows are \[2, 100, 6\]'):
    unfitted.adapt(SIGNALS, LABELS, unlabeled=np.zeros((2, 100, 6)))
