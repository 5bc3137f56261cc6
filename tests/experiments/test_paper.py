"""Which runs the paper's tables need, and where they lie."""

import dataclasses
import itertools
import pathlib

import numpy as np
import pytest

from har_jax import config, experiments
from har_jax.data import windows as store
from har_jax.errors import UserError
from har_jax.experiments.paper import FEW_LABELS, RANKS, SHARES, TABLES, Paper


@pytest.fixture
def paper(tmp_path: pathlib.Path) -> Paper:
  for name in ('hapt', 'wisdm'):
    window = store.Window(np.zeros((128, 6), np.float32), 'walking', 'a', 0, 0.0)
    meta = {'archive': name, 'position': 'waist', 'checksum': name, 'code_version': '0'}
    store.save(store.gather([window], meta), tmp_path / 'windows' / name)
  return Paper(
    windows=tmp_path / 'windows',
    out=tmp_path / 'out',
    experiment=config.Experiment(finetune=config.Training()),
    seeds=(0, 1, 2),
    targets=('hapt', 'wisdm'),
  )


def _of(paper: Paper, *tables: str) -> list[experiments.Study]:
  return list(dataclasses.replace(paper, tables=tables).studies())


def test_table_2_has_every_target_and_method_under_both_protocols(paper: Paper):
  window, subject = _of(paper, '2')
  assert (window.experiment.protocol.split, window.experiment.protocol.normalize) == ('window', 'dataset')
  assert (subject.experiment.protocol.split, subject.experiment.protocol.normalize) == ('subject', 'train')
  for study in (window, subject):
    every = itertools.product(('hapt', 'wisdm'), ('full', 'lora', 'qlora', 'probe', 'scratch'), (0, 1, 2))
    assert {(target, method, seed) for target, seed, method in study.runs} == set(every)


def test_tables_2_to_5_are_made_of_the_same_runs(paper: Paper):
  assert _of(paper, '2') == _of(paper, '3') == _of(paper, '4', '5') == _of(paper, '2', '3', '4', '5')


def test_shards_of_a_table_are_everything_and_nothing_twice(paper: Paper):
  parts = [dataclasses.replace(paper, tables=('2',), shard=(number, 2)) for number in (0, 1)]
  for whole, *halves in zip(_of(paper, '2'), *(part.studies() for part in parts), strict=True):
    assert sorted(run for half in halves for run in half.runs) == sorted(whole.runs)
    assert all(dataclasses.replace(half, shard=(0, 1)) == whole for half in halves)


def test_table_6_varies_the_rank_alone(paper: Paper):
  studies = _of(paper, '6')
  assert [study.experiment.lora.rank for study in studies[::2]] == list(RANKS)
  for study in studies:
    assert (study.targets, study.methods) == (('hapt',), ('lora',))
    lora = dataclasses.replace(study.experiment.lora, rank=paper.experiment.lora.rank)
    assert (
      dataclasses.replace(study.experiment, lora=lora, protocol=paper.experiment.protocol) == paper.experiment
    )


def test_table_7_varies_the_labels_alone(paper: Paper):
  studies = _of(paper, '7')
  assert [study.experiment.protocol.label_budget for study in studies[::2]] == [*FEW_LABELS, *SHARES]
  for study in studies:
    assert dataclasses.replace(study.experiment, protocol=paper.experiment.protocol) == paper.experiment


def test_the_table_of_turned_windows_turns_them_alone_and_keeps_them_apart(paper: Paper):
  studies = _of(paper, 'rotation')
  assert [study.experiment.protocol.label_budget for study in studies] == ['0.7', '0.1', '10/class']
  for study in studies:
    assert study.experiment.protocol.split == 'subject'
    assert study.targets == paper.targets
    assert study.out == paper.out / 'turned'
    still = dataclasses.replace(study.experiment.finetune, rotation_std_deg=0.0)
    as_it_is = dataclasses.replace(study.experiment, finetune=still, protocol=paper.experiment.protocol)
    assert study.experiment.finetune.rotation_std_deg == 10.0
    assert as_it_is == paper.experiment
  every = dataclasses.replace(
    paper, experiment=dataclasses.replace(paper.experiment, finetune=studies[0].experiment.finetune)
  )
  assert {study.out for study in _of(every, 'rotation')} == {paper.out / 'base'}  # whose windows turn anyway


def test_pictures_are_of_the_experiment_as_it_is(paper: Paper):
  labels = {'protocol': dataclasses.replace(paper.experiment.protocol, label_budget='0.5')}
  assert [study.experiment.protocol.split for study in paper.shown('wisdm')] == ['window', 'subject']
  assert dataclasses.replace(paper, tables=('6',)).shown('wisdm') == []
  of_ranks = dataclasses.replace(paper, tables=('6',)).shown('hapt')
  assert {study.experiment.lora for study in of_ranks} == {paper.experiment.lora}
  of_labels = dataclasses.replace(
    paper, tables=('7',), experiment=dataclasses.replace(paper.experiment, **labels)
  )
  assert {study.experiment.protocol.label_budget for study in of_labels.shown('hapt')} == {'0.5'}


def test_runs_of_one_place_are_of_one_experiment(paper: Paper):
  """So that a finished run is reused by every table that needs it, and no run is refused for another's sake."""
  places: dict[tuple, config.Experiment] = {}
  for study in _of(paper, *TABLES):
    protocol = study.experiment.protocol
    for target, _, method in study.runs:
      place = (study.out, target, method, protocol.split, protocol.label_budget)
      assert places.setdefault(place, study.experiment) == study.experiment
    assert study.pretrained == paper.out / 'pretrained'


def test_an_unknown_table_is_refused_with_the_choices(paper: Paper):
  with pytest.raises(UserError, match="no table '8'; of 2, 3, 4, 5, 6, 7, pretraining, rotation"):
    _of(paper, '8')
