"""The table of the kinds of runs."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from lodo_studies import QUIET, run

from har_jax import experiments, records
from har_jax.baselines import BASELINES
from har_jax.errors import UserError
from har_jax.experiments import RunSpec, kinds
from har_jax.experiments.adaptation import make_result
from har_jax.methods import METHODS
from har_jax.report.markdown import TEXTS


def _always_first(spec: RunSpec, base: Any, options: Any) -> records.Result:
  data = spec.fold.target_windows()
  return make_result(
    spec,
    data,
    np.tile([1.0, 0.0, 0.0], (len(data.test['label']), 1)),
    collections=None,
    starts_from=None,
    validation=[records.Validation(step=0)],
    step=0,
    parameters=records.Counted(trainable=0, total=0),
    bytes=records.Bytes(),
    seconds={'training': 0.0},
    batch_runs=1,
  )


def test_a_kind_is_added_with_one_line(study_of, tmp_path, monkeypatch):
  kind = kinds.Kind(('first_class',), kinds.one_by_one(_always_first), has_stages=False)
  monkeypatch.setitem(kinds.KINDS, 'constant', kind)
  study = study_of(tmp_path, methods=('first_class',), seeds=(0, 1))
  results = run(study)
  assert list(results) == [f'alpha/first_class/subject/labels-0.7/seed{seed}.json' for seed in (0, 1)]
  assert all(result['test']['accuracy'] == pytest.approx(1 / 3) for result in results.values())
  assert list(experiments.pretrain(study, QUIET)) == []
  with pytest.raises(UserError, match=r"unknown method 'last_class'; .*, zero_shot_recording, first_class"):
    dataclasses.replace(study, methods=('last_class',))


def test_every_other_kind_has_a_note_in_the_report():
  others = [
    name for kind in kinds.KINDS.values() for name in kind.names if name not in (*METHODS, *BASELINES)
  ]
  assert list(TEXTS['kinds']) == others


def test_every_method_and_baseline_is_of_one_kind():
  methods = kinds.list_methods()
  assert len(set(methods)) == len(methods)
  assert set(methods) == {*METHODS, *BASELINES, 'ensemble', 'zero_shot', 'zero_shot_recording'}
