"""Which differences are significant: small numbers by hand, and what happens with too few of them."""

import numpy as np
import pandas as pd
import pytest
from made_results import result
from report_rows import cells, one_group, product, runs_of, scored, sections
from scipy import stats

from har_jax.report import significance, statistics

FULL = (60, 62, 64, 66, 68, 70, 72)


def compared(results, **where):
  rows = statistics.compare(one_group(results)).to_dict('records')
  (row,) = [row for row in rows if all(row[name] == value for name, value in where.items())]
  return row


def full_and_lora(differences, full=FULL):
  other = scored(*(one + difference for one, difference in zip(full, differences, strict=True)))
  return runs_of('full', scored(*full)) + runs_of('lora', other)


def section_of(results):
  (section,) = sections(results, 'Tests')
  return section


# --- pairs


def test_a_subject_counts_once_however_many_seeds_tested_it():
  full = runs_of('full', {'a': 0.80, 'b': 0.60}, {'a': 0.90})
  lora = runs_of('lora', {'a': 0.82, 'b': 0.50}, {'a': 0.86, 'c': 0.95}, {'a': 0.10})
  pairs = statistics.by_subject(statistics.scores(one_group(full + lora))[['lora', 'full']].dropna())
  # a: (82 + 86) / 2 and (80 + 90) / 2. c was never tested with full, nor a under seed 2.
  assert dict(zip(pairs.index, pairs.to_numpy().tolist(), strict=True)) == {
    ('wisdm', 'a'): [84.0, 85.0],
    ('wisdm', 'b'): [50.0, 60.0],
  }
  row = compared(full + lora)
  assert (row['n'], row['mean'], row['better_on']) == (2, -5.5, 0)  # of -1 and -10


def test_subjects_may_have_any_name():
  names = ['Subject 1', 'Subject 2', 'Ana Maria', 'a=1', '50%20', '\u2003', '', 'Zoë\n']
  points = {name: number / 10 for number, name in enumerate(names)}
  table = statistics.scores(one_group(runs_of('full', points)))
  assert dict(
    zip(table.index.get_level_values('subject'), table['full'] / 100, strict=True)
  ) == pytest.approx(points)


def test_seeds_are_averaged_by_the_mean():
  full = runs_of('full', *[{'a': 0.5, 'b': 0.5}] * 3)
  lora = runs_of('lora', *({'a': 0.5 + gain, 'b': 0.5} for gain in (0.0, 0.01, 0.11)))
  # a gains 0, 1 and 11 points: mean 4, median 1.
  assert compared(full + lora)['mean'] == pytest.approx(2.0)


def test_subjects_of_one_name_in_two_targets_are_two():
  results = [
    result(target=target, method=method, subjects={'1': f1})
    for target, full, lora in (('wisdm', 0.8, 0.7), ('dsads', 0.9, 0.88))
    for method, f1 in (('full', full), ('lora', lora))
  ]
  table = statistics.compare(one_group(results))
  assert list(table['target']) == ['dsads', 'wisdm', statistics.POOLED]
  row = compared(results, target=statistics.POOLED)
  assert (row['n'], row['mean']) == (2, -6.0)


def test_a_target_without_the_method_makes_no_claim():
  results = [
    *runs_of('full', scored(80, 70)),
    *runs_of('lora', scored(79, 69)),
    *runs_of('full', scored(80, 70), target='dsads'),
  ]
  row = compared(results, target='dsads')
  assert (row['n'], row['verdict']) == (0, '–')
  assert compared(results, target=statistics.POOLED)['n'] == 2
  section = section_of(results)
  shown = cells(section.table, target='dsads')
  texts = [shown[name] for name in ('verdict', 'macro-F1 − full, points', 'p of a difference')]
  assert texts == ['–', '–', '–']
  assert 'Seeds not run: dsads lora 0.' in section.notes


def test_without_full_nothing_is_compared():
  titles = [section.title.partition(':')[0] for section in sections(runs_of('lora', scored(80)), '')]
  assert titles == ['Intervals', 'What datasets can show']


def test_results_without_scores_by_subject_make_no_claim():
  row = compared([result(), result(method='lora')])
  assert (row['n'], row['verdict']) == (0, '–')


# --- intervals


def test_the_interval_is_the_percentile_bootstrap():
  # Of two subjects at 0 and 10, a resample's mean is 0, 5 or 10: a quarter, half and a quarter of the time.
  assert statistics.interval(np.array([0.0, 10.0])) == (5.0, 0.0, 10.0)
  assert statistics.interval(np.array([3.0])) == (3.0, 3.0, 3.0)
  assert np.isnan(statistics.interval(np.array([]))).all()


