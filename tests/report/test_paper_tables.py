"""Tables III to VII and what the paper has none of: figures worked out by hand, nothing mixed, nothing made up."""

import copy
import re

import pytest

from har_jax import config
from har_jax.errors import UserError
from har_jax.report import paper, published, section, sweeps


def timed(found, seconds, **more):
  found = copy.deepcopy(found)
  found['seconds']['training'] = float(seconds)
  return found | more


def cells(rows, **where):
  (row,) = [row for row in rows if all(row[name] == value for name, value in where.items())]
  return row


def of_papers_model(found):
  theirs = config.to_json(config.PRESETS['paper']())
  found['identity']['experiment'] |= {'model': theirs['model'], 'lora': theirs['lora']}
  return found


# --- III, parameters


def test_parameters_stand_beside_the_published_ones(result):
  found = [of_papers_model(result(method=method)) for method in ('full', 'lora')]
  (own,) = paper.table3(found)
  row = cells(own.rows, method='lora')
  assert (row['trainable'], row['total'], row['trainable share']) == ('1,234,567', '2,345,678', '52.6 %')
  assert (row['published trainable'], row['published total']) == ('428,832', '2,636,105')
  assert row['adapters'].startswith('rank 32, alpha 32, on embed_acc')
  assert cells(own.rows, method='full')['published trainable'] == '2,210,857'
  assert own.footnotes == ['No results of qlora.']


def test_counts_of_another_model_say_so(result):
  (own,) = paper.table3([result(), result(method='probe')])
  assert cells(own.rows, method='full')['published total'] == '2,210,857¹'
  assert cells(own.rows, method='probe')['published total'] == '–'
  assert own.footnotes[0].startswith("¹ The published figures are of the paper's model (preset `paper`)")
  (without,) = paper.table3([result()], beside=False)
  assert not [name for name in without.rows[0] if 'ublished' in name]


def test_models_and_adapters_have_rows_of_their_own(result):
  wider = result(seed=1)
  wider['identity']['experiment']['model']['width'] = 256
  found = [result(), wider, result(method='lora'), result(method='lora', rank=8), result(rank=8, seed=2)]
  first, second = paper.table3(found)
  assert [(row['method'], row['adapters'][:7]) for row in first.rows] == [
    ('full', '–'),  # which rank the others had is nothing to it
    ('lora', 'rank 32'),
    ('lora', 'rank 8,'),
  ]
  assert 'width 256' in second.caption
  assert 'width 192' in first.caption


def test_a_model_with_descriptors_says_so(result):
  described = result(seed=1)
  described['identity']['experiment']['model']['descriptors'] = True
  captions = [own.caption for own in paper.table3([result(), described])]
  assert sorted('patches of 16 samples with descriptors, head 128' in text for text in captions) == [
    False,
    True,
  ]
  assert sum('patches of 16 samples, head 128' in text for text in captions) == 1


def test_heads_of_several_targets_make_a_range(result):
  other = result(target='dsads')
  other['parameters'] = {'trainable': 1234600, 'total': 2345678}
  other['data']['classes'] = ['walking', 'sitting', 'lying']
  (own,) = paper.table3([result(), other])
  assert (own.rows[0]['classes'], own.rows[0]['trainable']) == ('2–3', '1,234,567–1,234,600')


# --- IV, memory


def test_memory_by_what_it_is_for(result):
  found = result(method='lora')
  found['bytes']['optimizer'] = {'state': 3 * 2**20}
  (own,) = paper.table4([found])
  (row,) = own.rows
  # trainable: 1 of adapters and ½ of the head; 64 bytes of statistics.
  assert [row[f'{part}, MB'] for part in ('frozen', 'trainable', 'buffers', 'optimizer')] == [
    '3.00',
    '1.50',
    '<0.01',
    '3.00',
  ]
  assert row['published frozen'] == '10.06¹'
  assert any("10.06 'frozen' are all 2,636,105 weights" in note for note in own.footnotes)


def test_what_was_not_recorded_is_no_nought(result):
  (own,) = paper.table4([result(method='lora')])
  assert own.rows[0]['optimizer, MB'] == '–'
  full = result()
  full['bytes']['frozen'] = {}
  assert paper.table4([full])[0].rows[0]['frozen, MB'] == '0.00'


