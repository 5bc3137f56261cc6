"""Tables II to V and their form: figures worked out by hand, nothing mixed, nothing made up."""

import pandas as pd
import pytest
from made_results import result
from report_rows import by_seed, cells, product, runs

from har_jax.report import groups, markdown, published, tables

DIFFERENCE = tables.DIFFERENCE
THEIRS = 'published macro-F1'


def sections2(results):
  return tables.table2(groups.experiments(runs(results)))


def table2(results):
  """The one section of Table II."""
  (section,) = sections2(results)
  return section


# --- II


def test_a_cell_is_mean_and_sample_deviation_over_seeds_of_which_one_has_none():
  (row,) = table2(by_seed('macro_f1', 0.80, 0.84, 0.88)).table.to_dict('records')
  # Mean .84; the squares of -.04, 0 and .04 sum to .0032; over n - 1 = 2 and rooted, .040 (over n, .033).
  assert row == {
    'target': 'wisdm',
    'method': 'full',
    'seeds': 'n=3',
    'accuracy': '0.850 ± 0.040',
    'macro-F1': '0.840 ± 0.040',
    'precision': '0.860 ± 0.040',
    'recall': '0.870 ± 0.040',
    'trainable': '1,234,567',
    'total': '2,345,678',
    'training, s': '11.0',  # of 10, 11 and 12
  }
  (row,) = table2([result(macro_f1=0.98)]).table.to_dict('records')
  assert (row['seeds'], row['macro-F1']) == ('n=1', '0.980')


def test_the_difference_to_full_is_paired_by_seed():
  full, lora = by_seed('macro_f1', 0.80, 0.90), by_seed('macro_f1', 0.79, 0.87, 0.10, method='lora')
  section = table2(full + lora)
  # -1 and -3 points: mean -2, deviation √2. Unpaired it would be -26.3; seed 2 of LoRA has no partner.
  assert cells(section.table, method='lora')[DIFFERENCE] == '-2.0 ± 1.4 (n=2)'
  assert cells(section.table, method='full')[DIFFERENCE] == '–'
  assert section.notes == ['Seeds not run: wisdm full 2.']


def test_a_difference_that_is_rounded_to_zero_is_not_negative():
  runs = [result(macro_f1=0.9000), result(method='lora', macro_f1=0.8999)]
  assert cells(table2(runs).table, method='lora')[DIFFERENCE] == '+0.0'


def test_methods_come_in_a_fixed_order_and_none_is_made_up():
  results = [result(method=method) for method in ('qlora', 'lora', 'full')]
  assert list(table2(results).table['method']) == ['full', 'lora', 'qlora']
  assert DIFFERENCE not in table2([result(method='lora')]).table


def test_the_mean_counts_each_target_once_and_needs_all():
  results = [
    result(target='wisdm', macro_f1=0.9),
    result(target='dsads', macro_f1=0.5),
    result(target='dsads', macro_f1=0.7, seed=1),
    result(target='dsads', macro_f1=0.6, method='lora'),
  ]
  section = table2(results)
  means = section.table[section.table['target'] == markdown.MEAN]
  assert list(means['method']) == ['full']
  assert list(means['macro-F1']) == ['0.750']  # of .9 and .6; over the three runs it would be .7
  assert section.notes == ['Seeds not run: dsads lora 1; wisdm full 1; wisdm lora 0, 1.']
  assert markdown.MEAN not in set(table2(results[:1]).table['target'])


def test_the_mean_difference_is_that_of_the_targets():
  results = [
    result(target=target, method=method, macro_f1=value)
    for target, full, lora in (('wisdm', 0.9, 0.88), ('dsads', 0.8, 0.79))
    for method, value in (('full', full), ('lora', lora))
  ]
  assert cells(table2(results).table, target=markdown.MEAN, method='lora')[DIFFERENCE] == '-1.5'


@pytest.mark.slow
@pytest.mark.parametrize(
  'other',
  [
    {'split': 'window'},
    {'label_budget': '0.1'},
    {'label_budget': '10/class'},
    {'lora_rank': 8, 'method': 'lora'},
    {'model_width': 96},
    {'checksum': 'sha256:bb'},
    {'sources': ('dsads',)},
  ],
  ids=str,
)
def test_runs_that_differ_are_never_averaged(other):
  results = [result(macro_f1=0.9, method=other.get('method', 'full')), result(macro_f1=0.5, seed=1, **other)]
  sections = sections2(results)
  assert sorted(section.table['macro-F1'][0] for section in sections) == ['0.500', '0.900']


