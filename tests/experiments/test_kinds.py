"""The table of the kinds of runs."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from lodo_studies import QUIET, always_first, made_with, run, spec_of

from har_jax import experiments, records
from har_jax.baselines import BASELINES
from har_jax.errors import UserError
from har_jax.experiments import RunSpec, job_lock, kinds, runs
from har_jax.methods import METHODS
from har_jax.report.markdown import TEXTS


def test_a_kind_is_added_with_one_line(study_of, tmp_path, monkeypatch):
  kind = kinds.Kind(('first_class',), kinds.one_by_one(always_first), has_stages=False)
  monkeypatch.setitem(kinds.KINDS, 'constant', kind)
  study = study_of(tmp_path, methods=('first_class',), seeds=(0, 1))
  results = run(study)
  assert list(results) == [f'alpha/first_class/subject/labels-0.7/seed{seed}.json' for seed in (0, 1)]
  assert all(result['test']['accuracy'] == pytest.approx(1 / 3) for result in results.values())
  assert list(experiments.pretrain(study, QUIET)) == []
  with pytest.raises(UserError, match=r"unknown method 'last_class'; .*, zero_shot_recording, first_class"):
    dataclasses.replace(study, methods=('last_class',))


def test_each_test_subject_has_measures_of_its_own(study_of, tmp_path):
  spec = spec_of(study_of(tmp_path))
  data = spec.fold.target_windows()
  first, second = np.unique(data.test_subjects)
  is_first = (data.test_subjects == first)[:, None]
  by_subject = made_with(
    spec, data, np.where(is_first, np.eye(3)[data.test['label']], [1, 0, 0])
  ).test_by_subject
  assert by_subject[first].accuracy == 1
  assert by_subject[second].accuracy == pytest.approx(1 / 3)


def test_runs_start_from_the_stages_but_for_those_from_scratch_and_baselines():
  pretrained = {name for name in kinds.list_methods() if kinds.find(name).is_pretrained(name)}
  assert pretrained == {*METHODS, 'zero_shot', 'zero_shot_recording'} - {'scratch'}
  assert kinds.find('ensemble').after == ('lora',)


def test_runs_one_by_one_get_the_variables_of_their_own_seed(study_of, tmp_path):
  run_each = kinds.one_by_one(lambda spec, base, options: base)
  specs = study_of(tmp_path, seeds=(0, 1, 2)).runs
  assert run_each(specs, {0: {'a': 0}, 1: {'b': 1}}, QUIET) == {0: {'a': 0}, 1: {'b': 1}, 2: {}}


def _add_kind(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> list[tuple[RunSpec, Any]]:
  """Adds a kind that answers the first class; its runs, and what they start from."""
  ran: list[tuple[RunSpec, Any]] = []

  def run_all(specs: Any, bases: Any, options: Any) -> dict[int, records.Result]:
    ran.extend((spec, bases.get(spec.seed)) for spec in specs)
    return {spec.seed: always_first(spec, {}, options) for spec in specs}

  monkeypatch.setitem(kinds.KINDS, 'constant', kinds.Kind(('first_class',), run_all, **fields))
  return ran


def test_seeds_that_train_together_start_from_stages_of_their_own(study_of, tmp_path, monkeypatch):
  started = _add_kind(monkeypatch, is_pretrained=lambda name: True)
  monkeypatch.setattr(runs, 'run_stages', lambda stages, options: stages[-1].folder.name)
  protocol = {'continued_pretraining_steps': 2}
  run(study_of(tmp_path, methods=('first_class',), seeds=(0, 1), batch_runs=2, protocol=protocol))
  assert [(spec.seed, base) for spec, base in started] == [(0, 'seed0'), (1, 'seed1')]


def test_a_run_that_another_job_finishes_while_this_one_waits_is_read(study_of, tmp_path, monkeypatch):
  ran = _add_kind(monkeypatch)
  study, exclusive = study_of(tmp_path, methods=('first_class',)), job_lock.exclusive

  def wait(*arguments: Any, **named: Any) -> Any:
    (spec,) = study.runs
    job_lock.write(spec.result, always_first(spec, {}, None))
    return exclusive(*arguments, **named)

  monkeypatch.setattr(job_lock, 'exclusive', wait)
  assert len(run(study)) == 1
  assert ran == []


def test_seeds_that_train_together_are_of_one_target_and_method(study_of, tmp_path):
  study = study_of(tmp_path, targets=('alpha', 'beta'), methods=('full', 'lora'), seeds=(0, 1, 2))
  batches = [
    [(spec.target, spec.method, spec.seed) for spec in specs] for specs in runs._batched(study.runs, 2)
  ]
  assert batches == [
    [(target, method, seed) for seed in seeds]
    for target in ('alpha', 'beta')
    for method in ('full', 'lora')
    for seeds in ((0, 1), (2,))
  ]


def test_every_other_kind_has_a_note_in_the_report():
  others = [
    name for kind in kinds.KINDS.values() for name in kind.names if name not in (*METHODS, *BASELINES)
  ]
  assert list(TEXTS['kinds']) == others


def test_every_method_and_baseline_is_of_one_kind():
  methods = kinds.list_methods()
  assert len(set(methods)) == len(methods)
  assert set(methods) == {*METHODS, *BASELINES, 'ensemble', 'zero_shot', 'zero_shot_recording'}
