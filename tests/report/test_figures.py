"""Drawings: what a reader would see, read from the SVG or the helper that decides it."""

import re
from xml.etree import ElementTree

import pytest

from har_jax.report import figures, vector
from har_jax.report.figures import Line, Point


def curves(**options) -> str:
  runs = {
    'full': {
      seed: {'validation': [{'step': s, 'macro_f1': s / 1000 + seed / 10} for s in (100, 200)]}
      for seed in (0, 1)
    }
  }
  return figures.learning_curves(options.pop('runs', runs), 'curves', target='hapt')


def test_a_drawing_takes_the_ink_of_its_page_and_leaves_the_paper_free():
  drawing = curves()
  assert 'currentColor' in drawing
  assert vector.INK not in drawing
  assert not re.search(r'#(fff|ffffff|000|000000)\b', drawing)  # neither white paper nor black ink


def test_a_drawing_is_the_same_every_time_and_bears_no_date():
  assert curves() == curves()
  assert not re.search(r'date|20\d\d-', curves())


def test_the_names_within_are_its_own_and_no_style_leaves_it():
  names = {
    element.attrib['id'] for element in ElementTree.fromstring(curves()).iter() if 'id' in element.attrib
  }
  assert names
  assert all(name.startswith('curves-') for name in names)
  assert '<style' not in curves()


def test_a_name_with_signs_gives_a_plain_id():
  drawing = vector.svg(lambda figure: figure.subplots(), 'a b<c', title='t', description='d')
  assert 'id="a-b-c-title"' in drawing


def test_text_is_text_and_a_dollar_no_formula():
  root = ElementTree.fromstring(
    vector.svg(lambda figure: figure.text(0.5, 0.5, 'a<b $x$'), 'x', title='1 < 2', description='d')
  )
  assert 'a<b $x$' in [''.join(element.itertext()) for element in root.iter() if element.tag.endswith('text')]


def test_text_is_not_rounded_as_places_are():
  drawing = vector.svg(lambda figure: figure.text(1 / 3, 0.5, '0.12345'), 'x', title='t', description='d')
  assert '>0.12345<' in drawing
  assert not re.search(r'(?: x| y| d|transform)="[^"]*\.\d{3}', drawing)


def test_the_mean_curve_ends_where_the_first_seed_ends():
  runs = [
    {'validation': [{'step': step, 'macro_f1': value} for step, value in enumerate(values, 1)]}
    for values in ((0.2, 0.4, 0.9), (0.4, 0.6))
  ]
  steps, means = figures._mean_curve(runs)
  assert steps == [1, 2]
  assert means == pytest.approx([0.3, 0.5])  # and not .9 of the seed that is left


def test_filled_is_what_nothing_of_the_same_target_beats():
  def point(target, cost, score):
    return Point(target, 'full', cost, score, 0.0)

  points = [
    point('a', 1, 0.5),
    point('a', 2, 0.4),
    point('a', 3, 0.9),
    point('a', 4, 0.9),
    point('b', 9, 0.1),
  ]
  assert [figures.is_best(each, points) for each in points] == [True, False, True, False, True]


def test_one_seed_has_no_deviation():
  assert figures.deviation([0.5]) == 0
  assert figures.deviation([0.4, 0.6]) == pytest.approx(0.1414, abs=1e-4)


def test_published_lines_are_called_so():
  lines = [Line('lora', [8, 16], [0.8, 0.9], [0.1, 0.1]), Line('lora', [8, 16], [0.9, 0.95])]
  drawing = figures.sweep(lines, 's', title='t', x='rank', y='macro-F1', ticks=[8, 16], logarithmic=False)
  assert 'lora: 0.800 at 8, 0.900 at 16; lora, published: 0.900 at 8' in drawing
  assert drawing.count('>lora, published<') == 1
  assert drawing.count('stroke-dasharray') == 2  # the line and its sample in the legend


def test_labels_of_ticks_never_touch():
  shares = [0.01, 0.05, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7]
  assert figures._apart(shares, logarithmic=True) == ['0.01', '0.05', '0.1', '', '0.4', '', '', '0.7']
  assert figures._apart([8, 16, 20, 22, 64], logarithmic=False) == ['8', '16', '', '22', '64']
  assert figures._apart([3], logarithmic=False) == ['3']


def test_a_reconstruction_is_called_by_its_activity_where_that_is_told():
  window = {
    'dataset': 'hapt',
    'hidden': [True] * 6 + [False] * 2,
    'signal': [[0.1] * 6] * 128,
    'reconstructed': [[0.2] * 6] * 128,
  }
  assert '>hapt<' in figures.reconstruction(window, 16, 'r')
  assert '>hapt, walking<' in figures.reconstruction(window | {'activity': 'walking'}, 16, 'r')


def test_methods_have_markers_and_colors_of_their_own():
  styles = [figures.style(method) for method in ('full', 'scratch', 'probe', 'lora', 'qlora', 'another')]
  assert len({color for color, _ in styles}) == len({marker for _, marker in styles}) == len(styles)


@pytest.mark.parametrize('paper', ['#ffffff', '#14171a'], ids=['light', 'dark'])
def test_lines_stand_out_on_either_paper(paper):
  for method in ('full', 'probe', 'lora', 'qlora'):
    assert contrast(figures.style(method)[0], paper) >= 3  # WCAG 2.1, 1.4.11


def contrast(one: str, other: str) -> float:
  """Source: WCAG 2.1, relative luminance and contrast ratio."""

  def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
      part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

  high, low = sorted((luminance(one), luminance(other)), reverse=True)
  return (high + 0.05) / (low + 0.05)


def test_a_large_embedding_is_thinned():
  picture = {
    'target': 't',
    'method': 'lora',
    'classes': ['a', 'b'],
    'label': [0, 1] * 1000,
    'before': [[i, i % 7] for i in range(2000)],
    'after': [[i, i % 7] for i in range(2000)],
  }
  drawing = figures.embedding(picture, 'before', 'e')
  assert figures.thinned(picture) == 4
  assert '500 windows' in drawing


@pytest.mark.parametrize('cost', [100.0, 1234567, 2210857, 9.87654321])
def test_points_of_one_cost_are_drawn_on_an_axis_that_has_a_width(cost):
  drawing = figures.pareto(
    [Point('hapt', 'full', cost, 0.9, 0.01), Point('dsads', 'full', cost, 0.8, 0.02)], 'one', cost='bytes'
  )
  assert f'hapt, full: 0.900 at {cost:,.4g}' in drawing
