"""Tables III to V, and their form: figures worked out by hand, nothing mixed, nothing made up."""

import re

import pytest
from report_rows import cells, timed

from har_jax import config, config_fields
from har_jax.errors import UserError
from har_jax.report import paper, published, section


def of_papers_model(found):
  theirs = config_fields.to_json(config.PRESETS['paper']())
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