def test_runs_without_adapters_join_the_most_frequent_adapters():
  parts = groups.experiments(runs([*by_seed('lora_rank', 8, 32, 32, 32, method='lora'), result()]))
  assert sorted(list(part['method']) for part in parts) == [['full', 'lora', 'lora', 'lora'], ['lora']]


def test_runs_without_adapters_join_those_of_their_own_experiment():
  frame = runs([*by_seed('lora_rank', 8, 2, 2, method='lora'), result()])
  frame['experiment'] = frame['lora_rank'].map({2: 'other'}).fillna('own')
  parts = groups.experiments(frame)
  assert sorted(list(part['method']) for part in parts) == [['full', 'lora'], ['lora', 'lora']]


def test_targets_with_other_sources_share_a_table():
  assert len(sections2([result(target='dsads'), result(target='hhar')])) == 1


def test_sections_are_sorted_by_split_and_from_the_most_labels():
  options = [
    {'split': 'window'},
    {'label_budget': '5/class'},
    {'label_budget': '10/class'},
    {'label_budget': '0.05'},
    {},
  ]
  titles = [section.title for section in sections2([result(**option) for option in options])]
  assert titles == [
    'Table II: study, subject-wise split, labels 0.7',
    'Table II: study, subject-wise split, labels 0.05',
    'Table II: study, subject-wise split, labels 10/class',
    'Table II: study, subject-wise split, labels 5/class',
    'Table II: study, window-wise split (optimistic), labels 0.7',
  ]


def test_published_figures_stand_next_to_the_same_target_and_budget():
  section = table2(product(target=('hhar', 'wisdm'), method=('full', 'probe'), split=['window']))
  assert cells(section.table, target='hhar', method='full')[THEIRS] == '0.980'
  assert {cells(section.table, target=name, method='probe')[THEIRS] for name in ('hhar', 'wisdm')} == {'–'}
  assert published.SOURCE in section.notes[0]
  for without in (
    table2([result(target='hhar', split='window', label_budget='0.1')]),
    table2([result(target='wisdm', split='window')]),
  ):
    assert THEIRS not in without.table
    assert without.notes == []


@pytest.mark.parametrize(
  ('target', 'split', 'figure', 'is_comparable', 'is_of_uci_har'),
  [
    ('hhar', 'subject', '0.980', False, False),
    ('hhar', 'window', '0.980', True, False),
    ('hapt', 'window', '0.969', True, True),
    ('ucihar', 'window', '0.969', True, False),
  ],
)
def test_a_note_says_with_what_published_figures_compare(target, split, figure, is_comparable, is_of_uci_har):
  section = table2([result(target=target, split=split)])
  assert section.table[THEIRS][0] == figure
  assert ('not comparable' not in section.notes[0]) == is_comparable
  assert ('hapt: published for UCI HAR v1, other windows' in section.notes[0]) == is_of_uci_har


# --- III and IV


def test_parameters_stand_next_to_the_published_ones():
  results = [result(method=method) for method in ('full', 'lora', 'probe')]
  (section,) = tables.table3(runs(results))
  row = cells(section.table, method='lora')
  assert (row['trainable'], row['total'], row['trainable fraction']) == ('1,234,567', '2,345,678', '52.6 %')
  assert (row['published trainable'], row['published total']) == ('428,832', '2,636,105')
  assert cells(section.table, method='full')['published total'] == '2,210,857'
  assert cells(section.table, method='probe')['published total'] == '–'
  assert "of the paper's model" in section.notes[0]


def test_models_and_adapters_have_rows_of_their_own():
  results = [
    result(),
    result(seed=1, model_width=96),
    result(method='lora'),
    result(method='lora', lora_rank=8),
    result(lora_rank=8, seed=2),
  ]
  (section,) = tables.table3(runs(results))
  assert section.table[['method', 'model_width', 'lora_rank']].to_numpy().tolist() == [
    ['full', '96', '–'],
    ['full', '192', '–'],  # whatever rank the other runs had
    ['lora', '192', '8'],
    ['lora', '192', '32'],
  ]


