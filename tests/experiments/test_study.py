"""Which studies are valid, and how runs are divided into shards."""

import collections
import dataclasses
import shutil

import msgspec
import numpy as np
import pytest
from lodo_studies import QUIET, alter, spec_of, target_of, with_altered

from har_jax import experiments
from har_jax.datasets import windows as store
from har_jax.errors import Stopped, UserError
from har_jax.experiments import stages as stages_module
from har_jax.experiments.adaptation import prepare_run
from har_jax.experiments.stages import run_stages, stages_of
from har_jax.train.objective import Classify


@pytest.mark.parametrize(
  ('options', 'says'),
  [
    ({'targets': ('alfa',)}, r"no windows of 'alfa' under .*; there are alpha, beta, gamma"),
    ({'sources': ('beta', 'delta')}, r"no windows of 'delta'"),
    ({'methods': ('lroa',)}, "unknown method 'lroa'; one of full, scratch, probe"),
    ({'sources': ('alpha', 'beta')}, 'alpha are the target alpha or its recordings: leave them out'),
    (
      {'targets': ('beta', 'alpha'), 'sources': ('gamma', 'alpha')},
      'alpha are the target alpha or its recordings: leave them out',
    ),
    ({'seeds': (0, -1)}, 'seed -1'),
    ({'seeds': (2**32 - 1, 2**32)}, 'seed 4294967296 is out of range'),
    ({'batch_runs': 0}, 'lodo_batch_runs is 0'),
    ({'shard': (2, 2)}, 'shard 2 of 2: the number must be in '),
    ({'shard': (-1, 2)}, 'shard -1 of 2'),
    ({'shard': (0, 0)}, 'shard 0 of 0'),
    ({'shard': (0, 2)}, '2 shards of 1 run; give at most 1'),
  ],
)
def test_an_impossible_study_is_refused(study_of, tmp_path, options, says):
  with pytest.raises(UserError, match=says):
    study_of(tmp_path, **options)


# The same people, and another position of the same archive, whatever the folder is called.
@pytest.mark.parametrize(('own', 'other'), [('hapt', 'ucihar'), ('alpha', 'alpha_wrist')])
def test_the_same_people_are_never_both_source_and_target(own, other, study_of, windows, tmp_path):
  for source, name in (('alpha', own), ('alpha', other), ('beta', 'beta')):
    shutil.copytree(windows / source, tmp_path / name)
  study = study_of(tmp_path, windows=tmp_path, targets=(own, other, 'beta'))
  assert [study.sources_of(target) for target in (own, other)] == [('beta',), ('beta',)]
  assert study.sources_of('beta') == (own, other)
  with pytest.raises(UserError, match=f'{other} are the target {own} or its recordings'):
    study_of(tmp_path, windows=tmp_path, targets=(own,), sources=(other, 'beta'))


@pytest.mark.parametrize('names', [('hapt', 'ucihar'), ('motionsense', 'sample_motionsense')])
def test_an_archive_is_no_source_of_an_excerpt_of_it(names, study_of, windows, tmp_path):
  for original, name in zip(('alpha', 'beta'), names, strict=True):
    shutil.copytree(windows / original, tmp_path / name)
  for target in names:
    with pytest.raises(UserError, match=f'no sources to pretrain on for {target}: {tmp_path} holds'):
      study_of(tmp_path, windows=tmp_path, targets=(target,))


def test_a_dataset_that_cannot_be_split_is_named(study_of, windows, tmp_path):
  shutil.copytree(windows, tmp_path / 'windows')
  old = store.load(windows / 'alpha')
  lone = dataclasses.replace(
    old,
    subject=np.zeros_like(old.subject),
    meta=msgspec.structs.replace(old.meta, subjects=old.meta.subjects[:1]),
  )
  store.save(lone, tmp_path / 'windows' / 'alpha')
  study = study_of(tmp_path / 'out', windows=tmp_path / 'windows')
  with pytest.raises(
    UserError, match=r'alpha: 1 subject is too few .*classes: 0 walking, 1 sitting, 2 lying'
  ):
    target_of(study)
  with pytest.raises(UserError, match=r'alpha: 1 subject is too few .*classes'):  # before any training
    list(experiments.run(dataclasses.replace(study, targets=('gamma', 'alpha'), sources=('beta',)), QUIET))
  assert not (tmp_path / 'out').exists()
  with pytest.raises(UserError, match=r'alpha: 1 subject is too few .*leave it out'):
    list(experiments.pretrain(dataclasses.replace(study, targets=('beta',)), QUIET))