def test_the_interval_is_as_wide_as_theory_says_and_repeats():
  values = np.arange(100.0)
  bounds = statistics.interval(values)
  # Mean 49.5; a resample's mean deviates by sqrt(833.25 / 100) = 2.887, 1.96 of which are 5.66.
  assert bounds[1] == pytest.approx(49.5 - 5.66, abs=0.25)
  assert bounds[2] == pytest.approx(49.5 + 5.66, abs=0.25)
  assert statistics.interval(values) == bounds


def test_each_method_has_its_own_interval():
  results = runs_of('full', scored(60, 70)) + runs_of('lora', scored(80))
  (levels,) = sections(results, 'Intervals')
  assert levels.table.to_dict('records') == [
    {'target': 'wisdm', 'method': 'full', 'subjects': '2', 'macro-F1, points': '65.0 (60.0 to 70.0)'},
    {'target': 'wisdm', 'method': 'lora', 'subjects': '1', 'macro-F1, points': '80.0 (80.0 to 80.0)'},
  ]


# --- tests


def test_holm_by_hand():
  # Sorted .01, .03, .04 by 3, 2, 1: .03, .06, .04; none may be below the one before it. NaN was not tested.
  corrected = statistics.holm(pd.Series([0.01, float('nan'), 0.04, 0.03]))
  assert list(corrected) == pytest.approx([0.03, float('nan'), 0.06, 0.06], nan_ok=True)
  assert list(statistics.holm(pd.Series([0.6, 0.7]))) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
  ('differences', 'p'),
  [
    ([-5.0, -6.0, -7.0, -8.0, -9.0, -10.0], 2 / 2**6),  # the smallest of six
    ([0.0, 0.0, *(6 * [-2.0])], 2 / 2**6),  # a normal approximation of ties would have .014
    ([-5.0, -6.0, -7.0, -8.0, -9.0, 0.0], np.nan),  # five that differ are too few
  ],
)
def test_wilcoxon_is_exact_and_leaves_out_differences_of_zero(differences, p):
  assert statistics.wilcoxon(np.array(differences)) == pytest.approx(p, nan_ok=True)


@pytest.mark.parametrize('sign', [1, -1])  # which of the two is the worse
def test_equivalence_is_the_worse_of_two_one_sided_t_tests(sign):
  differences = [sign * difference for difference in (0.2, -0.1, 0.4, 0.0, 0.1, -0.9)]
  above = stats.ttest_1samp(differences, -1.0, alternative='greater').pvalue
  below = stats.ttest_1samp(differences, 1.0, alternative='less').pvalue
  assert statistics.equivalence(np.array(differences)) == pytest.approx(max(above, below))
  assert above != pytest.approx(below)


def test_rank_biserial_by_hand():
  # Ranks of 1, -2, 4 are 1, 2, 3: (1 + 3 - 2) / 6. Zero is left out.
  assert statistics.rank_biserial(np.array([1.0, -2.0, 4.0, 0.0])) == pytest.approx(1 / 3)
  assert np.isnan(statistics.rank_biserial(np.array([0.0])))


@pytest.mark.parametrize(
  ('differences', 'verdict'),
  [
    ((-5, -6, -7, -8, -9, -10, -11), 'worse'),
    ((0.2, 0.4, 0.6, 0.8, 1.0, 1.4, 1.6), 'better'),  # by less than a point, perhaps by more
    ((0.1, -0.2, 0.1, 0.2, -0.1, 0.05, -0.05), 'equivalent'),
    ((-0.1, -0.2, -0.3, -0.15, -0.25, -0.12, -0.11), 'equivalent'),  # significant, and within the margin
    ((-5, 6, -7, 8, -9, 10, -3), 'undecided'),
  ],
)
def test_verdicts(differences, verdict):
  assert compared(full_and_lora(differences))['verdict'] == verdict


def test_a_p_of_exactly_the_level_decides_nothing():
  row = {'n': 7, 'mean': 2.0, 'rank_biserial': 1.0, 'wilcoxon_p': 0.05, 'equivalence_p': 0.05}
  assert statistics._verdict(pd.Series(row)) == 'undecided'
  assert statistics._verdict(pd.Series(row | {'wilcoxon_p': 0.049})) == 'better'
  assert statistics._verdict(pd.Series(row | {'equivalence_p': 0.049})) == 'equivalent'


