"""Table II: means and deviations worked out by hand, and nothing averaged that should not be."""

import pathlib
import subprocess
import sys

import pytest

from har_jax.errors import UserError
from har_jax.report import published, tables

ROOT = pathlib.Path(__file__).parents[2]


def rows(markdown: str, number: int = 1) -> list[dict[str, str]]:
  """The cells of one of the Markdown tables; of a group the figures are the first, memory the second."""
  blocks = [block for block in markdown.split('\n\n') if block.startswith('|')]
  header, _, *lines = [
    [cell.strip() for cell in line.strip('|').split('|')] for line in blocks[number - 1].splitlines()
  ]
  return [dict(zip(header, line, strict=True)) for line in lines]


def by_method(markdown: str, target: str, number: int = 1) -> dict[str, dict[str, str]]:
  return {row['method']: row for row in rows(markdown, number) if row['target'] == target}


def test_a_cell_is_mean_and_sample_deviation_over_seeds(result):
  markdown = tables.table2(
    [result(seed=seed, macro_f1=value) for seed, value in enumerate((0.80, 0.84, 0.88))]
  )
  (row,) = rows(markdown)
  # Mean .84; the squares of -.04, 0 and .04 sum to .0032; over n - 1 = 2 and rooted, .040 (over n, .033).
  assert row['macro-F1'] == '0.840 ± 0.040'
  assert (row['accuracy'], row['precision'], row['recall']) == (
    '0.850 ± 0.040',
    '0.860 ± 0.040',
    '0.870 ± 0.040',
  )
  assert (row['seeds'], row['trainable'], row['total']) == ('n=3', '1,234,567', '2,345,678')
  assert row['training, s'] == '11.0'  # of 10, 11 and 12


def test_one_seed_has_no_deviation(result):
  (row,) = rows(tables.table2([result(macro_f1=0.98)]))
  assert (row['seeds'], row['macro-F1']) == ('n=1', '0.980')


def test_the_difference_to_full_is_paired_by_seed(result):
  full = [result(seed=seed, macro_f1=value) for seed, value in enumerate((0.80, 0.90))]
  lora = [result(method='lora', seed=seed, macro_f1=value) for seed, value in enumerate((0.79, 0.87, 0.10))]
  cells = {
    name: row['macro-F1 − full, points']
    for name, row in by_method(tables.table2(full + lora), 'wisdm').items()
  }
  # -1 and -3 points: mean -2, deviation √2. Unpaired it would be -26.3; seed 2 of LoRA has no partner.
  assert cells == {'full': '–', 'lora': '-2.0 ± 1.4 (n=2)'}


def test_methods_come_in_a_fixed_order_and_none_is_made_up(result):
  found = [result(method=method) for method in ('qlora', 'lora', 'full')]
  assert [row['method'] for row in rows(tables.table2(found))] == ['full', 'lora', 'qlora']
  (row,) = rows(tables.table2([result(method='lora')]))
  assert 'macro-F1 − full, points' not in row


def test_the_mean_counts_each_target_once_and_needs_every_target(result):
  found = [
    result(target='wisdm', macro_f1=0.9),
    result(target='dsads', macro_f1=0.5),
    result(target='dsads', macro_f1=0.7, seed=1),
    result(target='dsads', macro_f1=0.6, method='lora'),
  ]
  markdown = tables.table2(found)
  mean = by_method(markdown, 'mean of targets')
  assert list(mean) == ['full']
  assert mean['full']['macro-F1'] == '0.750'  # of .9 and .6; over the three runs it would be .7
  assert 'Seeds not run: dsads lora 1; wisdm full 1; wisdm lora all.' in markdown
  assert not by_method(tables.table2(found[:1]), 'mean of targets')


def test_the_mean_difference_is_that_of_the_targets(result):
  found = [
    result(target=target, method=method, macro_f1=value)
    for target, full, lora in (('wisdm', 0.9, 0.88), ('dsads', 0.8, 0.79))
    for method, value in (('full', full), ('lora', lora))
  ]
  assert by_method(tables.table2(found), 'mean of targets')['lora']['macro-F1 − full, points'] == '-1.5'


@pytest.mark.parametrize(
  'other',
  [{'split': 'window'}, {'labels': '0.1'}, {'labels': '10/class'}, {'rank': 8}, {'checksum': 'sha256:bb'}],
  ids=str,
)
def test_what_differs_is_never_averaged(result, other):
  markdown = tables.table2([result(macro_f1=0.9), result(macro_f1=0.5, seed=1, **other)])
  values = [rows(markdown, number)[0]['macro-F1'] for number in (1, 3)]
  assert sorted(values) == ['0.500', '0.900']


