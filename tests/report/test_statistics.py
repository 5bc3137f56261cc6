"""Differences told from chance: small numbers worked out by hand, and what happens with too few of them."""

import numpy as np
import pytest
from report_rows import one_group, runs_of, six
from scipy import stats

from har_jax.report import significance, statistics

# --- pairs


def test_a_subject_counts_once_however_many_seeds_tested_him(result):
  full = runs_of(result, 'full', {'a': 0.80, 'b': 0.60}, {'a': 0.90})
  lora = runs_of(result, 'lora', {'a': 0.82, 'b': 0.50}, {'a': 0.86, 'c': 0.95}, {'a': 0.10})
  group = one_group(full + lora)
  pairs = statistics.by_subject([group.runs['wisdm', 'lora'], group.runs['wisdm', 'full']])
  # a: (82 + 86) / 2 and (80 + 90) / 2. c was never tested with full, nor a under seed 2.
  assert pairs == {'a': (84.0, 85.0), 'b': (50.0, 60.0)}
  (compared,) = statistics.compare(group)
  assert (compared.n, compared.difference.mean, compared.better_on) == (2, -5.5, 0)  # of -1 and -10


def test_subjects_of_the_same_name_in_two_targets_are_two(result):
  found = [
    result(target=target, method=method, test_by_subject={'1': f1})
    for target, full, lora in (('wisdm', 0.8, 0.7), ('dsads', 0.9, 0.88))
    for method, f1 in (('full', full), ('lora', lora))
  ]
  by_target = {each.target: each for each in statistics.compare(one_group(found))}
  assert list(by_target) == ['dsads', 'wisdm', statistics.POOLED]
  assert (by_target[statistics.POOLED].n, by_target[statistics.POOLED].difference.mean) == (2, -6.0)


def test_a_missing_method_is_named_and_no_figure_made_up(result):
  found = [
    *runs_of(result, 'full', six(80, 70)),
    *runs_of(result, 'lora', six(79, 69)),
    *runs_of(result, 'full', six(80, 70), target='dsads'),
  ]
  by_target = {each.target: each for each in statistics.compare(one_group(found))}
  assert by_target['dsads'].notes == ('not run: lora',)
  assert (by_target['dsads'].n, by_target['dsads'].difference, by_target['dsads'].verdict) == (0, None, '–')
  assert (by_target[statistics.POOLED].n, by_target[statistics.POOLED].notes[0]) == (2, 'without dsads')
  against, *_ = significance.sections(found)
  assert (against.rows[0]['verdict'], against.rows[0]['macro-F1 − full, points']) == ('– ¹', '–')
  assert '¹ Not run: lora.' in against.footnotes
  assert 'No results of qlora.' in against.footnotes
  assert 'Not run: dsads lora all seeds.' in against.footnotes


def test_without_full_there_is_nothing_to_compare_with(result):
  against, levels, *_ = significance.sections(runs_of(result, 'lora', six(80, 70)))
  assert against.rows == []
  assert 'No results of full, so there is nothing to compare with.' in against.footnotes
  assert [row['method'] for row in levels.rows] == ['lora']


def test_results_without_figures_by_subject_are_told(result):
  (compared,) = statistics.compare(one_group([result(), result(method='lora')]))
  assert (compared.n, compared.notes) == (0, ('no subject tested with both under one seed',))


# --- intervals


def test_the_interval_is_the_bootstraps(result):
  # Of two subjects at 0 and 10, the mean of a resample is 0, 5 or 10, a quarter, a half and a quarter of the time.
  assert statistics.interval([0.0, 10.0]) == statistics.Interval(5.0, 0.0, 10.0, 2)
  assert statistics.interval([3.0]) == statistics.Interval(3.0, None, None, 1)
  assert statistics.interval([3.0, 3.0, 3.0]) == statistics.Interval(3.0, 3.0, 3.0, 3)
  assert statistics.interval([]) is None


