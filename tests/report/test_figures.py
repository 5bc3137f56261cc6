"""Figures: what a reader would see, from matplotlib's artists or from the SVG."""

import re
import types
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from har_jax import records
from har_jax.report import curves as report_curves
from har_jax.report import figures, statistics


def drawn(draw: Any, *data: Any) -> Figure:
  figure = Figure(layout='constrained')
  draw(figure, *data)
  return figure


def lines(figure: Figure) -> dict[str, Any]:
  return {line.get_label(): line for panel in figure.axes for line in panel.get_lines()}


def history(*scores: float) -> types.SimpleNamespace:
  validation = [records.Validation(step=step, macro_f1=score) for step, score in enumerate(scores, 1)]
  return types.SimpleNamespace(validation=validation)


RUNS = pd.DataFrame(
  {'method': ['full', 'full'], 'seed': [0, 1], 'result': [history(0.2, 0.4, 0.9), history(0.4, 0.6)]}
)


@pytest.fixture(scope='module')
def curves() -> str:
  return figures.render(figures.learning_curves, RUNS, '<b>$x$', named=('a b<c', '1 < "2"'))


def test_a_legend_of_long_names_is_not_wider_than_its_figure():
  scores = pd.DataFrame({f'sample_motionsense_{name}': [0.5, 0.7] for name in 'abcd'}, index=['full', 'lora'])
  figure = Figure((4.4, 3.2), layout='constrained')
  figures.means(figure, scores)
  FigureCanvasAgg(figure).draw()
  legend, (panel,) = figure.legends[0].get_window_extent(), figure.axes
  assert legend.x0 >= 0
  assert legend.x1 <= figure.bbox.x1
  assert panel.get_window_extent().height > figure.dpi


def test_seeds_have_the_color_of_their_method():
  (panel,) = drawn(figures.learning_curves, RUNS, 'a target').axes
  assert [line.get_color() for line in panel.get_lines()] == [figures.style('full')[0]] * 3


# --- SVG


def test_svg_takes_color_and_background_from_the_page(curves):
  assert 'currentColor' in curves
  assert figures.INK not in curves
  assert not re.search(r'#(fff|ffffff|000|000000)\b', curves)


def test_svg_is_deterministic(curves):
  assert curves == figures.render(figures.learning_curves, RUNS, '<b>$x$', named=('a b<c', '1 < "2"'))


def test_svg_ids_and_references_are_its_own(curves):
  other = figures.render(figures.learning_curves, RUNS, 't', named=('other', 't'))
  ids = re.findall(r' id="([^"]*)"', curves)
  assert len(ids) == len(set(ids)) > 2
  assert not set(ids).intersection(re.findall(r' id="([^"]*)"', other))
  assert set(re.findall(r'url\(#(.*?)\)|href="#(.*?)"|labelledby="(.*?)"', curves)) != set()
  for reference in re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', curves):
    assert ''.join(reference) in ids


def test_svg_is_well_formed_and_text_is_text(curves):
  root = ElementTree.fromstring(curves)
  texts = [''.join(element.itertext()) for element in root.iter()]
  assert '<b>$x$' in texts
  assert '1 < "2"' in texts
  assert root.attrib['aria-labelledby'] == 'a-b-c-title'


# --- curves


def test_mean_learning_curve_ends_with_the_shortest_seed():
  mean = lines(drawn(figures.learning_curves, RUNS, 't'))['full']
  assert list(mean.get_xdata()) == [1, 2]
  assert mean.get_ydata() == pytest.approx([0.3, 0.5])


def test_labels_per_class_have_an_axis_of_their_own(monkeypatch):
  shown = {}
  monkeypatch.setattr(
    figures,
    'render',
    lambda draw, points, target, *axes, named: shown.update({axes: sorted(set(points['x']))}),
  )
  runs = pd.DataFrame({'label_budget': ['0.1', '0.7', '5/class', '10/class'], 'target': 'ucihar'})
  list(report_curves.label_budgets(runs.assign(method='lora', macro_f1=0.5, accuracy=0.6), 'budgets'))
  assert shown == {
    (axis, measure): x
    for axis, x in (('fraction of labels', [0.1, 0.7]), ('labels per class', [5.0, 10.0]))
    for measure in ('accuracy', 'macro-F1')
  } | {('fraction of labels', 'accuracy'): [0.1, 0.3, 0.4, 0.5, 0.6, 0.7]}  # with the published ones


