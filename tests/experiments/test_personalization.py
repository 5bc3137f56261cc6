"""An output layer for each test subject of finished runs."""

import shutil

import numpy as np
import pytest
from lodo_studies import ACTIVITIES, LORA, spec_of

from har_jax import storage
from har_jax.errors import UserError
from har_jax.experiments import personalization
from har_jax.experiments.personalization import personalize
from har_jax.report import csv_table, frame


@pytest.mark.slow
def test_each_test_subject_gets_an_output_layer(runs, study_of, out, tmp_path):
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
  table = tmp_path / 'personalization.csv'
  for _ in range(2):  # the second time they are replaced
    frame.append_personalization(storage.place(str(out)), table, 'a commit')
  rows = csv_table.read(table, {'subject': str})
  assert rows['subject'].tolist() == list(made.by_subject)


def test_before_is_of_the_runs_layer_and_after_of_the_new_one():
  labels = np.tile([0, 1], 10)
  hidden = np.stack([labels * 2.0 - 1, np.ones(20)], axis=1)
  hidden[-1] = 0  # of which the run's layer alone decides
  always_first = np.tile([1.0, 0.0], (20, 1))
  always_first[-1] = 0.0, 1.0
  made = personalization._before_and_after(hidden, always_first, labels, np.arange(12), np.arange(12, 20))
  assert (made.before.accuracy, made.after.accuracy) == (0.625, 1.0)
  assert (made.before.confusion, made.after.confusion) == ([[4, 0], [3, 1]], [[4, 0], [0, 4]])


@pytest.mark.slow
def test_the_penalty_and_who_is_left_out_are_in_the_result(runs, study_of, out, monkeypatch, tmp_path):
  copied = shutil.copytree(out, tmp_path / 'copied', ignore=shutil.ignore_patterns('personal'))
  penalties, fit, split = [], personalization.head_update.fit, personalization.splits.split_first

  def fitted(*arguments, penalty):
    penalties.append(penalty)
    return fit(*arguments, penalty=penalty)

  monkeypatch.setattr(personalization.head_update, 'fit', fitted)
  is_first = iter([True])

  def few(labels, person, count):
    train, later = split(labels, person, count)
    return train, later[:2] if next(is_first, False) else later  # windows of one activity are left

  monkeypatch.setattr(personalization.splits, 'split_first', few)
  _, made = personalize(spec_of(study_of(copied)), 2)
  assert set(penalties) == {made.identity.personal_penalty} == {10.0}
  tested = runs[LORA]['data']['subjects']['test']
  assert (made.excluded, list(made.by_subject)) == (tested[:1], tested[1:])


@pytest.mark.slow
def test_results_with_another_penalty_are_refused(runs, study_of, out, monkeypatch):
  personalize(spec_of(study_of(out)), 2)
  monkeypatch.setattr(personalization, '_PENALTY', 1.0)
  with pytest.raises(UserError, match='personal_penalty'):
    personalize(spec_of(study_of(out)), 2)


@pytest.mark.slow
def test_personalization_needs_a_finished_subject_wise_run(study_of, tmp_path, out):
  for split, said in (('window', '--split=subject'), ('five_fold', 'is missing; run --phase=all before')):
    with pytest.raises(UserError, match=said):
      personalize(spec_of(study_of(tmp_path, protocol={'split': split})), 2)
  with pytest.raises(UserError, match='run --phase=all before'):
    personalize(spec_of(study_of(tmp_path)), 2)
  with pytest.raises(UserError, match='fewer --personal_labels'):
    personalize(spec_of(study_of(out)), 6)