def test_the_interval_is_as_wide_as_theory_has_it_and_the_same_each_time():
  values = list(np.arange(100.0))
  found = statistics.interval(values)
  # Mean 49.5; a resample's mean deviates by sqrt(833.25 / 100) = 2.887, 1.96 of which are 5.66.
  assert found.low == pytest.approx(49.5 - 5.66, abs=0.25)
  assert found.high == pytest.approx(49.5 + 5.66, abs=0.25)
  assert statistics.interval(values) == found


def test_each_methods_own_figure_has_its_interval(result):
  _, levels, *_ = significance.sections(runs_of(result, 'full', six(60, 70)))
  (row,) = levels.rows
  assert row == {
    'target': 'wisdm',
    'method': 'full',
    'subjects': '2',
    'seeds': 'n=1',
    'macro-F1, points': '65.0 (60.0 to 70.0)',
  }


# --- tests


def test_holm_by_hand():
  # Sorted .01, .03, .04 by 3, 2, 1: .03, .06, .04; none may be below the one before it. None was not tested.
  assert statistics.holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
  assert statistics.holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
  assert statistics.holm([None]) == [None]


def test_wilcoxon_of_six_that_all_fall_has_the_least_p_there_is():
  p, why_not = statistics.wilcoxon([-5.0, -6.0, -7.0, -8.0, -9.0, -10.0])
  assert (p, why_not) == (pytest.approx(2 / 2**6), '')


def test_differences_of_nought_are_left_out_and_ties_stay_exact():
  p, _ = statistics.wilcoxon([0.0, 0.0, -2.0, -2.0, -2.0, -2.0, -2.0, -2.0])
  assert p == pytest.approx(2 / 2**6)  # a normal approximation would have .014


def test_five_that_differ_are_too_few_for_wilcoxon():
  p, why_not = statistics.wilcoxon([-5.0, -6.0, -7.0, -8.0, -9.0, 0.0])
  assert p is None
  assert why_not.startswith("only 5 subjects differ: Wilcoxon's test cannot reach 0.05 with fewer than 6")


@pytest.mark.parametrize('sign', [1, -1])  # which of the two is the worse
def test_equivalence_is_the_worse_of_two_one_sided_t_tests(sign):
  differences = [sign * each for each in (0.2, -0.1, 0.4, 0.0, 0.1, -0.9)]
  pairs = [(50.0 + each, 50.0) for each in differences]
  above = stats.ttest_1samp(differences, -1.0, alternative='greater').pvalue
  below = stats.ttest_1samp(differences, 1.0, alternative='less').pvalue
  p, why_not = statistics.equivalence(pairs)
  assert (p, why_not) == (pytest.approx(max(above, below)), '')
  assert above != pytest.approx(below)


def test_rank_biserial_by_hand():
  # Ranks of 1, -2, 4 are 1, 2, 3: (1 + 3 - 2) / 6. Nought is left out.
  assert statistics.rank_biserial([1.0, -2.0, 4.0, 0.0]) == pytest.approx(1 / 3)
  assert statistics.rank_biserial([0.0]) is None


FULL = (60, 62, 64, 66, 68, 70, 72)


@pytest.mark.parametrize(
  ('differences', 'verdict'),
  [
    ((-5, -6, -7, -8, -9, -10, -11), 'worse'),
    ((5, 6, 7, 8, 9, 10, 11), 'better'),
    ((0.1, -0.2, 0.1, 0.2, -0.1, 0.05, -0.05), 'equivalent'),
    (
      (-0.1, -0.2, -0.3, -0.15, -0.25, -0.12, -0.11),
      'equivalent',
    ),  # surely lower, and by less than the margin
    ((-5, 6, -7, 8, -9, 10, -3), 'undecided'),
  ],
)
def test_verdicts(result, differences, verdict):
  own = six(*(full + difference for full, difference in zip(FULL, differences, strict=True)))
  found = runs_of(result, 'full', six(*FULL)) + runs_of(result, 'lora', own)
  (compared,) = statistics.compare(one_group(found))
  assert compared.verdict == verdict


