"""Studies measure a case once, and draw windows of people who are apart."""

import numpy as np
import study

from har_jax.report import csv_table


def test_a_case_that_the_table_has_is_not_measured_again(tmp_path):
  measured, cases = [], [{'kind': 'waist', 'seed': seed} for seed in (0, 1)]

  def measure(case: study.Row) -> list[study.Row]:
    measured.append(case['seed'])
    return [case | {'score': 0.5}]

  for count in (1, 2):
    rows = study.resume(tmp_path / 'a.csv', cases[:count], measure, ('kind', 'seed'))
  assert measured == [0, 1]
  assert (
    csv_table.read(tmp_path / 'a.csv').to_dict('records') == rows == [case | {'score': 0.5} for case in cases]
  )


def test_parts_are_of_half_the_people_and_the_quarters_of_others():
  people, activities = np.repeat(np.arange(8), 30), np.tile(['sitting', 'standing', 'walking'], 80)
  activities[(people != 2) & (activities == 'walking')] = 'standing'  # only one of the half walks
  train, more, others, last = study.draw_parts(activities, people, 0, (2, 3), (15, 1000))
  assert [sorted(np.unique(activities[part], return_counts=True)[1]) for part in (train, more)] == [
    [2, 2],
    [3, 3],
  ]
  assert not set(train) & set(more)
  assert (len(others), len(set(people[others])), len(set(people[last]))) == (15, 2, 2)
  assert not set(people[np.r_[train, more]]) & set(people[np.r_[others, last]])
  assert 'walking' not in activities[np.r_[train, more, others, last]]  # which the last quarter lacks