def test_two_experiments_of_one_split_and_budget_name_what_sets_them_apart(result):
  markdown = tables.table2([result(), result(rank=8), result(labels='0.1')])
  first, second, third = markdown.split('\n## ')[1:]
  assert 'what sets this one apart: lora.rank 32.' in first
  assert 'what sets this one apart: lora.rank 8.' in second
  assert 'sets this one apart' not in third
  windows = tables.table2([result(), result(checksum='sha256:bb')])
  assert 'windows.wisdm.checksum sha256:bb' in windows


def test_other_pretraining_of_the_same_target_is_another_experiment(result):
  fewer = result(seed=1)
  del fewer['identity']['windows']['hhar']
  first, second = tables.table2([result(), fewer]).split('\n## ')[1:]
  assert 'what sets this one apart: sources.wisdm dsads, hhar.' in first
  assert 'what sets this one apart: sources.wisdm dsads.' in second


def test_targets_that_pretrain_on_each_other_share_a_table(result):
  assert tables.table2([result(target='dsads'), result(target='hhar')]).count('\n## ') == 1


def test_subjects_come_before_windows_and_many_labels_before_few(result):
  options = [
    {'split': 'window'},
    {'labels': '5/class'},
    {'labels': '10/class'},
    {'labels': '0.05'},
    {'labels': '0.7'},
  ]
  markdown = tables.table2([result(**each) for each in options])
  titles = [line.partition('. ')[2] for line in markdown.splitlines() if line.startswith('## ')]
  assert titles == [
    'Split by subject, labels 0.7',
    'Split by subject, labels 0.05',
    'Split by subject, labels 10/class',
    'Split by subject, labels 5/class',
    'Split by window (optimistic), labels 0.7',
  ]


def test_a_run_given_twice_is_refused(result):
  with pytest.raises(UserError, match=r'two results of wisdm, full, seed 0'):
    tables.table2([result(), result(macro_f1=0.8)])


@pytest.mark.parametrize('show', [tables.table2, tables.terminal])
def test_a_split_by_window_is_called_optimistic_and_why(result, show):
  told = ' '.join(show([result(split='window')]).split())
  assert 'so optimistic: neighboring windows overlap by half and land on both sides of the split' in told
  assert 'optimistic' not in show([result()])


def test_the_caption_tells_what_was_run(result):
  changed = result(seed=1)
  changed['identity']['experiment']['finetune'] = {'epochs': 50.0, 'max_steps': 60, 'patience': 4}
  markdown = tables.table2([changed])
  for told in (
    'Labels: 0.7 of all windows. Normalized on the train part. Classes: locomotion.',
    'wisdm (pocket): 2 classes; 600 labeled windows to train and 100 to validate on;',
    'tested on 301 windows of 2 subjects;',
    'pretrained on dsads, hhar.',
    '6 blocks of width 192',
    'Fine-tuning: 50 epochs, 60 steps at most, ended after 4 validations without gain, the best kept.',
    'Seeds: 1.',
    'Device: cpu (x86_64 host, 2 cores). Versions: har_jax 0.1.0, jax 0.10.2.',
  ):
    assert told in markdown
  assert 'tested on 300–301 windows' in tables.table2([result(), result(seed=1)])


def test_mixed_devices_and_versions_are_told(result):
  other = result(seed=1)
  other['device'] |= {'kind': 'NVIDIA H100', 'host_cores': 16, 'count': 2}
  other['versions'] |= {'jax': '0.12.0'}
  markdown = tables.table2([result(), other])
  assert (
    'Device: mixed, so seconds do not compare: 2 × NVIDIA H100 (x86_64 host, 16 cores) in 1 of 2 runs, '
    'cpu (x86_64 host, 2 cores) in 1 of 2 runs.'
  ) in markdown
  assert 'jax mixed: 0.10.2 in 1 of 2 runs, 0.12.0 in 1 of 2 runs' in markdown


# --- published figures


def test_published_figures_stand_beside_ours_where_they_are_of_the_same_target_and_budget(result):
  column = 'published, by window: accuracy / macro-F1 / precision / recall'
  found = [
    result(target=target, method=m, split='window') for target in ('hhar', 'wisdm') for m in ('full', 'probe')
  ]
  markdown = tables.table2(found)
  cells = {(row['target'], row['method']): row[column] for row in rows(markdown)}
  assert cells['hhar', 'full'] == '0.981 / 0.980 / 0.981 / 0.981'
  assert cells['hhar', 'probe'] == cells['wisdm', 'full'] == '–'
  assert published.SOURCE in markdown
  for without in (
    tables.table2(found, beside=False),
    tables.table2([result(target='hhar', split='window', labels='0.1')]),
    tables.table2([result(target='wisdm', split='window')]),
  ):
    assert 'ublished' not in without


def test_beside_a_split_by_subject_published_figures_are_called_not_comparable(result):
  note = 'Not comparable with this split; see a table by window.'
  assert note in tables.table2([result(target='hhar')])
  assert note not in tables.table2([result(target='hhar', split='window')])


