"""A simulated user corrects what was wrong for ten seconds; the last recording tests what that was worth."""

import types

import corrections
import numpy as np
import pytest
import short_sample
from corrections import Windows, measure, windows_of, without

from har_jax import config
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer


@pytest.fixture
def recognizer() -> Recognizer:
  """Of two classes; that it is measured needs no weights."""
  made = Recognizer()
  made.classes_ = np.array(['sitting', 'standing'])
  made.adapter_ = types.SimpleNamespace(
    card=types.SimpleNamespace(temperature=1.0), objective=types.SimpleNamespace(model=config.Model())
  )
  return made


def _person(label: np.ndarray) -> Windows:
  """Half of the windows test. Answered as sitting; features tell standing apart."""
  is_standing = label == 1
  hidden = np.stack([~is_standing * 2.0, is_standing * 2.0, np.ones(len(label))], axis=1)
  start_s = 1.28 * np.arange(len(label)) + 3600 * (np.arange(len(label)) >= len(label) // 2)
  return Windows(start_s, label, hidden, np.tile([1.0, 0.0], (len(label), 1)), start_s >= 3600)


def test_the_user_corrects_before_the_last_recording_what_was_wrong_for_ten_seconds(recognizer):
  bouts = np.repeat([0, 1, -1, 0, 1], 20)
  people = [_person(np.r_[bouts, bouts]), _person(np.r_[np.repeat([0, 1] * 10, 5), bouts])]
  none, one, many = measure(people, recognizer, (0, 1, 9))
  assert [row['used'] for row in (none, one, many)] == [0.0, 0.5, 0.5]  # no bout of the second is so long
  # All of the first person's windows are right then, and half of the second's.
  assert [row['accuracy'] for row in (none, one, many)] == [0.5, 0.75, 0.75]
  assert (one['gain_worst'], one['gain_deviation'], one['people']) == (0.0, 0.25, 2)
  assert (one['other_plain_accuracy'], one['other_accuracy']) == (0.75, 0.75)  # of all, or of sitting alone
  assert (one['corrected_plain_accuracy'], one['corrected_accuracy']) == (0.0, 1.0)
  assert none['milliseconds'] is None
  assert 0 < one['milliseconds'] <= one['milliseconds_worst']


def test_answers_are_those_of_the_calibrated_model(recognizer, monkeypatch):
  recognizer.adapter_.card.temperature = 2.0
  temperatures = set()
  update = corrections.CorrectedFilter.update

  def spied(layer, start_s, hidden, logits, temperature):
    temperatures.add(temperature)
    return update(layer, start_s, hidden, logits, temperature)

  monkeypatch.setattr(corrections.CorrectedFilter, 'update', spied)
  list(measure([_person(np.repeat([0, 1], 20))], recognizer, (0,)))
  assert temperatures == {2.0}


def test_a_class_that_a_model_lacks_can_be_added_by_corrections(recognizer):
  person = _person(np.repeat([0, 1, -1, 0, 1] * 2, 20))
  lacking = without(person, 1)
  assert lacking.label.tolist() == person.label.tolist()  # one more than the classes
  assert without(person, 0).label[:60].tolist() == [1] * 20 + [0] * 20 + [-1] * 20
  assert lacking.logits.shape == (200, 1)
  (many,) = measure([lacking], recognizer, (9,))
  assert (many['corrected_plain_accuracy'], many['other_accuracy']) == (0, 1)
  assert many['corrected_accuracy'] > 0.9  # a window or two are late


def test_windows_are_by_person_with_the_labels_of_the_head(monkeypatch):
  recognizer = Recognizer.load()
  monkeypatch.setattr(corrections, 'predict', lambda _, __, batch: np.zeros((len(batch['signal']), 129 + 11)))
  recordings = short_sample.read('sample_wisdm', subjects=2)
  people = windows_of(recognizer, recordings)
  assert list(people) == ['1600', '1604']
  for person in people.values():
    assert person.hidden.shape[1:] == (129,)
    assert (np.diff(person.start_s) > 0).all()
    assert {recognizer.classes_[label] for label in person.label} == {
      *('walking', 'running', 'stairs', 'sitting', 'standing')
    }
    assert 0 < person.is_last.sum() < len(person.label)
  with pytest.raises(UserError, match='no person has two recordings'):
    windows_of(recognizer, recordings[:1])