def test_heads_of_several_targets_make_a_range():
  other = result(target='dsads')
  other['parameters'] = {'trainable': 1234600, 'total': 4691356}
  other['data']['classes'] = ['walking', 'sitting', 'lying']
  other['test']['confusion'] = [[9, 1, 0], [2, 8, 0], [0, 0, 5]]
  (section,) = tables.table3(runs([result(), other]))
  row = cells(section.table, method='full')
  assert (row['classes'], row['trainable']) == ('2–3', '1,234,567–1,234,600')
  assert (row['total'], row['trainable fraction']) == ('2,345,678–4,691,356', '26.3 %–52.6 %')


def test_memory_by_its_use():
  full = result()
  full['bytes'] |= {'frozen': {}, 'optimizer': {'state': 2**19}}
  (section,) = tables.table4(runs([full, result(method='lora')]))
  row = cells(section.table, method='lora')
  # trainable: 1 of adapters and ½ of the head; 64 bytes of statistics.
  parts = ('frozen', 'trainable', 'buffers', 'optimizer')
  assert [row[f'{part}, MB'] for part in parts] == ['3.00', '1.50', '<0.01', '3.00']
  assert row['published frozen'] == '10.06'
  assert cells(section.table, method='full')['frozen, MB'] == '0.00'


def test_the_remark_on_the_published_memory_follows_from_its_counts():
  trainable, total = published.TABLE_III['lora',]
  assert f'{4 * total / 2**20:.2f}' == f'{published.TABLE_IV["lora",][0]:.2f}' == '10.06'
  assert f'{4 * trainable / 2**20:.2f}' == f'{published.TABLE_IV["lora",][1]:.2f}' == '1.64'
  assert f'{4 * (total - trainable) / 2**20:.2f}' == '8.42'
  assert f'{sum(published.TABLE_IV["qlora",][part] for part in (0, 2)):.2f}' == '11.04'
  assert f'{sum(published.TABLE_IV["lora",][part] for part in (0, 2)):.2f}' == '10.07'


def test_published_tables_hold_what_the_paper_holds():
  assert set(published.TABLE_V) == set(published.TABLE_II)
  seconds = {method: published.TABLE_V['pamap2', method, '0.7'][0] for method in ('full', 'lora', 'qlora')}
  assert seconds == {'full': 1170, 'lora': 1011, 'qlora': 1037}
  accuracy = {key[1:]: value for key, (value,) in published.TABLE_VII.items()}
  printed = {'0.7': 0.9847, '0.6': 0.9852, '0.5': 0.9859, '0.4': 0.9867, '0.3': 0.9869}
  ratios = {labels: accuracy['lora', labels] / accuracy['full', labels] for labels in printed}
  assert ratios == pytest.approx(printed, abs=1e-4)
  assert [rank for _, rank in published.TABLE_VI] == [8, 16, 20, 32, 48, 64]


# --- V


def test_the_ratio_of_seconds_is_paired_by_seed():
  full = by_seed('seconds', 10.0, 20.0, target='hhar')
  lora = by_seed('seconds', 5.0, 16.0, 99.0, target='hhar', method='lora')
  (section,) = tables.table5([runs(full + lora)])
  lora = cells(section.table, method='lora')
  # .5 and .8: mean .65, deviation .212; the means' ratio would be 40 / 15.
  assert (lora['÷ full'], lora['training, s']) == ('0.65 ± 0.21 (n=2)', '40.0 ± 51.4')
  assert (lora['published s'], lora['published ÷ full']) == ('2,505', '0.90')
  assert cells(section.table, method='full')['÷ full'] == '–'
  assert 'Seeds not run: hhar full 2.' in section.notes


@pytest.mark.parametrize('other', [{'device': {'kind': 'NVIDIA H100'}}, {'batch_runs': 3}], ids=str)
def test_seconds_of_other_conditions_make_no_ratio(other):
  (section,) = tables.table5([runs([result(), result(method='lora', **other)])])
  assert cells(section.table, method='lora')['÷ full'] == '–'


