"""Studies measure a case once, draw windows of people who are apart, and count what crosses sockets."""

import collections
import pathlib
import sys
import types
from typing import Any

import federated
import numpy as np
import pytest
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


def test_a_study_measures_unless_asked_not_to_and_fills_its_page(tmp_path, monkeypatch):
  small: Any = types.ModuleType('small', 'Measure little.')
  small.FLAGS, _ = study.new_flags()
  small.PAGE, small.__file__, small.block = tmp_path / 'page.md', 'small.py', lambda: f'{len(measured)} rows'
  small.PAGE.write_text('<!-- generated: python docs/studies/small.py -->\n<!-- end of generated -->\n')
  monkeypatch.setitem(sys.modules, 'small', small)
  measured: list[int] = []
  for flags in ([], ['--nomeasure']):
    monkeypatch.setattr(sys, 'argv', ['small.py', *flags])
    with pytest.raises(SystemExit, match=r'^0$'):
      study.run('small', lambda: measured.append(1))
    assert small.PAGE.read_text().splitlines()[2] == '1 rows'


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


def test_bytes_at_sockets_are_those_of_a_client_and_a_round_once_all_is_over(monkeypatch):
  class Processes:
    """In place of Flower's."""

    sent, received = collections.Counter({0: 900, 1: 300}), collections.Counter({0: 500, 1: 300})

    def __init__(self, *_: object):
      self.card = {'history': [{'clients': [0, 1]}, {'clients': [0, 1]}], 'later': None}
      self.start_link = self.start_node = self.run = self.close = lambda *_: None

    def wait(self, is_over) -> None:
      assert not is_over()
      self.card['later'] = [{'client': 0}]
      assert is_over()

  monkeypatch.setattr(federated.flower_processes, 'Processes', Processes)
  counted = federated._at_sockets({'method': 'lora', 'rank': 32}, pathlib.Path('windows'))
  assert counted == {'socket_to_client': 200, 'socket_from_client': 200}  # the adapter is sent once more
