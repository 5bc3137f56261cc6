"""Result files and the table of all runs give the same rows, and lose nothing that tables need."""

import contextlib

import made_results
import msgspec
import pandas as pd
import pytest
from made_results import result
from report_rows import runs, write

from har_jax import config, records, results, storage
from har_jax.errors import UserError
from har_jax.report import csv_table, frame, tables


def test_a_row_holds_what_the_result_holds():
  content = result(
    method='lora',
    seed=2,
    macro_f1=0.123456789,
    subjects={'a b c': 0.5, 'd': 1 / 3},
    lora_rank=8,
    batch_runs=3,
    device={'count': 4},
  ) | {'step': 30}
  row = made_results.row(content, 'study', 'abc1234')
  assert tuple(row) == results.RUN_COLUMNS
  expected = {
    'experiment': 'study',
    'target': 'wisdm',
    'method': 'lora',
    'seed': 2,
    'split': 'subject',
    'label_budget': '0.7',
    'macro_f1': 0.123457,
    'accuracy': 0.133457,
    'precision': 0.143457,
    'recall': 0.153457,
    'seconds': 12.0,
    'pretraining_seconds': 105.0,  # all stages
    'frozen_bytes': 3 * 2**20,
    'trainable_bytes': 3 * 2**19,
    'statistics_bytes': 64,
    'optimizer_bytes': 3 * 2**20,
    'trained_parameters': 1234567,
    'total_parameters': 2345678,
    'num_classes': 2,
    'train_windows': 600,
    'validation_windows': 100,
    'test_windows': 302,
    'step': 30,
    'batch_runs': 3,
    'sources': 'dsads hhar',
    'device': '4 × cpu (x86_64 host, 2 cores)',
    'versions': 'har_jax=0.1.0 jax=0.10.2 python=3.11.7',
    'commit': 'abc1234',
    'lora_rank': 8,
    'model_head': '128',
    'finetune_rotation_std_deg': 10.0,
    'subject_macro_f1': 'a%20b%20c=0.5 d=0.333333',
    'confusion': '{"walking":[9,1],"sitting":[2,8]}',
  }
  assert {name: row[name] for name in expected} == expected


def test_every_hyperparameter_is_a_column():
  fields = sum(len(vars(part)) for part in vars(config.Experiment()).values())
  assert len(config.HYPERPARAMETERS) == fields
  assert set(config.HYPERPARAMETERS) <= set(results.RUN_COLUMNS)


def test_runs_without_adapters_do_not_depend_on_the_rank():
  one, other = (made_results.row(result(lora_rank=rank), 'study') for rank in (8, 32))
  assert one == other
  assert one['lora_rank'] is one['lora_targets'] is None


def test_a_table_of_runs_reads_back_as_the_results(tmp_path):
  folder = tmp_path / 'paper'
  made = [result(method=method, subjects={'1': 0.5}, label_budget='10/class') for method in ('lora', 'full')]
  write(folder / 'base', made)
  loaded = frame.load(folder)
  assert list(loaded['experiment']) == ['paper/base', 'paper/base']
  assert list(loaded['method']) == ['full', 'lora']
  assert list(loaded['bytes']) == [int(7.5 * 2**20) + 64] * 2
  assert loaded['result'][1] == msgspec.convert(made[0], records.Result)
  frame.to_csv(loaded, tmp_path / 'runs.csv')
  pd.testing.assert_frame_equal(frame.read_csv(tmp_path / 'runs.csv'), loaded.drop(columns='result'))


def test_a_run_without_a_stem_and_a_baseline_stay_apart_in_a_table(tmp_path):
  made = runs([result(model_stem=()), result(method='forest'), result(seed=1)])
  frame.to_csv(made, tmp_path / 'runs.csv')
  read = frame.read_csv(tmp_path / 'runs.csv').set_index(['method', 'seed'])['model_stem']
  assert read['full', 0] == ''
  assert read['full', 1] == '64,96,128,128'
  assert pd.isna(read['forest', 0])


def test_a_result_that_is_older_than_a_hyperparameter_was_made_without_it():
  old = result(normalize='train')
  for part, name in (('model', 'stem'), ('model', 'pooling'), ('finetune', 'time_warp_std')):
    del old['identity']['experiment'][part][name]
  row = made_results.row(old, 'study')
  assert (row['model_stem'], row['model_pooling'], row['finetune_time_warp_std']) == ('', 'mean', 0.0)