def test_points_of_figures_are_relative_to_the_lowest_rank_in_units_and_have_a_deviation(monkeypatch):
  shown = {}
  monkeypatch.setattr(
    figures, 'render', lambda draw, points, *names, named: shown.update({names[-1]: points})
  )
  rows = [
    ('lora', 64, 10),
    ('lora', 8, 20),
    ('lora', 8, 40),
    ('lora', 64, 30),
    ('dora', 8, 4),
    ('dora', 64, 6),
  ]
  runs = pd.DataFrame(rows, columns=['method', 'lora_rank', 'seconds'])
  runs = runs.assign(
    target='dsads', macro_f1=[0.5, 0.7, 0.9, 0.5, 0.5, 0.5], bytes=2**22, trained_parameters=7
  )
  risks = [types.SimpleNamespace(selective=types.SimpleNamespace(risk=[0.1, 0.2]))] * 4 + [
    types.SimpleNamespace(selective=None)
  ] * 2
  one_rank = pd.DataFrame([('qlora', 8, 5)], columns=[*runs][:3])
  list(report_curves.ranks(pd.concat([runs, one_rank.assign(target='dsads')]), 'ranks'))
  ratios = shown['training time ÷ first'].set_index(['method', 'x'])
  deviation = 200**0.5 / 30
  assert ratios['mean'].to_dict() == pytest.approx(
    {('dora', 8): 1, ('dora', 64): 1.5, ('lora', 8): 1, ('lora', 64): 2 / 3}
  )
  assert ratios['std'].tolist() == pytest.approx([0, 0, deviation, deviation])
  list(report_curves.costs(runs.iloc[:5], 'costs'))
  for cost, value in (('megabytes held', 4.0), ('trained parameters', 7.0)):
    points = shown[cost].set_index('method')
    assert points['cost'].tolist() == [value, value]
    assert points['std'].to_dict() == pytest.approx({'lora': (0.11 / 3) ** 0.5, 'dora': 0.0})
  list(report_curves.risk_coverage(runs.assign(result=risks).iloc[3:], 'risk'))
  assert shown['error rate'][['x', 'mean', 'std']].to_numpy().tolist() == [[0.1, 0.1, 0], [0.2, 0.2, 0]]


def test_sweep_sorts_numbers_and_dashes_published_lines():
  points = pd.DataFrame(
    {
      'line': ['lora', 'lora', 'lora, published'],
      'method': 'lora',
      'x': [16.0, 8.0, 64.0],
      'mean': [0.9, 0.8, 0.95],
      'std': [0.1, 0.1, np.nan],
    }
  )
  figure = drawn(figures.sweep, points, 't', 'rank', 'macro-F1')
  curves = lines(figure)
  assert list(curves['lora'].get_xdata()) == ['8', '16']
  assert list(curves['lora'].get_ydata()) == [0.8, 0.9]
  band = figure.axes[0].collections[0].get_paths()[0].vertices
  assert {*map(tuple, band.round(2).tolist())} == {(0.0, 0.7), (0.0, 0.9), (1.0, 0.8), (1.0, 1.0)}
  assert [curves[name].get_linestyle() for name in ('lora', 'lora, published')] == ['-', '--']
  figure.draw_without_rendering()
  assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ['8', '16', '64']


def test_a_long_legend_takes_no_room_from_its_panel():
  def height(count: int) -> float:
    names = [f'method {number}' for number in range(count)]
    points = pd.DataFrame({'line': names, 'method': names, 'x': 1.0, 'mean': 0.5, 'std': 0.1})
    figure = drawn(figures.sweep, points, 't', 'labels', 'macro-F1')
    figure.draw_without_rendering()
    return figure.axes[0].get_window_extent().height

  assert height(24) > 0.9 * height(8)


def test_pareto_fills_what_no_other_point_of_the_target_beats():
  points = pd.DataFrame(
    {
      'target': ['a', 'a', 'a', 'a', 'a', 'b'],
      'method': ['scratch', 'full', 'lora', 'qlora', 'probe', 'full'],
      'cost': [1, 1, 2, 3, 4, 9],
      'mean': [0.4, 0.5, 0.4, 0.9, 0.9, 0.1],
      'std': 0.0,
    }
  )
  faces = [
    (line.get_label(), line.get_markerfacecolor())
    for line in drawn(figures.pareto, points, 'bytes').axes[0].get_lines()
    if line.get_label() in set('_' + points['method'])
  ]
  assert [name for name, face in faces if face != 'none'] == ['_full', '_qlora', '_full']
  assert len(faces) == len(points)