def test_the_remark_on_the_published_memory_is_what_the_counts_give():
  trainable, total = published.TABLE_III['lora']
  assert f'{4 * total / 2**20:.2f}' == f'{published.TABLE_IV["lora"][0]:.2f}' == '10.06'
  assert f'{4 * trainable / 2**20:.2f}' == f'{published.TABLE_IV["lora"][1]:.2f}' == '1.64'
  assert f'{4 * (total - trainable) / 2**20:.2f}' == '8.42'
  assert f'{sum(published.TABLE_IV["qlora"][part] for part in (0, 2)):.2f}' == '11.04'
  assert f'{sum(published.TABLE_IV["lora"][part] for part in (0, 2)):.2f}' == '10.07'
  assert f'{4 * total / 10**6:.2f}' == '10.54'


# --- V, seconds


def test_the_ratio_of_seconds_is_paired_by_seed(result):
  found = [
    *(timed(result(target='hhar', seed=seed), seconds) for seed, seconds in enumerate((10, 20))),
    *(
      timed(result(target='hhar', method='lora', seed=seed), seconds)
      for seed, seconds in enumerate((5, 16, 99))
    ),
  ]
  (own,) = paper.table5(found)
  lora = cells(own.rows, method='lora')
  # .5 and .8: mean .65, deviation .212; the means' ratio would be 40 / 15.
  assert (lora['÷ full'], lora['training, s']) == ('0.65 ± 0.21 (n=2)', '40.0 ± 51.4')
  assert (lora['published s'], lora['published ÷ full']) == ('2,505¹', '0.90')
  assert cells(own.rows, method='full')['÷ full'] == '–'
  assert 'Not run: hhar full seed 2.' in own.footnotes


def test_seconds_of_unlike_devices_make_no_ratio(result):
  other = result(method='lora')
  other['device']['kind'] = 'NVIDIA H100'
  assert cells(paper.table5([result(), other])[0].rows, method='lora')['÷ full'] == '–'
  together = timed(result(method='lora'), 5.0, side_by_side=3)
  (own,) = paper.table5([result(), together])
  assert cells(own.rows, method='lora')['÷ full'] == '–'
  assert 'Trained side by side in one program: 1–3 seeds' in own.caption


def test_seconds_stand_beside_those_of_the_same_target_and_budget_only(result):
  hapt = paper.table5([result(target='hapt')])[0]
  assert hapt.rows[0]['published s'] == '927¹ ²'
  assert 'HAPT' in hapt.footnotes[1]
  for without in (
    paper.table5([result(target='hapt', labels='0.1')]),
    paper.table5([result()]),
    paper.table5([result(target='hapt')], beside=False),
  ):
    assert 'published s' not in without[0].rows[0]


def test_a_target_without_a_method_has_a_row_that_says_so(result):
  (own,) = paper.table5([result(), result(method='lora'), result(target='dsads')])
  row = cells(own.rows, target='dsads', method='lora')
  assert (row['seeds'], row['training, s'], row['÷ full']) == ('not run', '–', '–')


# --- VI, rank


def test_ranks_rise_with_their_spread(result):
  found = [
    result(target='hapt', method='lora', rank=rank, seed=seed, macro_f1=f1)
    for rank, figures in ((64, (0.92, 0.96)), (8, (0.90,)))
    for seed, f1 in enumerate(figures)
  ]
  (own,) = sweeps.table6([*found, result(target='hapt', rank=8)])
  assert [row['rank'] for row in own.rows] == ['8', '64']
  row = cells(own.rows, rank='64')
  assert (row['macro-F1'], row['seeds'], row['training, s']) == ('0.940 ± 0.028', 'n=2', '10.5 ± 0.7')
  assert (row['published macro-F1'], row['published s']) == ('0.9649¹ ²', '1,049¹ ²')
  assert 'HAPT' in own.footnotes[1]