def test_rows_older_than_the_area_under_the_risk_curve_lack_it(tmp_path):
  risks = {'aurc': 0.0625, 'risk': [0.1] * 10}
  table = runs([result(seed=seed, selective=risks) for seed in (0, 1)])
  frame.to_csv(table, tmp_path / 'runs.csv')
  assert list(frame.read_csv(tmp_path / 'runs.csv')['aurc']) == [0.0625, 0.0625]
  csv_table.write(table[[name for name in results.RUN_COLUMNS if name != 'aurc']], tmp_path / 'old.csv')
  assert frame.read_csv(tmp_path / 'old.csv')['aurc'].isna().all()


def test_files_with_a_hyperparameter_that_is_gone_are_read_if_it_was_off(tmp_path):
  old = result()
  for steps, read in (
    (0, contextlib.nullcontext()),
    (150, pytest.raises(UserError, match='contrastive_steps')),
  ):
    old['identity']['experiment']['protocol']['contrastive_steps'] = steps
    write(tmp_path, [old])
    with read:
      assert len(frame.load(tmp_path)) == 1
    table = pd.DataFrame([made_results.row(result(), 'study') | {'contrastive_steps': steps}])
    csv_table.write(table[[*results.RUN_COLUMNS, 'contrastive_steps']], tmp_path / 'runs.csv')
    with read:
      assert len(frame.read_csv(tmp_path / 'runs.csv')) == 1
  csv_table.write(pd.concat([table.assign(contrastive_steps=0), table]), tmp_path / 'runs.csv')
  with pytest.raises(UserError, match='contrastive_steps'):
    frame.read_csv(tmp_path / 'runs.csv')


def test_an_experiment_of_a_folder_itself_has_its_name(tmp_path):
  write(tmp_path / 'lodo', [result()])
  assert list(frame.load(tmp_path / 'lodo')['experiment']) == ['lodo']
  assert list(frame.load(tmp_path / 'lodo' / 'wisdm')['experiment']) == ['wisdm']  # a target's folder


def test_appending_adds_new_runs_and_replaces_known_ones(tmp_path):
  table = tmp_path / 'runs.csv'
  frame.append(runs([result(seed=seed) for seed in (1, 0)], 'a'), table, 'aaaaaaa')
  again = [made_results.row(result(seed=1, macro_f1=0.5), 'a'), made_results.row(result(), 'b')]
  frame.append(frame.from_rows(again), table, 'bbbbbbb')
  rows = frame.read_csv(table)[['experiment', 'seed', 'macro_f1', 'commit']].to_numpy().tolist()
  assert rows == [['a', 0, 0.9, 'aaaaaaa'], ['a', 1, 0.5, 'bbbbbbb'], ['b', 0, 0.9, 'bbbbbbb']]


def test_appending_keeps_every_rank_of_a_sweep(tmp_path):
  made = runs([result(method='lora', lora_rank=rank) for rank in (8, 32)])
  frame.append(made, tmp_path / 'runs.csv', '')
  assert list(frame.read_csv(tmp_path / 'runs.csv')['lora_rank']) == [8, 32]


def _personalize(labels, subjects, after):
  """The record of subjects whose macro-F1 was a half before."""
  run = result(method='lora', seed=1)
  measured = [run['test'] | {'macro_f1': score, 'accuracy': score + 0.1} for score in (0.5, after)]
  windows = {'train': 3 * labels, 'test': 40}
  scores = {'windows': windows, **dict(zip(('before', 'after'), measured, strict=True))}
  return {
    'format': records.format_of(records.Personalization),
    'identity': run['identity'] | {'personal_labels': labels, 'personal_penalty': 10.0},
    'by_subject': dict.fromkeys(subjects, scores),
    'excluded': [],
    'seconds': 1.25,
    'versions': run['versions'],
    'device': run['device'],
  }