@pytest.mark.parametrize('shards', [1, 2, 3, 4, 7, 11, 12])
def test_shards_are_disjoint_complete_and_even(study_of, tmp_path, shards):
  whole = study_of(
    tmp_path, targets=('alpha', 'beta'), methods=('full', 'lora', 'qlora'), seeds=(0, 1), shard=(0, 1)
  )
  assert len(whole.runs) == len(set(whole.runs)) == 12
  parts = [dataclasses.replace(whole, shard=(number, shards)).runs for number in range(shards)]
  assert collections.Counter(run for part in parts for run in part) == collections.Counter(whole.runs)
  assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_as_many_shards_as_targets_get_one_target_each(study_of, tmp_path):
  whole = study_of(tmp_path, targets=('alpha', 'beta', 'gamma'), methods=('full', 'lora'), seeds=(0, 1))
  for number, target in enumerate(whole.targets):
    assert {run.target for run in dataclasses.replace(whole, shard=(number, 3)).runs} == {target}


def test_duplicate_runs_are_merged(study_of, tmp_path):
  study = study_of(tmp_path, targets=('alpha', 'alpha'), methods=('lora', 'full', 'lora'), seeds=(1, 1))
  runs = [(run.target, run.seed, run.method) for run in study.runs]
  assert runs == [('alpha', 1, 'lora'), ('alpha', 1, 'full')]


def test_shards_begin_with_different_methods(study_of, tmp_path):
  methods = ('full', 'lora', 'qlora', 'forest')
  whole = study_of(tmp_path, targets=('alpha', 'beta'), methods=methods, seeds=(0, 1))
  halves = [dataclasses.replace(whole, shard=(number, 2)).runs for number in (0, 1)]
  assert [run.method for run in whole.runs] == [*methods] * 4
  assert [run.method for run in halves[0]] == [*methods] * 2
  assert [run.method for run in halves[1]] == ['qlora', 'forest', 'full', 'lora'] * 2


def test_an_identity_holds_the_sum_of_the_windows(study_of, windows, tmp_path):
  before = spec_of(study_of(tmp_path / 'out')).identity.windows
  altered = with_altered(windows, tmp_path / 'altered', 'beta', {'beta-0'})
  after = spec_of(study_of(tmp_path / 'out', windows=altered)).identity.windows
  assert {name for name in after if after[name] != before[name]} == {'beta'}
  assert msgspec.structs.replace(after['beta'], sum=before['beta'].sum) == before['beta']


def test_stages_on_the_target_have_the_seed_of_the_run_and_others_none(study_of, tmp_path):
  asked = {'continued_pretraining_steps': 2, 'supervised_pretraining_steps': 2}
  after = study_of(tmp_path, protocol=asked, seeds=(3,))
  assert [stage.seed for stage in stages_of(spec_of(after, seed=3))] == [0, 3, 3]
  alone = study_of(tmp_path, protocol={'supervised_pretraining_steps': 2}, seeds=(3,))
  assert [stage.seed for stage in stages_of(spec_of(alone, seed=3))] == [0, 0]


def test_each_stage_trains_as_its_part_of_the_experiment_says(study_of, tmp_path):
  asked = {'continued_pretraining_steps': 2, 'supervised_pretraining_steps': 3}
  spec = spec_of(study_of(tmp_path, protocol=asked, seeds=(3,)), seed=3)
  masked, continued, supervised = stages = stages_of(spec)
  assert [stage.folder.relative_to(tmp_path).as_posix() for stage in stages] == [
    'alpha/pretrain',
    'alpha/continued/subject/seed3',
    'alpha/supervised/subject/seed3',
  ]
  assert masked.identity.training == spec.experiment.pretrain
  trainings = [(stage.identity.training.max_steps, stage.identity.training.batch) for stage in stages[1:]]
  assert trainings == [(2, 32), (3, 16)]  # batches of pretraining, and of fine-tuning
  assert continued.identity.seed == supervised.identity.seed == 3
  assert [sorted(stage.windows()[0]) for stage in stages] == [
    ['origin', 'signal'],
    ['origin', 'signal'],
    ['label', 'origin', 'signal'],
  ]
  np.testing.assert_equal(continued.windows(), spec.fold.unlabeled_windows())