def test_a_sweep_of_ranks_differs_in_rank_alone(result):
  apart = [
    result(method='lora', rank=8),
    result(method='lora', rank=16, labels='0.1'),
    result(method='lora', rank=32, checksum='sha256:bb'),
    result(method='lora', rank=64, split='window'),
  ]
  (own,) = sweeps.table6(apart)
  assert own.rows == []
  assert own.footnotes == ['Nothing to show: no two experiments with LoRA differ in lora.rank alone.']
  (own,) = sweeps.table6([*apart, result(method='lora', rank=20)])
  assert [row['rank'] for row in own.rows] == ['8', '20']
  assert own.title == 'Table VI. Rank of LoRA, split by subject, labels 0.7'
  assert 'published s' not in own.rows[0]  # wisdm is none of theirs


def test_a_rank_that_a_target_lacks_is_shown_missing(result):
  found = [
    result(method='lora', rank=8),
    result(method='lora', rank=16),
    result(method='lora', rank=8, target='dsads'),
  ]
  (own,) = sweeps.table6(found)
  row = cells(own.rows, target='dsads', rank='16')
  assert (row['seeds'], row['macro-F1'], row['trainable']) == ('not run', '–', '–')
  assert own.footnotes == ['Not run: dsads lora all seeds (rank 16).']


# --- VII, labels


def test_the_ratio_of_accuracies_is_paired_by_seed(result):
  found = [
    result(target='ucihar', method=method, seed=seed, macro_f1=f1, labels=labels)
    for labels in ('0.7', '0.1')
    for method, figures in (('full', (0.79, 0.89)), ('lora', (0.59, 0.89)))
    for seed, f1 in enumerate(figures)
  ]
  (own,) = sweeps.table7(found)
  assert [row['labels'] for row in own.rows] == ['0.7', '0.1']
  row = cells(own.rows, labels='0.7')
  assert (row['full accuracy'], row['lora accuracy']) == ('0.850 ± 0.071', '0.750 ± 0.212')
  # Accuracies are .01 higher: .6 / .8 = .75 and 1; mean .875, deviation .1768. .75 / .85 would be .882.
  assert row['lora ÷ full, accuracy'] == '0.8750 ± 0.1768'
  assert row['published accuracy: full / lora / ratio'] == '0.9676 / 0.9528 / 0.9847¹'
  assert cells(own.rows, labels='0.1')['published accuracy: full / lora / ratio'] == '–'
  assert 'No results of qlora.' in own.footnotes


def test_labels_go_from_many_to_few_and_splits_apart(result):
  budgets = ('5/class', '0.01', '0.7', '10/class', '0.05')
  found = [result(labels=labels, split=split) for labels in budgets for split in ('window', 'subject')]
  by_subject, by_window = sweeps.table7(found)
  assert [row['labels'] for row in by_subject.rows] == ['0.7', '0.05', '0.01', '10/class', '5/class']
  assert by_subject.title == 'Table VII. Labels, split by subject'
  assert by_window.title == 'Table VII. Labels, split by window (optimistic)'
  assert 'No results of lora, qlora.' in by_window.footnotes
  assert by_subject.rows[0]['lora ÷ full, accuracy'] == '–'


def test_a_target_that_was_hardly_swept_has_rows_of_what_was_run(result):
  budgets = ('0.7', '0.5', '0.3', '0.1', '5/class')
  found = [
    *(result(method=method, labels=labels) for method in ('full', 'lora') for labels in budgets),
    *(result(target='dsads', method=method, labels='0.7') for method in ('full', 'lora', 'qlora')),
    result(target='hhar', labels='0.7', seed=1),
  ]
  (own,) = sweeps.table7(found)
  assert [row['labels'] for row in own.rows if row['target'] == 'dsads'] == ['0.7']
  assert [row['labels'] for row in own.rows if row['target'] == 'wisdm'] == list(budgets)
  assert {row['seeds'] for row in own.rows} == {'n=1'}  # of the methods that were run
  (said,) = [text for text in own.footnotes if text.startswith('Not run: ')]
  assert 'dsads full, lora, qlora all seeds (all but labels 0.7)' in said
  assert 'wisdm qlora all seeds' in said
  assert 'wisdm full, lora seed 1 (labels 0.7)' in said


def test_one_budget_is_no_sweep(result):
  (own,) = sweeps.table7([result(), result(method='lora')])
  assert own.rows == []


