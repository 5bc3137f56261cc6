"""Baselines in tables: which experiments they join."""

import pytest
from made_results import result
from report_rows import cells, product, runs

from har_jax import config, results
from har_jax.errors import UserError
from har_jax.report import commands, curves, frame, groups, tables

# Full fine-tuning with and without test-time augmentation, two experiments.
_BOTH = product(tta_shifts=(1, 4), seed=(0, 1))


def test_a_baseline_joins_every_experiment_with_its_split_labels_and_windows():
  ours = runs(_BOTH)
  other = {'label_budget': '0.3'}, {'split': 'window'}, {'checksum': 'sha256:bb'}, {'target': 'dsads'}
  theirs = runs(
    [
      *(result(method='forest', seed=seed, macro_f1=0.7) for seed in (0, 1, 2)),
      *(result(method='forest', seed=0, **options) for options in other),
    ],
    'theirs',
  )
  parts = groups.experiments(frame.from_rows([*ours.to_dict('records'), *theirs.to_dict('records')]))
  joined = [part for part in parts if 'full' in set(part['method'])]
  assert [part[['experiment', 'method', 'seed']].to_numpy().tolist() for part in joined] == 2 * [
    [['study', 'full', 0], ['study', 'full', 1], ['theirs', 'forest', 0], ['theirs', 'forest', 1]]
  ]
  assert all(groups.title(part).startswith('study, ') for part in joined)
  alone = [part for part in parts if 'full' not in set(part['method'])]
  assert sum(map(len, alone)) == 5  # the others, and seed 2, which full was not run with
  assert all(groups.title(part).startswith('theirs, ') for part in alone)
  assert groups.experiments(theirs[:0]) == []


def test_table_ii_has_its_difference_to_full():
  results = [*_BOTH, *product(method=['rocket'], seed=(0, 1), macro_f1=[0.92])]
  for section in tables.table2(groups.experiments(runs(results))):
    row = cells(section.table, method='rocket')
    assert (row['macro-F1'], row['seeds']) == ('0.920 ± 0.000', 'n=2')
    assert row[tables.DIFFERENCE] == '+2.0 ± 0.0'


def test_a_baseline_that_two_experiments_ran_counts_once():
  results = [*_BOTH, *product(method=['forest'], tta_shifts=(1, 4))]
  for part in groups.experiments(runs(results)):
    assert list(part['method']) == ['full', 'full', 'forest']
  results[-1] = result(method='forest', macro_f1=0.5)  # of another version of the code
  with pytest.raises(UserError, match='two results of wisdm, forest, seed 0'):
    groups.experiments(runs(results))


def test_a_baseline_stays_where_the_experiment_that_it_joins_stays():
  budgets = ('0.7', '0.3', '0.1', '10/class')
  sweep = product(label_budget=budgets, method=('full', 'forest'))
  lone = [result(label_budget='0.3', tta_shifts=4)]
  others = groups.without_sweeps(runs([*sweep, result(label_budget='0.7', seed=1), *lone]))
  shown = {(row.method, row.label_budget) for row in others.itertuples()}
  assert shown == {('full', '0.7'), ('full', '0.3'), ('forest', '0.7'), ('forest', '0.3')}
  (table7,) = tables.sections(runs(sweep))['7']
  assert list(table7.table['method']) == len(budgets) * ['full', 'forest']


def test_baselines_alone_are_an_experiment():
  rows = runs(product(method=('forest', 'rocket'), seed=(0, 1)))
  sections = tables.sections(rows)
  assert list(sections['2'][0].table['method']) == ['forest', 'rocket']
  assert 'forest' in tables.text(sections)
  assert commands.flags_of(rows) == []
  sweep = product(method=['lora'], lora_rank=(8, 16, 32))
  kept = groups.without_sweeps(runs([*sweep, result(method='forest', target='dsads')]))
  assert sorted(kept['method']) == ['forest', 'lora']


def test_the_command_of_an_experiment_has_the_flags_of_its_networks():
  (part,) = groups.experiments(runs([result(method='forest'), result(finetune_max_steps=9)]))
  assert '--methods=full,forest --seeds=0 --finetune_max_steps=9 ' in commands.commands(part)[0]
  fewer, usual = commands.commands(runs([result(target='dsads', sources=('wisdm',)), result()]))
  assert '--targets=dsads --sources=wisdm --methods=full ' in fewer
  assert '--targets=wisdm --methods=full ' in usual


@pytest.mark.slow
def test_missing_hyperparameters_read_back(tmp_path):
  rows = runs([result(method='forest'), result(method='lora'), result()])
  frame.append(rows, tmp_path / 'runs.csv', 'abc1234')
  again = frame.read_csv(tmp_path / 'runs.csv')
  frame.to_csv(again, tmp_path / 'again.csv')
  assert (tmp_path / 'again.csv').read_bytes() == (tmp_path / 'runs.csv').read_bytes()
  flags = [flag for flag in config.HYPERPARAMETERS if flag not in results.SHARED]
  assert again.loc[again['method'] == 'forest', flags].isna().all(axis=None)
  assert tables.text(tables.sections(again)) == tables.text(tables.sections(rows))


def test_a_baseline_has_no_learning_curve():
  rows = runs([result(), result(method='forest', target='dsads')])
  (drawing,) = curves.learning_curves(rows, 'curves')
  assert 'forest' not in drawing
  assert any('forest' in drawing for drawing in curves.costs(rows, 'cost'))


def test_an_ensemble_is_a_row_beside_lora_and_the_baselines():
  methods = ('lora', 'ensemble', 'forest', 'rocket')
  made = runs(product(method=methods, seed=(0, 1)))
  (part,) = groups.experiments(made)
  (section,) = tables.table2([part])
  assert section.table['method'].tolist()[:4] == list(methods)
  assert any(note.startswith('ensemble: ') for note in section.notes)
  (without,) = tables.table2([part[part['method'] != 'ensemble']])
  assert not any(note.startswith('ensemble: ') for note in without.notes)