def test_a_stage_on_the_target_draws_batches_with_the_seed_of_the_run(study_of, tmp_path, monkeypatch):
  seeds: list[int] = []

  def train(objective, runs, **options):
    seeds.extend(run.seed for run in runs)
    raise Stopped('that is all')

  monkeypatch.setattr(stages_module, 'train', train)
  spec = spec_of(study_of(tmp_path, protocol={'continued_pretraining_steps': 2}, seeds=(3,)), seed=3)
  with pytest.raises(Stopped):
    run_stages(stages_of(spec)[1:], QUIET)
  assert seeds == [3]


def test_a_run_draws_head_adapters_and_batches_by_its_seed(study_of, tmp_path, drawn):
  study = study_of(tmp_path)
  base = drawn(Classify(study.experiment.model, 3).init)
  first, again, other = (prepare_run(spec_of(study, seed=seed), base) for seed in (0, 0, 3))
  for path in ('params/head/dense_0/kernel', 'lora/encoder/block_0/up/a'):
    np.testing.assert_array_equal(first.run.trainable[path], again.run.trainable[path])
    assert not np.array_equal(first.run.trainable[path], other.run.trainable[path])
  assert (first.run.seed, other.run.seed) == (0, 3)
  assert (other.run.windows, other.run.validation) == (other.data.train, other.data.validation)


@pytest.mark.parametrize(
  ('changed', 'says'),
  [
    ({'targets': ('up', 'foo')}, "target 'foo' matches no kernel"),
    ({'start': 'loftq'}, 'loftq needs kernels'),
  ],
)
def test_what_does_not_fit_the_model_is_refused_before_any_training(
  study_of, experiment, tmp_path, changed, says
):
  lora = dataclasses.replace(experiment.lora, **changed)
  with pytest.raises(UserError, match=says):
    study_of(tmp_path, experiment=dataclasses.replace(experiment, lora=lora))


@pytest.mark.parametrize(('budget', 'folder'), [('0.7', 'labels-0.7'), ('10/class', 'labels-10-per-class')])
def test_a_result_is_in_the_folder_of_its_split_and_budget(study_of, tmp_path, budget, folder):
  spec = spec_of(study_of(tmp_path, protocol={'label_budget': budget}), seed=4)
  assert spec.result == tmp_path / 'alpha' / 'lora' / 'subject' / folder / 'seed4.json'


@pytest.mark.parametrize(
  ('normalize', 'of_sources'), [('none', 'none'), ('train', 'train'), ('dataset', 'train')]
)
def test_sources_are_normalized_by_their_training_parts_whatever_the_target_is(
  study_of, experiment, tmp_path, normalize, of_sources
):
  stem = (8,) * 5 if normalize == 'none' else ()
  model = dataclasses.replace(experiment.model, stem=stem, log_std=not stem)
  protocol = dataclasses.replace(experiment.protocol, normalize=normalize)
  study = study_of(tmp_path, experiment=dataclasses.replace(experiment, model=model, protocol=protocol))
  assert stages_of(spec_of(study))[0].identity.normalize == of_sources


def test_a_stage_on_windows_that_changed_since_it_was_planned_is_refused(study_of, windows, tmp_path):
  copied = with_altered(windows, tmp_path / 'altered', 'beta', set())
  stages = stages_of(spec_of(study_of(tmp_path / 'out', windows=copied)))
  alter(copied / 'beta')
  with pytest.raises(UserError, match='the windows of beta'):
    run_stages(stages, QUIET)
  assert not stages[0].path.exists()


def test_a_stage_on_windows_that_change_while_they_are_read_is_refused(study_of, windows, tmp_path):
  copied = with_altered(windows, tmp_path / 'altered', 'beta', set())
  (stage,) = stages_of(spec_of(study_of(tmp_path / 'out', windows=copied)))

  def read():
    read_windows = stage.windows()
    alter(copied / 'beta')
    return read_windows

  with pytest.raises(UserError, match=r'the windows of beta .* have changed while they were in use'):
    run_stages([dataclasses.replace(stage, windows=read)], QUIET)
  assert not stage.path.exists()


def test_sources_are_those_asked_for_or_all_others(study_of, tmp_path):
  assert study_of(tmp_path).sources_of('alpha') == ('beta', 'gamma')
  asked = study_of(tmp_path, sources=('beta',))
  assert asked.sources_of('alpha') == ('beta',) == asked.runs[0].fold.source_names