def test_sweeps_that_differ_otherwise_name_what_sets_them_apart(result):
  found = [result(labels=labels, rank=rank) for labels in ('0.7', '0.1') for rank in (8, 32)]
  captions = [own.caption for own in sweeps.table7(found)]
  assert sorted('sets this one apart: lora.rank 32.' in text for text in captions) == [False, True]
  assert sum('sets this one apart: lora.rank 8.' in text for text in captions) == 1


# --- rotation


def turned(found, degrees=10.0):
  experiment = found['identity']['experiment']
  experiment['finetune'] = experiment['finetune'] | {'rotation': degrees}
  return found


def test_what_turning_gives_in_points(result):
  still = {'dsads': (0.80, 0.82), 'hapt': (0.90, 0.90)}
  found = [
    result(target=target, seed=seed, macro_f1=f1)
    for target, of in still.items()
    for seed, f1 in enumerate(of)
  ]
  found += [
    turned(result(target=target, seed=seed, macro_f1=f1 + gain))
    for (target, of), gain in zip(still.items(), (0.03, 0.01), strict=True)
    for seed, f1 in enumerate(of)
  ]
  found += [turned(result(target='hapt', method='lora')), turned(result(split='window'))]
  (own,) = sweeps.rotation(found)
  row = cells(own.rows, target='dsads')
  assert (row['as they are, macro-F1'], row['turned, macro-F1']) == ('0.810 ± 0.014', '0.840 ± 0.014')
  assert row['turned − as they are, points'] == '+3.0 ± 0.0'
  assert cells(own.rows, target='mean of targets')['turned − as they are, points'] == '+2.0'
  assert not [row for row in own.rows if row['method'] == 'lora']  # that was run turned alone
  assert 'deviation 10°' in own.caption
  assert '## What turned windows are worth' in paper.markdown(found, ['rotation'])


def test_nothing_turned_is_said(result):
  (own,) = sweeps.rotation([result(), result(method='lora')])
  assert own.rows == []
  assert 'differ in finetune.rotation alone' in own.footnotes[0]


# --- leakage


def test_the_gap_of_splits_in_points(result):
  found = [
    result(split=split, normalise=normalise, seed=seed, macro_f1=f1)
    for split, normalise, figures in (
      ('window', 'dataset', (0.96, 0.98, 0.50)),
      ('subject', 'train', (0.90, 0.88)),
    )
    for seed, f1 in enumerate(figures)
  ]
  (own,) = sweeps.leakage(found)
  (row,) = own.rows
  # 6 and 10 points; seed 2 was not run by subject.
  assert row['window − subject, points'] == '+8.0 ± 2.8 (n=2)'
  assert (row['by subject, macro-F1'], row['seeds']) == ('0.890 ± 0.014', 'n=2–3')
  assert (
    'normalised on the whole dataset, against split by subject, normalised on the train part' in own.caption
  )
  assert own.title == 'What a split by window gives away, labels 0.7'
  assert 'No results of lora.' in own.footnotes


def test_splits_of_other_experiments_are_not_compared(result):
  (own,) = sweeps.leakage([result(split='window', rank=8), result()])
  assert own.rows == []


def test_a_method_run_by_window_alone_has_no_gap(result):
  (own,) = sweeps.leakage([result(split='window'), result(), result(split='window', method='lora')])
  row = cells(own.rows, method='lora')
  assert (row['by window, macro-F1'], row['by subject, macro-F1'], row['window − subject, points']) == (
    '0.900',
    '–',
    '–',
  )
  assert own.footnotes == ['Not run: wisdm lora all seeds (split subject, normalise train).']


# --- pretraining


