"""What is committed under results/ is generated from the tables there."""

import pathlib

import pandas as pd
import pytest
from absl import flags
from made_results import result
from report_rows import one_group, product, runs

from har_jax import config, config_fields, records
from har_jax.cli import training
from har_jax.config import Experiment
from har_jax.report import commands, frame, groups, markdown
from launch.bench import tables as bench

FOLDER = pathlib.Path(__file__).parents[2] / 'results'


@pytest.fixture(scope='module')
def committed():
  return frame.read_csv(FOLDER / 'runs.csv')


def test_the_table_of_runs_is_as_the_command_writes_it(committed, tmp_path):
  frame.to_csv(committed, tmp_path / 'runs.csv')
  before, after = (pd.read_csv(folder / 'runs.csv', dtype=str) for folder in (FOLDER, tmp_path))
  before = before.loc[:, ~before.columns.str.startswith('sum_')].drop(columns=[*records.REMOVED])
  pd.testing.assert_frame_equal(after[list(before)], before)  # without columns that are newer
  assert not committed.duplicated(frame.KEY).any()
  assert committed['commit'].str.fullmatch('[0-9a-f]{7,}').all()


def test_benchmark_tables_are_those_of_the_measurements():
  text = markdown.markdown(bench.sections(FOLDER / 'bench.csv'))
  assert text == (FOLDER / 'bench.md').read_text(encoding='utf-8')


def test_the_command_of_every_experiment_has_its_hyperparameters(committed):
  values = flags.FlagValues()
  experiment = training.define_experiment(values)
  parts = groups.experiments(committed[~groups.baselines(committed)])
  assert len(parts) > 20
  for part in parts:
    values.unparse_flags()
    values(['har-jax', *commands.flags_of(part)])
    # Where only some runs of an experiment have adapters, the command is of those.
    run = part.sort_values('lora_rank').iloc[0]
    assert commands.differing(run, experiment()) == {}


def test_the_flagfile_of_the_paper_is_of_the_committed_runs(committed, monkeypatch):
  monkeypatch.chdir(FOLDER.parent)
  values = flags.FlagValues()
  experiment = training.define_experiment(values)
  for name in ('seeds', 'cpu_devices'):
    flags.DEFINE_string(name, None, name, flag_values=values)
  values(['har-jax', '--flagfile=launch/flags/paper.flags'])
  runs = committed[committed['experiment'] == 'paper/base']
  for split, normalize in (('window', 'dataset'), ('subject', 'train')):  # as `har-jax paper` sets them
    (run,) = runs.query('split == @split and method == "lora" and label_budget == "0.7"').iloc[[0]].iloc
    differing = commands.differing(run, experiment())
    assert differing == {
      name: value
      for name, value in (('split', split), ('normalize', normalize))
      if value not in ('subject', 'train')
    }


def test_nothing_else_is_committed_as_a_result():
  names = {path.name for path in FOLDER.iterdir()}
  tables = (
    *('bench', 'checks', 'continual', 'contrastive', 'corrections', 'decoding', 'devices', 'federated'),
    *('frames', 'method_costs', 'personalization', 'poison', 'runs', 'second_pretraining', 'sets', 'shift'),
    *('steps', 'suggestions', 'temperatures', 'time_and_memory', 'two_devices', 'unknown', 'unseen'),
    *('unseen_recordings',),
  )
  assert names == {f'{name}.csv' for name in tables} | {'bench.md', 'bench_reference.json', 'transcript.md'}


# --- commands


def test_the_command_of_an_experiment_names_what_is_not_the_default():
  options = {'lora_rank': [8], 'finetune_circular_shift': [False], 'sources': [('dsads', 'hapt')]}
  part = one_group(product(method=('full', 'lora'), seed=(0, 1), **options))
  assert commands.commands(part) == [
    'har-jax lodo --windows=<folder> --targets=wisdm --methods=full,lora --seeds=0,1 '
    '--lora_rank=8 --nofinetune_circular_shift --dtype=float32 --out=runs/again'
  ]


def test_targets_with_fewer_sources_have_a_command_of_their_own():
  results = [result(target=target) for target in ('dsads', 'hhar', 'wisdm')] + [result(target='hapt')]
  results += [result(target='ucihar', sources=('hapt', 'hhar', 'dsads', 'wisdm'))]
  (part,) = groups.experiments(runs(results))
  lines = commands.commands(part)
  assert '--targets=ucihar --methods' in lines[-1]  # pretrained on all others
  assert '--targets=dsads --sources=hhar ' in lines[0]


def test_the_closest_preset_is_named():
  paper = config_fields.to_json(Experiment.paper())
  flags = {flag: paper[part][name] for flag, (part, name) in config.HYPERPARAMETERS.items()}
  made = runs([result(method='lora', **flags | {'model_dropout': 0.1})])
  assert commands.flags_of(made) == ['--preset=paper', '--model_dropout=0.1', '--dtype=float32']