@pytest.mark.parametrize('sign', [1, -1])
def test_where_mean_and_ranks_disagree_the_verdict_is_undecided(sign):
  # Twelve subjects differ a little, one by much the other way: ranks and mean point to opposite sides.
  differences = [sign * difference for difference in (*(1 + number / 10 for number in range(12)), -40)]
  row = compared(full_and_lora(differences, full=[60] * 13))
  assert row['wilcoxon_p'] < statistics.LEVEL
  assert np.sign(row['mean']) == -sign == -np.sign(row['rank_biserial'])
  assert row['verdict'] == 'undecided'


def test_wilcoxon_is_corrected_over_all_rows():
  results = full_and_lora((-5, -6, -7, -8, -9, -10), full=FULL[:6])
  alone = compared(results)
  assert (alone['wilcoxon_p'], alone['verdict']) == (pytest.approx(1 / 32), 'worse')
  again = runs_of('qlora', scored(55, 56, 57, 58, 59, 60))
  both = statistics.compare(one_group(results + again))
  assert list(both['wilcoxon_p']) == pytest.approx([1 / 16, 1 / 16])
  assert list(both['verdict']) == ['undecided', 'undecided']


def test_equivalence_is_corrected_over_all_rows():
  near, nearer = (0.1, -0.2, 0.9, 0.8, -0.1, 0.5, -0.5), (0.1, -0.2, 0.1, 0.2, -0.1, 0.05, -0.05)
  lora = full_and_lora(near)
  qlora = runs_of('qlora', scored(*(one + more for one, more in zip(FULL, nearer, strict=True))))
  both = statistics.compare(one_group(lora + qlora)).set_index('method')['equivalence_p']
  alone = {
    'lora': compared(lora)['equivalence_p'],
    'qlora': compared(qlora + runs_of('full', scored(*FULL)))['equivalence_p'],
  }
  # Holm: the smaller of the two is doubled, the other stays.
  assert both.to_dict() == pytest.approx({'lora': alone['lora'], 'qlora': 2 * alone['qlora']})


@pytest.mark.parametrize(
  ('full', 'differences', 'shown'),
  [
    # All seven are better, by 5 to 11 points: 2 / 2^7 of a difference. None is within a point: t = 7 / 0.8165
    # above the margin, of six degrees of freedom. The bootstrap's interval is some 8 ± 1.96 · 2 / 7^0.5.
    (
      FULL,
      range(5, 12),
      {'subjects': '7', 'p of a difference': '0.016', 'p of equivalence': '1.000', 'verdict': 'better'}
      | {'macro-F1 − full, points': '+8.0 (+6.6 to +9.4)'},
    ),
    (FULL, [0] * 7, {'p of a difference': '–', 'p of equivalence': '–', 'verdict': 'undecided', 'r': '–'}),
    # The same difference everywhere has no t test: float noise would let the seven differ by 1e-14.
    (
      FULL,
      [-3] * 7,
      {'p of a difference': '0.016', 'p of equivalence': '–', 'verdict': 'worse', 'r': '-1.00'},
    ),
    # In floats, 70.1 - 70.0 is less than 80.2 - 80.1. Ranks 1.5, 1.5 and 3: (1.5 - 1.5 + 3) / 6.
    ((70.0, 80.2, 60.0, 50.0), (0.1, -0.1, 5.0, 0.0), {'r': '+0.50', 'better on': '2 of 4'}),
    # One subject is shown and not tested.
    (
      [80],
      [-5],
      {'macro-F1 − full, points': '-5.0 (-5.0 to -5.0)', 'p of a difference': '–', 'p of equivalence': '–'}
      | {'verdict': 'undecided'},
    ),
  ],
)
def test_the_row_of_a_comparison(full, differences, shown):
  row = cells(section_of(full_and_lora(differences, full=full)).table, method='lora')
  assert {name: row[name] for name in shown} == shown


# --- what is said


@pytest.mark.parametrize(
  ('n', 'expected'),
  [(4, '2/2^4 = 0.125, which cannot'), (5, '= 0.0625, which cannot'), (6, '= 0.0312, which can ')],
)
def test_what_so_many_datasets_can_show(n, expected):
  assert expected in significance.what_datasets_show(n)


def test_window_wise_results_speak_of_no_new_people():
  for split, is_said in (('window', True), ('subject', False)):
    results = [one for method in ('full', 'lora') for one in runs_of(method, scored(80), split=split)]
    section = section_of(results)
    assert any('nothing here speaks of new people' in note for note in section.notes) is is_said


def test_the_same_people_in_two_archives_are_named():
  results = product(target=('hapt', 'ucihar'), method=('full', 'lora'), subjects=[scored(80)])
  assert any('hapt and ucihar hold the same people' in note for note in section_of(results).notes)
  alone = [one for one in results if one['identity']['target'] == 'hapt']
  assert not any('the same people' in note for note in section_of(alone).notes)