# --- what was run, and the form


def test_the_configuration_has_only_what_differs():
  lora = {'method': 'lora', 'lora_rank': 8, 'sources': ('dsads',)}
  others = ({'finetune_rotation_std_deg': 0.0}, lora, lora | {'lora_alpha': 1.0})
  results = [result(model_patch_size=32, model_stem=(), **entries) for entries in others]
  made = tables.configuration(
    pd.concat([runs(results[:1], 'still'), runs(results[1:], 'rotated')]).assign(seconds=1_800_000.0)
  )
  assert [section.title for section in made] == [
    *('Experiments', 'Common to all experiments', 'Data', 'Machines')
  ]
  experiments, common, data, machines = made
  assert experiments.table.to_dict('records') == [
    {'experiment': 'still', 'finetune_rotation_std_deg': '0.0'},
    {'experiment': 'rotated', 'finetune_rotation_std_deg': '10.0'},
  ]
  assert common.table.to_dict('records') == [
    {'field': 'model_patch_size', 'value': '32'},
    {'field': 'model_stem', 'value': 'none'},
    {'field': 'lora_rank', 'value': '8'},  # of the run that has one
    {'field': 'normalize', 'value': 'train'},
  ]
  row = cells(data.table, target='wisdm')
  assert (row['train windows'], row['test windows']) == ('600', '300')
  assert row['pretrained on'] == 'dsads; dsads hhar'
  assert row['test subjects'] == '0'
  machine = cells(machines.table, device='cpu (x86_64 host, 2 cores)')
  assert (machine['runs'], machine['hours of training']) == ('3', '1500.0')
  stems = pd.concat(
    [runs([result(model_stem=stem, model_patch_size=4)], f'{stem}') for stem in ((), (8, 16))]
  )
  assert tables.configuration(stems)[0].table['model_stem'].tolist() == ['none', '8,16']


@pytest.mark.slow
def test_markdown_has_all_tables():
  results = product(
    method=('full', 'lora', 'scratch'),
    split=('window', 'subject'),
    label_budget=('0.7', '0.1'),
    subjects=[{'a': 0.8, 'b': 0.7}],
  )
  everything = tables.text(tables.sections(runs(results)))
  assert [line for line in everything.splitlines() if line.startswith('## Leakage')] == [
    '## Leakage: study, labels 0.7',
    '## Leakage: study, labels 0.1',
  ]
  for title in ('Table II:', 'Table III.', 'Table IV.', 'Table V:', 'Table VII.', 'Pretraining', 'Ranks'):
    assert f'## {title}' in everything
  assert '## Table VI.' not in everything  # one rank


@pytest.mark.slow
def test_points_of_a_sweep_are_in_the_sweeps_table_alone():
  results = [
    *product(method=('full', 'lora')),
    *product(method=['lora'], lora_rank=(8, 16)),
    *product(method=['lora'], label_budget=('0.3', '5/class')),
  ]
  titles = [section.title for section in tables.sections(runs(results))['2']]
  assert titles == ['Table II: study, subject-wise split, labels 0.7']
  two = [result(), result(method='lora'), result(label_budget='0.1')]
  assert len(tables.sections(runs(two))['2']) == 2  # two values are no sweep


def test_a_section_is_heading_caption_table_and_notes():
  table = pd.DataFrame([{'target': 'a', 'macro-F1': '0.980'}])
  section = markdown.Section('Title', 'Caption.', table, ['A note.'])
  drawn = '| target   |   macro-F1 |\n|:---------|-----------:|\n| a        |      0.980 |'
  assert markdown.markdown([section]) == f'## Title\n\nCaption.\n\n{drawn}\n\nA note.\n'
  assert markdown.markdown([section, section]).count('Caption.') == 1
  other = markdown.Section('Other', 'Another.', table)
  assert markdown.markdown([section, other, section]).count('Caption.') == 2


def test_the_terminal_shows_table_ii_in_fewer_columns():
  results = product(target=['hhar'], method=('full', 'lora'), seed=(0, 1))
  text = tables.terminal(sections2(results))
  assert '0.900 ± 0.000' in text
  assert max(map(len, text.splitlines())) <= 110