def test_all_comparisons_of_a_table_are_corrected_together(result):
  worse = six(*(full - 5 - number for number, full in enumerate(FULL[:6])))
  found = runs_of(result, 'full', six(*FULL[:6])) + runs_of(result, 'lora', worse)
  (alone,) = statistics.compare(one_group(found))
  assert (alone.wilcoxon_p, alone.verdict) == (pytest.approx(1 / 32), 'worse')
  both = statistics.compare(one_group(found + runs_of(result, 'qlora', worse)))
  assert [each.wilcoxon_p for each in both] == pytest.approx([1 / 16, 1 / 16])
  assert [each.verdict for each in both] == ['undecided', 'undecided']


def test_no_difference_at_all_is_no_crash_and_no_claim(result):
  found = runs_of(result, 'full', six(*FULL)) + runs_of(result, 'lora', six(*FULL))
  (compared,) = statistics.compare(one_group(found))
  assert (compared.wilcoxon_p, compared.equivalence_p, compared.verdict) == (None, None, 'undecided')
  assert compared.notes == ('no subject differs, so there is nothing to test',)
  against, *_ = significance.sections(found)
  (row,) = against.rows
  assert (row['p of a difference'], row['p of equivalence'], row['verdict']) == ('–', '–', 'undecided ¹')


def test_the_same_difference_everywhere_has_no_t_test(result):
  found = runs_of(result, 'full', six(*FULL)) + runs_of(result, 'lora', six(*(full - 3 for full in FULL)))
  (compared,) = statistics.compare(one_group(found))
  # Float noise would have the seven differ, if by 1e-14.
  assert (compared.wilcoxon_p, compared.rank_biserial) == (pytest.approx(2 / 2**7), -1.0)
  assert compared.notes == ('every subject differs by the same, so no t test can be made',)
  assert compared.verdict == 'worse'


def test_one_subject_is_shown_and_not_tested(result):
  (compared,) = statistics.compare(
    one_group(runs_of(result, 'full', six(80)) + runs_of(result, 'lora', six(75)))
  )
  assert significance.shown(compared.difference, '+.1f') == '-5.0'
  assert (compared.wilcoxon_p, compared.equivalence_p, compared.verdict) == (None, None, 'undecided')


# --- what is said


@pytest.mark.parametrize(
  ('n', 'told'),
  [
    (4, '2/2^4 = 0.125, which cannot reach 0.05'),
    (5, '2/2^5 = 0.0625, which cannot reach'),
    (6, '2/2^6 = 0.0312, which can reach'),
  ],
)
def test_what_so_many_datasets_can_show(n, told):
  assert told in statistics.what_datasets_show(n)


def test_the_number_of_datasets_is_that_of_the_results(result):
  found = [
    each for target in ('wisdm', 'dsads') for each in runs_of(result, 'full', six(80, 70), target=target)
  ]
  *_, last = significance.sections(found)
  assert last.title.startswith('What datasets can show (n=2)')
  assert '2/2^2 = 0.5' in last.caption


def test_by_window_no_word_of_new_people(result):
  by_window, *_ = significance.sections(runs_of(result, 'full', six(80, 70), split='window'))
  by_subject, *_ = significance.sections(runs_of(result, 'full', six(80, 70)))
  told = 'nothing here speaks of new people'
  assert told in by_window.caption
  assert told not in by_subject.caption


def test_the_same_people_in_two_archives_are_told(result):
  found = [
    result(target=target, method=method, test_by_subject=six(80))
    for target in ('hapt', 'ucihar')
    for method in ('full', 'lora')
  ]
  against, *_ = significance.sections(found)
  assert any('hapt and ucihar hold the same people' in note for note in against.footnotes)
