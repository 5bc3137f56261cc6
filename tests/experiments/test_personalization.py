"""An output layer for each test subject of finished runs."""

import types

import msgspec
import numpy as np
import pytest
from lodo_studies import ACTIVITIES, LORA, QUIET, always_first, spec_of, target_of

from har_jax import experiments, records
from har_jax.errors import UserError
from har_jax.experiments import job_lock, personalization
from har_jax.experiments.personalization import personalize


@pytest.mark.slow
def test_each_test_subject_gets_an_output_layer(runs, study_of, out):
  study = study_of(out)
  path, made = personalize(spec_of(study), 2)
  assert list(made.by_subject) == runs[LORA]['data']['subjects']['test']
  for subject in made.by_subject.values():
    # Of six windows an activity two are learned, one shares samples with them, three are left.
    assert (subject.windows.train, subject.windows.test) == (2 * len(ACTIVITIES), 3 * len(ACTIVITIES))
    for measured in (subject.before, subject.after):
      assert np.sum(measured.confusion, axis=1).tolist() == [3, 3, 3]
    assert subject.before.accuracy <= subject.after.accuracy
  assert made.excluded == []
  assert personalize(spec_of(study), 2) == (path, made)


def test_before_is_of_the_runs_layer_and_after_of_the_new_one():
  labels = np.tile([0, 1], 10)
  hidden = np.stack([labels * 2.0 - 1, np.ones(20)], axis=1)
  hidden[-1] = 0  # of which the run's layer alone decides
  always_first = np.tile([1.0, 0.0], (20, 1))
  always_first[-1] = 0.0, 1.0
  made = personalization._before_and_after(hidden, always_first, labels, np.arange(12), np.arange(12, 20))
  assert (made.before.accuracy, made.after.accuracy) == (0.625, 1.0)
  assert (made.before.confusion, made.after.confusion) == ([[4, 0], [3, 1]], [[4, 0], [0, 4]])


@pytest.fixture
def finished_study(study_of, tmp_path, monkeypatch) -> experiments.Study:
  """A finished run whose layer answers the first class, and whose hidden features tell the classes.

  The second test subject has two windows of each activity, and more of the first one alone.
  """
  study = study_of(tmp_path)
  spec, data = spec_of(study), target_of(study)
  # Its best validation, whose variables it has, is not its last one.
  history = [records.Validation(step=step) for step in (4, 8)]
  finished = msgspec.structs.replace(always_first(spec, {}, QUIET), step=4, validation=history)
  job_lock.write(spec.result, finished)
  is_second = data.test_subjects == np.unique(data.test_subjects)[1]
  data.test['label'][is_second] = np.repeat([0, 1, 2], [14, 2, 2])
  run = types.SimpleNamespace(trainable={'a': 1}, statistics={'b': 2}, frozen={'c': 3})
  objective = types.SimpleNamespace(with_hidden='hidden', classes=3)
  prepared = types.SimpleNamespace(data=data, run=run, objective=objective)

  class Checkpoints:
    def __init__(self, folder):
      assert folder == spec.folder / 'checkpoints'

    def variables(self, step, shapes):
      assert (step, shapes) == (4, {'a': 1, 'b': 2})
      return {'a': 4, 'b': 5}

  def predict(objective, variables, windows):
    assert (objective, variables) == ('hidden', {'a': 4, 'b': 5, 'c': 3})
    hidden = 5 * np.eye(4, dtype=np.float32)[windows['label']]
    return np.concatenate([hidden, np.tile(np.float32([1, 0, 0]), (len(hidden), 1))], axis=1)

  monkeypatch.setattr(personalization, 'Checkpoints', Checkpoints)
  monkeypatch.setattr(personalization, 'predict', predict)
  monkeypatch.setattr(personalization, 'run_stages', lambda stages, options: (len(stages), options.may_train))
  monkeypatch.setattr(personalization, 'prepare_run', lambda spec, base: {(1, False): prepared}[base])
  return study


def test_the_penalty_and_who_is_left_out_are_in_the_result(finished_study, monkeypatch):
  spec = spec_of(finished_study)
  path, made = personalize(spec, 2)
  first, second = np.unique(target_of(finished_study).test_subjects)
  assert (list(made.by_subject), made.excluded) == ([first], [second])
  subject = made.by_subject[first]
  assert (subject.windows.train, subject.windows.test) == (6, 9)
  assert (subject.before.confusion, subject.after.confusion) == ([[3, 0, 0]] * 3, np.diag([3] * 3).tolist())
  assert (made.identity.personal_labels, made.identity.personal_penalty) == (2, 10.0)
  assert path == spec.folder / 'personal' / 'labels-2-per-class.json'
  assert 0 <= made.seconds < 60
  monkeypatch.setattr(personalization, 'run_stages', lambda stages, options: pytest.fail('again'))
  assert personalize(spec, 2) == (path, made)
  monkeypatch.setattr(personalization, '_PENALTY', 1.0)
  with pytest.raises(UserError, match='personal_penalty'):
    personalize(spec, 2)


def test_personalization_needs_a_finished_subject_wise_run(finished_study, study_of, tmp_path):
  for split, said in (('window', '--split=subject'), ('five_fold', 'is missing; run --phase=all before')):
    with pytest.raises(UserError, match=said):
      personalize(spec_of(study_of(tmp_path, protocol={'split': split})), 2)
  with pytest.raises(UserError, match='fewer --personal_labels'):
    personalize(spec_of(finished_study), 6)
