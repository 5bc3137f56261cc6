"""Folders of results next to each other: what differs, and the difference paired by seed."""

import pytest
from in_process import refuse, succeed
from made_results import result
from report_rows import runs, write

from har_jax.errors import UserError
from har_jax.report import compare, frame


def _frame(scores: dict[int, float], *, method: str = 'lora', **flags) -> frame.pd.DataFrame:
  return runs([result(method=method, seed=seed, macro_f1=score, **flags) for seed, score in scores.items()])


def test_the_flags_that_differ_and_the_paired_difference_are_shown():
  folders = {
    'runs/rank8': _frame({0: 0.80, 1: 0.90}, lora_rank=8),
    'runs/rank32': _frame({0: 0.84, 1: 0.89, 2: 0.1}, lora_rank=32),
  }
  legend, settings, figures = compare.sections(folders)
  assert legend.notes == ['A: runs/rank8', 'B: runs/rank32']
  assert settings.table.to_dict('records') == [{'differs': 'lora_rank', 'A': '8', 'B': '32'}]
  (row,) = figures.table.to_dict('records')
  assert row == {
    'target': 'wisdm',
    'method': 'lora',
    'A': '0.850 ± 0.071',
    'B': '0.610 ± 0.442',
    'B − A, points': '+1.5 ± 3.5',  # of seeds 0 and 1, which both have
    'seeds with B > A': '1 of 2',
  }
  assert not figures.notes


def test_equal_settings_and_rows_of_one_folder_are_said():
  both = _frame({0: 0.8})
  more = frame.pd.concat([both, _frame({0: 0.7}, method='full')])
  _, settings, figures = compare.sections({'a': both, 'b': more})
  assert settings.notes == ['No hyperparameter differs, and the windows are the same.']
  assert list(figures.table['method']) == ['lora']
  assert figures.notes == ['1 row left out, which one folder has alone.']


def test_a_hyperparameter_that_differs_within_a_folder_is_a_column():
  budgets = frame.pd.concat([_frame({0: 0.8}, label_budget=budget) for budget in ('0.7', '10/class')])
  *_, settings, figures = compare.sections({'a': budgets, 'b': budgets[:1]})
  assert settings.table.to_dict('records') == [{'differs': 'label_budget', 'A': '0.7, 10/class', 'B': '0.7'}]
  assert list(figures.table['label_budget']) == ['0.7']


def test_each_folder_is_compared_with_the_first_in_rows_that_two_have():
  both = [
    frame.pd.concat([_frame({0: score}, method=method) for method in ('full', 'lora')])
    for score in (0.8, 0.7)
  ]
  *_, figures = compare.sections({'a': both[0], 'b': both[1], 'c': _frame({0: 0.9})})
  assert figures.table[['method', 'B − A, points', 'C − A, points']].to_numpy().tolist() == [
    ['full', '-10.0', '–'],
    ['lora', '-10.0', '+10.0'],
  ]


def test_other_splits_are_said():
  folders = {name: _frame({0: 0.8}, split=name) for name in ('subject', 'window')}
  assert any('splits differ' in note for note in compare.sections(folders)[2].notes)


@pytest.fixture
def folders(tmp_path) -> list[str]:
  for name, rank in (('a', 8), ('b', 32)):
    write(tmp_path / name, [result(method='lora', lora_rank=rank)])
  return [str(tmp_path / name) for name in 'ab']


def test_the_command_prints_a_comparison_and_writes_nothing(folders, tmp_path):
  out, err = succeed('report', *folders)
  assert err == ''
  assert 'lora_rank' in out
  assert sorted(path.name for path in tmp_path.rglob('*') if path.is_file()) == ['seed0.json'] * 2
  assert max(map(len, out.splitlines())) <= max(100, *(len(folder) + 3 for folder in folders))


def test_what_needs_one_folder_and_a_folder_given_twice_are_refused(folders):
  assert '--html needs one folder' in refuse('report', *folders, '--html')
  assert '--out needs one folder' in refuse('report', *folders, '--out=x')
  for given in ([0, 0], [0, 1, 0]):
    assert 'give each folder once' in refuse('report', *(folders[number] for number in given))


def test_more_folders_than_letters_are_refused():
  with pytest.raises(UserError, match='27 folders; give at most 26'):
    compare.sections({str(number): frame.pd.DataFrame() for number in range(27)})