def test_hapt_is_not_passed_off_as_uci_har(result):
  note = (
    "¹ Published for UCI HAR; HAPT holds the same recordings, but its windows are not UCI HAR v1's windows."
  )
  markdown = tables.table2([result(target='hapt', split='window')])
  assert note in markdown
  assert '0.968 / 0.969 / 0.970 / 0.971¹' in markdown
  assert '0.969¹' in tables.terminal([result(target='hapt', split='window')])
  assert '¹' not in tables.table2([result(target='ucihar', split='window')])


def test_every_published_target_has_all_three_methods():
  assert set(published.TABLE_II) == {'hhar', 'realworld', 'pamap2', 'motionsense', 'ucihar'}
  assert all(list(methods) == ['full', 'lora', 'qlora'] for methods in published.TABLE_II.values())


# --- memory, seconds, the terminal


def test_memory_is_by_collection_in_mebibytes(result):
  full = result()
  full['bytes'] = {'frozen': {}, 'trainable': {'params': 2 * 2**20}, 'statistics': {'batch_stats': 64}}
  memory = {row['method']: row for row in rows(tables.table2([full, result(method='lora')]), 2)}
  assert memory['lora'] == {
    'method': 'lora',
    'trainable weights': '1,234,567',
    'total weights': '2,345,678',
    'frozen params': '3.00',
    'statistics batch_stats': '<0.01',
    'trainable lora': '1.00',
    'trainable params': '0.50',
    'all': '4.50',
  }
  assert (memory['full']['frozen params'], memory['full']['all']) == ('–', '2.00')


def test_heads_of_other_sizes_make_a_range(result):
  other = result(target='dsads')
  other['parameters'] = {'trainable': 1234600, 'total': 2345678}
  (row,) = rows(tables.table2([result(), other]), 2)
  assert (row['trainable weights'], row['total weights']) == ('1,234,567–1,234,600', '2,345,678')


def test_a_shared_pretraining_is_timed_once(result):
  found = [result(), result(method='lora'), result(split='window'), result(target='dsads')]
  # Four runs of 10 s; the pretraining of wisdm and that of dsads.
  assert 'Seconds: 240 in all; 40 of training in 4 runs, 200 of pretraining in 2.' in tables.table2(found)


def test_a_start_from_scratch_is_no_pretraining(result):
  scratch = result(method='scratch')
  scratch['seconds']['pretraining'] = 0.0
  assert '10 of training in 1 runs, 0 of pretraining in 0.' in tables.table2([scratch])
  assert '100 of pretraining in 1.' in tables.table2([scratch, result()])


def test_a_single_core_is_one(result):
  found = result()
  found['device']['host_cores'] = 1
  assert 'Device: cpu (x86_64 host, 1 core).' in tables.table2([found])


def test_pretraining_that_went_on_is_told_and_timed_once_a_seed(result):
  found = [result(method=method, seed=seed) for method in ('full', 'lora') for seed in (0, 1)]
  for each in found:
    each['identity']['experiment']['protocol']['continued_pretraining_steps'] = 400
    each['seconds']['continued'] = 30.0 + each['identity']['seed']
  text = tables.table2(found)
  assert ', then 400 steps on the target’s own train part, labels unseen. Fine-tuning' in text
  assert 'of training in 4 runs, 161 of pretraining in 3.' in text
  assert 'labels unseen' not in tables.table2([result()])
  for each in found:
    each['identity']['experiment']['protocol']['supervised_pretraining_steps'] = 600
    each['seconds']['labeled'] = 30.0 + each['identity']['seed']
  text = tables.table2(found)
  assert (
    'labels unseen, then 600 steps that tell its sources’ activities apart by their labels. Fine-tuning'
    in text
  )
  assert 'of training in 4 runs, 222 of pretraining in 5.' in text
  assert 'times: each end labels' not in text


def test_self_training_is_told(result):
  found = result()
  found['identity']['experiment']['protocol']['self_training'] = 1
  told = 'Fine-tuning: 50 epochs, made 2 times: each end labels windows, its target’s and its sources’, for the next.'
  assert told in tables.table2([found])


def test_the_terminal_shows_the_same_figures_in_fewer_columns(result):
  found = [
    result(target='hhar', method=method, seed=seed, split='window')
    for method in ('full', 'lora')
    for seed in (0, 1)
  ]
  text = tables.terminal(found)
  assert '0.900 ± 0.000' in text
  assert '0.980' in text  # published macro-F1
  assert max(map(len, text.splitlines())) <= 130


def test_reports_need_no_jax():
  code = 'import sys, har_jax.report.tables; print({"jax", "pandas", "numpy", "tabulate"} & set(sys.modules))'
  done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
  assert done.stdout.strip() == 'set()'
