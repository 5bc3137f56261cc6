"""The finding and the figures of a page, each alone."""

import re

import pytest
from in_process import refuse
from made_results import result
from report_rows import by_seed, product, runs

pytest.importorskip('jinja2')

from har_jax.report import curves, figures, page, tables


def test_the_title_is_the_mean_over_targets_of_methods_that_all_have():
  scores = {('hapt', 'full'): 0.9, ('hapt', 'lora'): 0.8, ('wisdm', 'full'): 0.5, ('wisdm', 'lora'): 0.7}
  shown = runs(
    [result(target=target, method=method, macro_f1=value) for (target, method), value in scores.items()]
    + [result(target='hapt', method='probe'), result(target='hapt', method='lora', seed=1, macro_f1=0.6)]
  )
  title, explained = page.finding(shown)
  assert title == 'full has the highest macro-F1: 0.700'
  assert 'unseen in pretraining: hapt, wisdm. Subject-wise split' in explained
  means = tables.means(shown).table.set_index('method')['macro-F1']
  assert tables.means(shown).highest['macro-F1'] == '0.700'
  # 0.8 and 0.6 of hapt count once.
  assert means.to_dict() == {'full': '0.700', 'lora': '0.700', 'probe': '–'}


def test_methods_that_share_no_target_have_no_finding():
  shown = runs([result(target='hapt'), result(target='wisdm', method='lora')])
  assert page.finding(shown)[0] == 'No method was run on all targets'
  assert '>full<' in page.headline(shown)
  assert 'full 0.900' not in page.headline(shown)


@pytest.mark.parametrize(('forest', 'words'), [(0.85, 'is ahead of'), (0.92, 'is not ahead of')])
def test_a_terminal_says_whether_lora_is_ahead_of_the_forest(forest, words):
  shown = runs([result(method='lora'), result(method='forest', macro_f1=forest)])
  last = page.verdict(shown).splitlines()[-1]
  assert last.startswith(f'lora {words} forest, ')
  assert last.endswith(f': {100 * (0.9 - forest):+.1f} points.')


@pytest.mark.parametrize(('seeds', 'words'), [((0,), ', 1 seed, '), ((0, 3), ', 2 seeds, ')])
def test_the_finding_counts_seeds(seeds, words):
  assert words in page.finding(runs([result(seed=seed) for seed in seeds]))[1]


def test_figures_are_of_the_largest_experiment_of_each_split():
  wide, by_window = by_seed('model_width', 96, 96), by_seed('split', *3 * ['window'])
  parts = page.largest(runs([*wide, *product(method=('full', 'probe', 'scratch')), *by_window]))
  assert [(part['split'].iloc[0], part['seed'].tolist()) for part in parts] == [
    ('subject', [0, 0, 0]),  # more runs than those of two seeds
    ('window', [0, 1, 2]),
  ]


def test_confusion_matrices_are_summed_over_seeds():
  shown = runs(by_seed('confusion', [[90, 10], [0, 200]], [[100, 0], [1, 399]]))
  (drawing,) = curves.confusion(shown, 'confusion')
  assert 'recall: walking 0.95, sitting 1.00' in drawing
  assert {'>95<', '>5<', '>&lt;1<', '>&gt;99<'} <= set(re.findall(r'>[^<>]*<', drawing))
  (drawing,) = curves.confusion(runs([result(confusion=[[1, 0], [0, 0]])]), 'confusion')
  assert 'recall: walking 1.00, sitting 0.00' in drawing


def test_training_from_scratch_is_in_no_figure_of_cost():
  shown = runs([result(method=method) for method in ('full', 'lora', 'scratch')])
  *_, drawing = curves.costs(shown, 'cost')
  assert '>lora<' in drawing
  assert '>scratch<' not in drawing


def test_the_headline_has_every_method_and_target_on_white():
  shown = runs([result(method=method, target=target) for method in ('full', 'lora') for target in 'ab'])
  drawing = page.headline(shown)
  assert {'>full<', '>lora<', '>a<', '>b<', '>mean of targets<'} <= set(re.findall('>[^<>]+<', drawing))
  assert 'style="background: white"' in drawing


def test_error_rates_are_means_over_seeds_of_a_tenth_of_the_windows_and_more(monkeypatch):
  shown = runs(by_seed('selective', *({'aurc': 0.1, 'risk': risk} for risk in ([0.0, 0.5], [0.25, 0.75]))))
  monkeypatch.setattr(figures, 'render', lambda draw, points, *data, named: points[['x', 'mean']])
  (points,) = curves.risk_coverage(shown, 'risk')
  assert points.to_numpy().tolist() == [[0.1, 0.125], [0.2, 0.625]]


def test_a_missing_tool_names_the_extra(monkeypatch):
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  assert "needs jinja2: pip install jinja2, or 'har_jax[report]'" in refuse('report', '--html')