def test_what_pretraining_is_worth_by_budget_and_on_average(result):
  found = [
    result(target=target, method=method, labels=labels, macro_f1=f1)
    for target, labels, figures in (
      ('wisdm', '0.7', (0.90, 0.88, 0.80)),
      ('dsads', '0.7', (0.70, 0.66, 0.68)),
      ('wisdm', '0.1', (0.80, 0.79, 0.60)),
    )
    for method, f1 in zip(('full', 'lora', 'scratch'), figures, strict=True)
  ]
  (own,) = sweeps.pretraining(found)
  row = cells(own.rows, target='wisdm', labels='0.1')
  assert (row['full − scratch, points'], row['lora − scratch, points']) == ('+20.0', '+19.0')
  mean = cells(own.rows, target='mean of targets', labels='0.7')
  assert (mean['full − scratch, points'], mean['lora − scratch, points']) == (
    '+6.0',
    '+3.0',
  )  # of 10, 2; 8, -2
  # dsads was not run with few labels, so there is no mean over targets.
  assert [row['labels'] for row in own.rows if row['target'] == 'mean of targets'] == ['0.7']
  assert cells(own.rows, target='dsads', labels='0.1')['seeds'] == 'not run'


def test_without_scratch_there_is_no_telling(result):
  (own,) = sweeps.pretraining([result(), result(method='lora')])
  assert own.rows == []
  assert 'was not run' in own.footnotes[0]


# --- Markdown


def test_markdown_has_the_tables_asked_for(result):
  found = [
    result(method=method, split=split, labels=labels, test_by_subject={'a': 0.8, 'b': 0.7})
    for method in ('full', 'lora', 'scratch')
    for split in ('window', 'subject')
    for labels in ('0.7', '0.1')
  ]
  text = paper.markdown(found, ['leakage', '3', '3'])
  assert [line for line in text.splitlines() if line.startswith('#')] == [
    '## What a split by window gives away, labels 0.7',
    '## What a split by window gives away, labels 0.1',
    '## Table III. Parameters',
  ]
  assert '1,234,567 |' in text
  everything = paper.markdown(found)
  for told in (
    'Table II)',
    'Table IV.',
    'Table V.',
    'Table VI.',
    'Table VII.',
    'pretraining is worth',
    'can show',
  ):
    assert told in everything
  with pytest.raises(UserError, match='no table 9; one of 2, 3'):
    paper.markdown(found, ['9'])


def test_a_sweeps_points_are_in_the_sweeps_table_alone(result):
  found = [
    *(result(method=method) for method in ('full', 'lora')),
    *(result(method='lora', rank=rank) for rank in (8, 16)),
    *(result(method='lora', labels=labels) for labels in ('0.3', '5/class')),
  ]
  text = paper.markdown(found)
  headings = [line for line in text.splitlines() if line.startswith('## Table')]
  assert [line for line in headings if line.startswith(('## Table 1', '## Table 2', '## Table V.'))] == [
    '## Table 1. Split by subject, labels 0.7',
    '## Table V. Seconds of training, split by subject, labels 0.7',
  ]
  assert '\n4 runs more, points of sweeps over rank or labels, are in Tables VI and VII.\n' in text
  assert all(re.search(rf'\| wisdm +\| +{point} ', text) for point in ('0.3', '5/class', '16', '8'))
  assert 'Table 4. Split by subject, labels 5/class' in paper.markdown(found[:4] + found[5:], ['2', '7'])


def test_two_budgets_are_no_sweep_and_keep_their_tables(result):
  found = [result(), result(method='lora'), result(labels='0.1')]
  text = paper.markdown(found)
  assert '## Table 2. Split by subject, labels 0.1' in text
  assert 'runs more' not in text


def test_a_section_is_heading_caption_table_and_footnotes():
  own = section.Section('Title', 'Said.', [{'target': 'a', 'macro-F1': '0.980'}], ['¹ A note.'])
  assert section.markdown([own]) == (
    '## Title\n\nSaid.\n\n| target   |   macro-F1 |\n|:---------|-----------:|\n| a        |      0.980 |\n\n¹ A note.\n'
  )


def test_published_tables_hold_what_the_paper_holds():
  assert set(published.TABLE_V) == set(published.TABLE_II)
  assert published.TABLE_V['pamap2'] == {'full': 1170, 'lora': 1011, 'qlora': 1037}
  printed = [0.9847, 0.9852, 0.9859, 0.9867, 0.9869]
  assert [lora / full for full, lora in published.TABLE_VII.values()] == pytest.approx(printed, abs=1e-4)
  assert list(published.TABLE_VI) == [8, 16, 20, 32, 48, 64]
