"""`har-jax lodo` and `har-jax paper`: what reaches a study, and what is printed and returned of its runs."""

import json
import pathlib
import types
from typing import Any

import made_people
import made_results
import msgspec
import pytest
from in_process import refuse, succeed

from har_jax import experiments, records
from har_jax.experiments import personalization
from har_jax.report import frame

_FLAGS = ('--targets=one', '--methods=full,probe', '--seeds=0,3', '--noprogress')


@pytest.fixture
def study(tmp_path) -> tuple[str, ...]:
  """Four runs, on windows of made-up people."""
  for name in ('one', 'other'):
    made_people.save_windows(tmp_path / 'windows' / name)
  return f'--windows={tmp_path}/windows', f'--out={tmp_path}/out', *_FLAGS


@pytest.mark.parametrize(
  ('split', 'caveat'), [('subject', ''), ('window', ' (window-wise split: optimistic)')]
)
def test_each_run_is_a_line_and_a_row(study, tmp_path, monkeypatch, split, caveat):
  asked = []

  def run(study: experiments.Study, options: experiments.TrainOptions) -> Any:
    asked.append((study, options))
    for spec in study.runs:
      entries = made_results.result(method=spec.method, seed=spec.seed, macro_f1=0.5)
      yield spec.result, msgspec.convert(entries, records.Result)

  monkeypatch.setattr(experiments, 'run', run)
  flags = ('--lodo_batch_runs=3', f'--pretrained_dir={tmp_path}/base', '--lora_rank=3', f'--split={split}')
  what = ('--phase=adapt', '--lodo_shard=1/2', '--sources=other')
  out, err = succeed('lodo', *study, *flags, *what, '--json')
  ((made, options),) = asked
  assert (made.targets, made.sources, made.methods) == (('one',), ('other',), ('full', 'probe'))
  assert (made.batch_runs, made.shard, made.seeds) == (3, (1, 2), (0, 3))
  assert (made.out, made.pretrained_dir) == (tmp_path / 'out', tmp_path / 'base')
  assert (made.experiment.protocol.split, made.experiment.lora.rank) == (split, 3)
  assert (options.may_train, options.progress) == (False, False)
  files = [f'{tmp_path}/out/one/{name}/{split}/labels-0.7/seed3.json' for name in ('probe', 'full')]
  figures = f'accuracy 0.510, macro-F1 0.500{caveat}'
  assert err.splitlines() == [f'[{number}/2] {file}: {figures}' for number, file in enumerate(files, start=1)]
  rows = json.loads(out)['runs']
  assert [row['file'] for row in rows] == files
  # As the results say, which are of another target.
  assert [(row['target'], row['method'], row['seed']) for row in rows] == [
    ('wisdm', name, 3) for name in ('probe', 'full')
  ]
  assert [row['macro_f1'] for row in rows] == [0.5, 0.5]


def test_each_pretraining_is_a_line(study, monkeypatch):
  stage = types.SimpleNamespace(step=6, seconds=12.4)
  monkeypatch.setattr(experiments, 'pretrain', lambda study, options: [('a.json', stage)] * options.may_train)
  out, err = succeed('lodo', *study, '--phase=pretrain', '--json')
  assert (json.loads(out), err) == ({'runs': []}, 'a.json: step 6, 12 s\n')


def test_gains_of_personalization_are_averaged_over_subjects(study, monkeypatch):
  gains = {1: {'p1': (0.5, 0.6), 'p2': (0.6, 0.8)}, 5: {'p2': (0.6, 0.8)}}

  def measures(macro_f1: float) -> records.Measures:
    return records.Measures(0.0, macro_f1, 0.0, 0.0, [])

  def personalize(spec: experiments.RunSpec, labels: int) -> tuple[pathlib.Path, Any]:
    by_subject = {
      name: records.BeforeAndAfter(records.PersonalWindows(1, 2), *map(measures, scores))
      for name, scores in gains[labels].items()
    }
    return pathlib.Path(f'{spec.method}{spec.seed}'), types.SimpleNamespace(by_subject=by_subject)

  monkeypatch.setattr(personalization, 'personalize', personalize)
  flags = (*study, '--methods=full', '--seeds=2', '--phase=personalize')
  out, err = succeed('lodo', *flags, '--personal_labels=1,5', '--json')
  assert err.splitlines() == [
    'full2: 2 subjects, macro-F1 0.550 before, 0.700 after (+15.0 ± 7.1 points, over subjects)',
    'full2: 1 subject, macro-F1 0.600 before, 0.800 after (+20.0 points, over subjects)',
  ]
  first, second = json.loads(out)['runs']
  assert (first['file'], list(second['by_subject'])) == ('full2', ['p2'])
  assert first['by_subject']['p2']['after']['macro_f1'] == 0.8
  assert '--personal_labels=0' in refuse('lodo', *flags, '--personal_labels=1,0')


@pytest.mark.parametrize('shard', ['0/1', '1/2'])
def test_the_runs_of_the_paper_are_counted_over_its_protocols(study, tmp_path, monkeypatch, shard):
  """Five methods and two baselines, twice; or four of each seven, without the tables of all."""
  splits = []

  def run(study: experiments.Study, options: experiments.TrainOptions) -> Any:
    splits.append(study.experiment.protocol.split)
    entries = msgspec.convert(made_results.result(macro_f1=0.5), records.Result)
    yield from ((spec.result, entries) for spec in study.runs)

  monkeypatch.setattr(experiments, 'run', run)
  row = made_results.row(made_results.result(), 'study')
  monkeypatch.setattr(frame, 'load', lambda folder: frame.from_rows([row]))
  flags = (*study[:2], '--table=2', '--targets=one', '--seeds=3', '--preset=paper', '--noprogress')
  out, _ = succeed('paper', *flags, f'--lodo_shard={shard}')
  missing, *lines, last = out.splitlines()
  assert missing == 'without windows, so in no table: hhar, motionsense, pamap2, realworld, ucihar'
  assert splits == ['window', 'subject']
  total = {'0/1': 14, '1/2': 8}[shard]
  figures = [line.partition(' min] ')[0] for line in lines]
  assert figures == [f'[{number}/{total}, 0' for number in range(1, total + 1)]
  assert all(line.endswith('seed3.json: macro-F1 0.500') for line in lines)
  tables = tmp_path / 'out' / 'tables.md'
  assert last.endswith({'0/1': str(tables), '1/2': 'without --lodo_shard writes the tables'}[shard])
  assert tables.exists() == (shard == '0/1')
