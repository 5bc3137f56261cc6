"""Which runs the paper's tables need, and where their results are."""

import dataclasses
import itertools
import pathlib
from typing import Any

import made_people
import pytest

from har_jax import config, experiments
from har_jax.baselines import BASELINES
from har_jax.datasets.datasets import Datasets
from har_jax.errors import UserError
from har_jax.experiments import kinds
from har_jax.experiments.paper import FEW_LABELS, LABEL_FRACTIONS, RANKS, TABLES, Paper
from har_jax.experiments.stages import stages_of
from har_jax.report import published


@pytest.fixture(scope='module')
def paper(tmp_path_factory) -> Paper:
  folder = tmp_path_factory.mktemp('paper')
  for name in ('hapt', 'wisdm'):
    made_people.save_windows(folder / 'windows' / name)
  return Paper(
    datasets=Datasets.open(folder / 'windows'),
    out=folder / 'out',
    experiment=config.Experiment(
      model=config.Model(), protocol=config.Protocol(), finetune=config.Training()
    ),
    seeds=(0, 1, 2),
    targets=('hapt', 'wisdm'),
  )


def _plan(paper: Paper, *tables: str) -> list[experiments.Study]:
  return list(dataclasses.replace(paper, tables=tables).studies())


def test_table_2_has_every_target_and_method_under_both_protocols(paper):
  window, subject = _plan(paper, '2')
  assert (window.experiment.protocol.split, window.experiment.protocol.normalize) == ('window', 'dataset')
  assert (subject.experiment.protocol.split, subject.experiment.protocol.normalize) == ('subject', 'train')
  for study in (window, subject):
    every = itertools.product(
      ('hapt', 'wisdm'), ('full', 'lora', 'qlora', 'probe', 'scratch', *BASELINES), (0, 1, 2)
    )
    assert {(run.target, run.method, run.seed) for run in study.runs} == set(every)


def test_a_stem_takes_physical_units_under_both_protocols(paper):
  with_stem = dataclasses.replace(paper, experiment=config.Experiment())
  protocols = [study.experiment.protocol for study in _plan(with_stem, '2')]
  assert [(protocol.split, protocol.normalize) for protocol in protocols] == [
    ('window', 'none'),
    ('subject', 'none'),
  ]


def test_tables_2_to_5_use_the_same_runs(paper):
  assert _plan(paper, '2') == _plan(paper, '3') == _plan(paper, '4', '5') == _plan(paper, '2', '3', '4', '5')


def test_shards_of_a_table_partition_its_runs(paper):
  parts = [dataclasses.replace(paper, tables=('2',), shard=(number, 2)) for number in (0, 1)]
  for whole, *halves in zip(_plan(paper, '2'), *(part.studies() for part in parts), strict=True):
    parts_of_whole = [run for half in halves for run in half.runs]
    assert len(parts_of_whole) == len(whole.runs)
    assert set(parts_of_whole) == set(whole.runs)
    assert all(dataclasses.replace(half, shard=(0, 1)) == whole for half in halves)


def test_table_6_varies_the_rank_only(paper):
  studies = _plan(paper, '6')
  assert [study.experiment.lora.rank for study in studies[::2]] == list(RANKS)
  assert tuple(rank for _, rank in published.TABLE_VI) == RANKS
  for study in studies:
    assert (study.targets, study.methods) == (('hapt',), ('lora',))
    lora = dataclasses.replace(study.experiment.lora, rank=paper.experiment.lora.rank)
    assert (
      dataclasses.replace(study.experiment, lora=lora, protocol=paper.experiment.protocol) == paper.experiment
    )


@pytest.mark.parametrize(
  ('targets', 'swept'),
  [(('hapt', 'ucihar'), 'ucihar'), (('wisdm', 'hapt'), 'hapt'), (('wisdm', 'dsads'), 'wisdm')],
)
def test_tables_6_and_7_are_of_ucihar_if_it_is_there(paper, targets, swept):
  assert dataclasses.replace(paper, targets=targets).swept == swept


def test_table_7_varies_the_label_budget_only(paper):
  studies = _plan(paper, '7')
  assert [study.experiment.protocol.label_budget for study in studies[::2]] == [*FEW_LABELS, *LABEL_FRACTIONS]
  for study in studies:
    assert dataclasses.replace(study.experiment, protocol=paper.experiment.protocol) == paper.experiment


def test_every_label_budget_has_the_baselines_and_the_rotation_has_none(paper):
  # No hyperparameter of training changes them.
  for table, has_them in (('7', True), ('pretraining', True), ('rotation', False), ('6', False)):
    studies = _plan(paper, table)
    assert {set(BASELINES).issubset(study.methods) for study in studies} == {has_them}


def test_the_pretraining_table_compares_methods_under_few_labels(paper):
  studies = _plan(paper, 'pretraining')
  assert [study.experiment.protocol.label_budget for study in studies] == ['0.1', '10/class']
  for study in studies:
    assert (study.targets, study.experiment.protocol.split) == (paper.targets, 'subject')
    assert {'lora', 'scratch'} <= set(study.methods)


def test_the_rotation_table_changes_the_rotation_only(paper):
  studies = _plan(paper, 'rotation')
  assert [study.experiment.protocol.label_budget for study in studies] == ['0.7', '0.1', '10/class']
  for study in studies:
    assert study.experiment.protocol.split == 'subject'
    assert study.targets == paper.targets
    assert study.out == paper.out / 'rotation'
    still = dataclasses.replace(study.experiment.finetune, rotation_std_deg=0.0)
    as_it_is = dataclasses.replace(study.experiment, finetune=still, protocol=paper.experiment.protocol)
    assert study.experiment.finetune.rotation_std_deg == 10.0
    assert as_it_is == paper.experiment
  every = dataclasses.replace(
    paper, experiment=dataclasses.replace(paper.experiment, finetune=studies[0].experiment.finetune)
  )
  assert {study.out for study in _plan(every, 'rotation')} == {
    paper.out / 'base'
  }  # whose windows turn anyway


def test_one_result_file_belongs_to_one_experiment(paper):
  # Otherwise a table would refuse the finished runs of another.
  places: dict[pathlib.Path, config.Experiment] = {}
  for study in _plan(paper, *TABLES):
    for run in study.runs:
      assert places.setdefault(run.result, study.experiment) == study.experiment
    assert study.pretrained_dir == paper.out / 'pretrained'


@pytest.mark.parametrize('preset', ['base', 'paper'])
@pytest.mark.parametrize('steps', [0, 10])
def test_one_folder_of_a_stage_belongs_to_one_training(paper, preset, steps):
  experiment = config.PRESETS[preset]()
  protocol = dataclasses.replace(experiment.protocol, supervised_pretraining_steps=steps)
  whole = dataclasses.replace(paper, experiment=dataclasses.replace(experiment, protocol=protocol))
  trainings: dict[str, Any] = {}
  for spec in {spec for study in whole.studies() for spec in study.runs}:
    for stage in stages_of(spec) if kinds.find(spec.method).is_pretrained(spec.method) else ():
      assert trainings.setdefault(str(stage.folder), stage.identity) == stage.identity
  assert len(trainings) == len(paper.targets) * (1 if not steps else 2 if preset == 'base' else 4)


def test_an_unknown_table_is_refused_with_the_choices(paper):
  with pytest.raises(UserError, match="no table '8'; one of 2, 3, 4, 5, 6, 7, pretraining, rotation"):
    _plan(paper, '8')