@pytest.mark.parametrize('cost', [100.0, 1234567, 9.87654321])
def test_points_of_one_cost_have_an_axis_with_a_width(cost):
  points = pd.DataFrame(
    {'target': ['a', 'b'], 'method': 'full', 'cost': cost, 'mean': [0.9, 0.8], 'std': 0.01}
  )
  figure = drawn(figures.pareto, points, 'bytes')
  low, high = figure.axes[0].get_xlim()
  assert low < cost < high


# --- confusion


def test_confusion_is_a_percentage_of_its_row():
  classes = ['walking', 'sitting']
  counts = pd.DataFrame([[190, 10], [1, 599]], classes, classes)
  panel = drawn(figures.confusion, counts, 'lora').axes[0]
  assert {text.get_position(): text.get_text() for text in panel.texts} == {
    (0.5, 0.5): '95', (1.5, 0.5): '5', (0.5, 1.5): '<1', (1.5, 1.5): '>99'
  }  # fmt: skip
  assert [label.get_text() for label in panel.get_yticklabels()] == ['walking (200)', 'sitting (600)']
  low, high = panel.get_ylim()
  assert low > high  # the first class is at the top


@pytest.mark.parametrize(
  ('fraction', 'text'), [(0.0, ''), (0.001, '<1'), (0.5, '50'), (0.994, '99'), (0.999, '>99'), (1.0, '100')]
)
def test_no_percentage_is_rounded_to_all_or_nothing(fraction, text):
  assert figures.percent(fraction) == text


# --- ranks


def test_rank_diagram_joins_methods_that_do_not_differ():
  """A bar over each group, one below the other, then a line to each name, the best lowest."""
  mean_ranks = pd.Series({'full': 1.2, 'lora': 1.8, 'probe': 3.0})
  blocks = pd.MultiIndex.from_product([['hapt'], range(10)])
  ranks = statistics.Ranks(mean_ranks, blocks, 0.01, 1.05, [['full', 'lora', 'probe'], ['lora', 'probe']])
  panel = drawn(figures.rank_diagram, ranks).axes[0]
  ends = [np.column_stack(line.get_data()).tolist() for line in panel.get_lines()]
  assert ends[:2] == [[[1.2, -1], [3, -1]], [[1.8, -2], [3, -2]]]
  assert ends[2:5] == [[[rank, 0], [rank, y]] for rank, y in ((3, -3), (1.8, -4), (1.2, -5))]
  np.testing.assert_allclose(ends[5], [[1, 0.7], [2.05, 0.7]])  # the critical difference
  texts = [text.get_text() for text in panel.texts]
  assert {'full 1.20', 'lora 1.80', 'probe 3.00', 'critical difference 1.05'} == set(texts)


# --- colors


def test_methods_differ_in_color_and_marker():
  styles = [figures.style(method) for method in ('full', 'scratch', 'probe', 'lora', 'qlora', 'another')]
  assert len({color for color, _ in styles}) == len({marker for _, marker in styles}) == len(styles)


@pytest.mark.parametrize('paper', ['#ffffff', '#14171a'], ids=['light', 'dark'])
def test_lines_have_contrast_on_either_background(paper):
  for method in ('full', 'probe', 'lora', 'qlora'):
    assert contrast(figures.style(method)[0], paper) >= 3  # WCAG 2.1, 1.4.11


def contrast(one: str, other: str) -> float:
  """Source: WCAG 2.1, relative luminance and contrast ratio."""

  def luminance(color: str) -> float:
    parts = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (
      part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

  high, low = sorted((luminance(one), luminance(other)), reverse=True)
  return (high + 0.05) / (low + 0.05)


def test_the_matrix_of_a_stream_names_its_strategy_and_shows_every_score():
  learned = [
    records.LearnedDomain(
      domain=name, start=None, seconds=1.0, bytes=1, macro_f1=macro_f1, accuracy=[0.5, 0.5]
    )
    for name, macro_f1 in (('Ana', [0.91, 0.32]), ('Ben', [0.73, 0.84]))
  ]
  picture = report_curves.continual(records.Continual(identity={'strategy': 'replay'}, history=learned))
  assert 'Macro-F1 on each domain after training on each, replay' in picture
  words = re.findall(r'>([^<>]+)</text>', picture)
  assert {'Ana', 'Ben'} <= set(words)
  assert [word for word in words if word.isdecimal()] == ['91', '32', '73', '84']  # percent, row by row
  panel = drawn(figures.domains, pd.DataFrame([[0.91, 0.32], [0.73, 0.84]])).axes[0]
  assert [text.get_position() for text in panel.texts] == [(0, 0), (1, 0), (0, 1), (1, 1)]
  assert [text.get_color() for text in panel.texts] == ['black', 'white', 'black', 'black']  # on dark: white
