"""Rows, means and orders of tables on frames of a few lines, by hand."""

import pandas as pd

from har_jax.report import csv_table, markdown, statistics, tables


def test_what_is_missing_is_a_dash_in_tables_and_groups_of_it_are_rows():
  frame = pd.DataFrame(
    {'name': ['a', "it's", None], 'rank': pd.array([1, None, 3], dtype='Int64'), 'score': [0.1, 1e-9, 3.0]}
  )
  made = markdown.rows(
    frame.iloc[1:3],
    ['name', 'rank'],
    {'runs': lambda groups: groups.size().map(str), 'published': lambda groups: ['1'] * groups.ngroups},
  )
  assert made.drop(columns='published').to_numpy().tolist() == [["it's", '–', '1'], ['–', '3', '1']]
  absent = markdown.rows(frame, ['name'], {'published': lambda groups: [markdown.NONE] * groups.ngroups})
  assert absent.columns.tolist() == ['name']


def test_means_of_targets_stand_in_the_order_of_the_runs():
  table = pd.DataFrame(
    {
      'method': ['lora', 'lora', 'full', 'full', 'bitfit', 'probe', 'probe'],
      'target': [*'abab', 'a', *'ab'],
      'macro_f1': [0.2, 0.4, 0.5, 0.7, 1.0, 0.3, None],
    }
  )
  made = markdown.mean_rows(table, ['method'], {'macro-F1': ('macro_f1', '.1f')})
  assert made[['method', 'macro-F1']].to_numpy().tolist() == [
    *(['lora', '0.3'], ['full', '0.6'], ['probe', '–'])
  ]


def test_the_table_of_personalization_is_of_macro_f1_by_hand(tmp_path):
  before, after = [0.5, 0.6], [0.7, 0.5]
  rows = pd.DataFrame(
    {'macro_f1_before': before, 'macro_f1_after': after, 'accuracy_before': 0.1, 'accuracy_after': 0.9}
  )
  rows = rows.assign(
    experiment='a', label_budget='0.7', target='hapt', method='lora', labels_per_class=10, seed=0
  )
  csv_table.write(rows.assign(subject=['1', '2'], test_windows=30), tmp_path / 'a.csv')
  (row,) = tables.personalization(tmp_path / 'a.csv').table.to_dict('records')
  assert row['after − before, points'].startswith('+5.0 ± 21.2')  # of +20 and -10
  assert (row['better'], row['before']) == ('1 of 2', '0.550 ± 0.071')
  assert (row['seeds'], row['subjects and seeds']) == ('n=1', '2')


def test_methods_stand_from_the_best_mean_of_targets_on():
  rows = [('lora', 'a', 0.5), ('lora', 'b', 0.9), ('full', 'a', 0.7), ('full', 'b', 0.8), ('probe', 'a', 1.0)]
  runs = pd.DataFrame(rows, columns=['method', 'target', 'macro_f1'])
  assert tables.by_target(runs).index.tolist() == ['full', 'lora', 'probe']  # the last one lacks a target


def test_means_of_a_subject_are_rounded_so_that_ties_stay_ties():
  points = pd.DataFrame(
    {'target': 'a', 'subject': 's', 'seed': [0, 1, 2], 'full': [0.1, 0.2, 0.3], 'lora': [0.3, 0.2, 0.1]}
  )
  means = statistics.by_subject(points.set_index(['target', 'subject', 'seed']) * 100 / 3)
  assert means['full'].iloc[0] == means['lora'].iloc[0] == 6.6667
