"""Tables VI and VII, and what turning, the split and pretraining are worth: figures worked out by hand."""

from report_rows import cells

from har_jax.report import paper, sweeps

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
  (own,) = sweeps.rotation_std_deg(found)
  row = cells(own.rows, target='dsads')
  assert (row['as they are, macro-F1'], row['turned, macro-F1']) == ('0.810 ± 0.014', '0.840 ± 0.014')
  assert row['turned − as they are, points'] == '+3.0 ± 0.0'
  assert cells(own.rows, target='mean of targets')['turned − as they are, points'] == '+2.0'
  assert not [row for row in own.rows if row['method'] == 'lora']  # that was run turned alone
  assert 'deviation 10°' in own.caption
  assert '## What turned windows are worth' in paper.markdown(found, ['rotation'])


def test_nothing_turned_is_said(result):
  (own,) = sweeps.rotation_std_deg([result(), result(method='lora')])
  assert own.rows == []
  assert 'differ in finetune.rotation alone' in own.footnotes[0]


# --- leakage


def test_the_gap_of_splits_in_points(result):
  found = [
    result(split=split, normalize=normalize, seed=seed, macro_f1=f1)
    for split, normalize, figures in (
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
    'normalized on the whole dataset, against split by subject, normalized on the train part' in own.caption
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
  assert own.footnotes == ['Not run: wisdm lora all seeds (split subject, normalize train).']


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
