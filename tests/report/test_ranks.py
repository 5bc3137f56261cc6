"""Mean ranks and critical differences: small numbers worked out by hand."""

import numpy as np
import pytest
from made_results import result
from report_rows import one_group, runs_of, scored, sections

from har_jax.report import statistics


def ranked(blocks=10):
  full, lora, scratch = (scored(*blocks * [points]) for points in (90, 80, 70))
  return runs_of('full', full) + runs_of('lora', lora) + runs_of('scratch', scratch)


def test_critical_differences_are_those_of_demsars_table():
  # His q at .05: 2.343 for three methods, 2.569 for four, 2.728 for five; times sqrt(k (k + 1) / 6 N).
  for methods, q in ((3, 2.343), (4, 2.569), (5, 2.728)):
    expected = q * (methods * (methods + 1) / (6 * 10)) ** 0.5
    assert statistics.critical_difference(methods, 10) == pytest.approx(expected, abs=0.001)


def test_ranks_and_cliques_by_hand():
  ranks = statistics.ranks(one_group(ranked()))
  assert list(ranks.mean_ranks.items()) == [('full', 1.0), ('lora', 2.0), ('scratch', 3.0)]
  assert len(ranks.blocks) == 10
  # Friedman: 12·10 / (3·4) · (1 + 4 + 9 − 3·16/4) = 20, of two degrees of freedom: p = exp(−10).
  assert ranks.friedman_p == pytest.approx(np.exp(-10))
  # A difference of one rank is less than 1.048, of two more.
  assert ranks.cliques == [['full', 'lora'], ['lora', 'scratch']]


def test_with_more_blocks_all_methods_differ():
  assert statistics.ranks(one_group(ranked(blocks=13))).cliques == []  # 2.343 · sqrt(12 / 78) = .919


def test_ties_share_ranks_and_no_difference_is_one_clique():
  full, lora = runs_of('full', scored(80, 70)), runs_of('lora', scored(80, 60))
  contents = full + lora + runs_of('qlora', scored(50, 65))
  got = statistics.ranks(one_group(contents))
  # full 1.5 and 1; lora 1.5 and 3; qlora 3 and 2.
  assert got.mean_ranks.to_dict() == {'full': 1.25, 'lora': 2.25, 'qlora': 2.5}
  assert got.friedman_p > 0.05
  assert got.cliques == [['full', 'lora', 'qlora']]
  tied = [one for method in ('full', 'lora', 'qlora') for one in runs_of(method, scored(80, 70))]
  assert np.isnan(statistics.ranks(one_group(tied)).friedman_p)


def test_a_subject_for_whom_all_methods_tie_is_a_block_like_others():
  scores = {'full': (80, 50), 'lora': (70, 50), 'qlora': (60, 50)}
  contents = [one for method, points in scores.items() for one in runs_of(method, scored(*points))]
  # Sums of ranks 3, 4 and 5: 12 / (2·3·4) · 50 − 3·2·4 = 1, over 1 − (27 − 3) / (2·(27 − 3)) for ties: 2.
  assert statistics.ranks(one_group(contents)).friedman_p == pytest.approx(np.exp(-1))


def test_without_a_significant_friedman_test_nothing_differs():
  orders = [(1, 2, 3)] * 8 + [(3, 2, 1)] * 3 + [(1, 3, 2), (2, 1, 3)]  # ranks of full, lora, qlora
  contents = [
    content
    for column, method in enumerate(('full', 'lora', 'qlora'))
    for content in runs_of(method, scored(*(90 - 10 * order[column] for order in orders)))
  ]
  got = statistics.ranks(one_group(contents))
  # Sums of 20, 26 and 32: first and last differ by 12/13 = .923, more than .919.
  # Friedman: 13 · 2 · (6/13)² = 5.54.
  assert got.mean_ranks['qlora'] - got.mean_ranks['full'] > got.critical_difference
  assert got.friedman_p == pytest.approx(np.exp(-13 * (6 / 13) ** 2))
  assert got.cliques == [['full', 'lora', 'qlora']]


def test_too_few_methods_or_subjects_are_not_ranked():
  two = runs_of('full', scored(80, 70)) + runs_of('lora', scored(80, 70))
  assert statistics.ranks(one_group(two)) is None
  assert statistics.ranks(one_group(ranked(blocks=1))) is None
  assert sections(two, 'Ranks') == []


def test_a_block_needs_every_method():
  contents = ranked(blocks=3) + runs_of('full', scored(80, 70), target='dsads')
  contents.append(result(method='scratch', seed=1, subjects=scored(99, 99, 99)))  # the others lack this seed
  got = statistics.ranks(one_group(contents))
  assert list(got.blocks.get_level_values('target')) == 3 * ['wisdm']
  assert got.mean_ranks.to_dict() == {'full': 1.0, 'lora': 2.0, 'scratch': 3.0}


def test_ranks_in_a_table():
  (section,) = sections(ranked(), 'Ranks')
  assert section.table.to_dict('records') == [
    {'method': 'full', 'mean rank': '1.00', 'not significantly different': 'lora'},
    {'method': 'lora', 'mean rank': '2.00', 'not significantly different': 'full; scratch'},
    {'method': 'scratch', 'mean rank': '3.00', 'not significantly different': 'lora'},
  ]
  assert section.notes[0].startswith('Friedman p: <0.001, over 10 subjects of wisdm.')