def test_appending_keeps_each_persons_scores_before_and_after_by_their_labels(tmp_path):
  personal = tmp_path / 'lodo' / 'wisdm' / 'lora' / 'subject' / 'labels-0.7' / 'seed1' / 'personal'
  for labels, subjects, after in ((2, '7', 0.6), (5, '78', 0.123456789), (2, '7', 0.75)):
    storage.write(personal / f'labels-{labels}-per-class.json', _personalize(labels, subjects, after))
    frame.append_personalization(storage.place(str(tmp_path / 'lodo')), tmp_path / 'personal.csv', 'aaaaaaa')
  rows = csv_table.read(tmp_path / 'personal.csv', {'subject': 'str', 'label_budget': 'str'})
  entries = ('experiment', 'seed', 'label_budget', 'subject', 'labels_per_class', 'train_windows')
  scores = ('macro_f1_before', 'macro_f1_after', 'accuracy_before', 'accuracy_after', 'seconds')
  assert rows[[*entries, *scores]].to_numpy().tolist() == [
    ['lodo', 1, '0.7', '7', 2, 6, 0.5, 0.75, 0.6, 0.85, 1.25],
    ['lodo', 1, '0.7', '7', 5, 15, 0.5, 0.123457, 0.6, 0.223457, 1.25],
    ['lodo', 1, '0.7', '8', 5, 15, 0.5, 0.123457, 0.6, 0.223457, 1.25],
  ]


@pytest.mark.parametrize(
  ('columns', 'message'),
  [
    (
      [*results.RUN_COLUMNS, 'mood'],
      'runs.csv is not .* version: columns missing: none; unknown: mood. Give one',
    ),
    (['subject', 'seed'], r'missing: accuracy, .*… \(\d+ characters\); unknown: subject\. Give one'),
    (results.RUN_COLUMNS[1:], f'missing: {results.RUN_COLUMNS[0]}; unknown: none'),
  ],
)
def test_a_table_with_other_columns_is_refused(tmp_path, columns, message):
  csv_table.write(pd.DataFrame(columns=list(columns)), tmp_path / 'runs.csv')
  with pytest.raises(UserError, match=message):
    frame.read_csv(tmp_path / 'runs.csv')


@pytest.mark.parametrize('column', ['seed', 'macro_f1', 'total_parameters'])
def test_a_table_with_a_word_for_a_number_is_refused(tmp_path, column):
  frame.to_csv(runs([result()]).astype({column: object}).assign(**{column: 'many'}), tmp_path / 'runs.csv')
  with pytest.raises(UserError, match=f'its column {column} has a cell that is no number'):
    frame.read_csv(tmp_path / 'runs.csv')


def test_a_table_that_is_older_than_hyperparameters_has_their_defaults(tmp_path):
  path, again = tmp_path / 'runs.csv', tmp_path / 'again.csv'
  frame.to_csv(runs([result(method=method) for method in ('full', 'lora', 'forest')]), path)
  defaults = {
    'classes': 'locomotion',
    'model_log_std': True,
    'finetune_time_warp_std': 0.0,
    'lora_start': 'zero',
  }
  table = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=[*defaults])
  table.to_csv(path, index=False)
  older = frame.read_csv(path)
  for row, depends_on in zip(older[[*defaults]].iloc, (1, 3, 4), strict=True):  # forest, full, lora
    assert row.dropna().to_dict() == dict(list(defaults.items())[:depends_on])
  frame.to_csv(older, again)
  pd.testing.assert_frame_equal(frame.read_csv(again), older)


def test_results_of_another_schema_version_are_refused(tmp_path):
  write(tmp_path, [result() | {'format': 'har_jax result 1'}])
  with pytest.raises(UserError, match=r'seed0.json has schema version 1, not 3; .* run it again'):
    frame.load(tmp_path)


# --- names in result files are text: no tag of HTML, no column of a table, no formula of a spreadsheet


def test_a_table_shows_a_tag_and_keeps_its_columns():
  text = tables.text(tables.sections(runs([result(target='<script>alert(1)</script>|a')])))
  assert '<script' not in text.replace(r'\<', '')
  rows = [line for line in text.splitlines() if 'alert(1)' in line and line.startswith('|')]
  assert rows
  assert all(r'\<script>alert(1)\</script>\|a' in row for row in rows)


def test_a_formula_in_the_table_of_runs_gets_an_apostrophe(tmp_path):
  frame.to_csv(runs([result(target='=1+1')]), tmp_path / 'runs.csv')
  assert ",'=1+1," in (tmp_path / 'runs.csv').read_text()
