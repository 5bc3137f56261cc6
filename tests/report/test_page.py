"""The page: well-formed, complete without a network, and true to the results. Read without a browser."""

import html.parser
import itertools
import json
import re
import shlex

import page_fixtures
import pytest
from made_results import result

pytest.importorskip('jinja2')

from har_jax.cli import main

pytestmark = pytest.mark.slow

_VOID = {'meta', 'link', 'br', 'hr', 'img', 'input', 'wbr'}


class Read(html.parser.HTMLParser):
  """Tags and text; raises if a tag is closed out of order."""

  def __init__(self, text: str):
    super().__init__()
    self.tags: list[tuple[str, dict]] = []
    self.texts: list[str] = []
    self.open: list[str] = []
    self.feed(text)
    self.close()
    assert not self.open, f'never closed: {self.open}'

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    if tag not in _VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    assert self.open.pop() == tag, f'</{tag}> at {self.getpos()}'

  def handle_data(self, data):
    self.texts.append(data)

  def named(self, name: str) -> list[dict]:
    return [attributes for tag, attributes in self.tags if tag == name]

  @property
  def text(self) -> str:
    return ' '.join(self.texts)


@pytest.fixture(scope='module')
def text() -> str:
  return page_fixtures.made()


@pytest.fixture(scope='module')
def read(text) -> Read:
  return Read(text)


def test_ids_are_unique_and_every_reference_has_a_target(read):
  ids = [attributes['id'] for _, attributes in read.tags if 'id' in attributes]
  assert len(ids) == len(set(ids))
  anchors = [tag['href'] for tag in read.named('a')]
  assert len(anchors) > 10
  references = {anchor.removeprefix('#') for anchor in anchors}
  references |= {tag['xlink:href'].removeprefix('#') for tag in read.named('use')}
  for _, attributes in read.tags:
    references |= set((attributes.get('aria-labelledby') or '').split())
    references |= {
      name for value in attributes.values() for name in re.findall(r'url\(#([^)]+)\)', value or '')
    }
  assert references <= set(ids)


def test_every_figure_has_a_title_for_screen_readers(text):
  drawings = re.findall(r'<svg.*?</svg>', text, re.DOTALL)
  assert len(drawings) > 10
  for drawing in drawings:
    assert 'role="img"' in drawing
    assert re.search(r'<title [^>]*>[^<]+</title>', drawing)


def test_headings_start_with_one_h1_and_skip_no_level(read):
  levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r'h\d', tag)]
  assert levels.count(1) == 1
  assert levels[0] == 1
  assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_and_scopes_and_scroll_by_keyboard(text, read):
  for cells in (('hapt', 'lora'), ('hapt', '5/class', 'lora'), ('hapt', '16')):  # names of rows
    assert f'<th scope="row">{"".join(f"<span>{cell}</span> " for cell in cells)}</th>' in text
  assert len(read.named('caption')) == len(read.named('table')) > 5
  assert all(tag.get('scope') in ('row', 'col') for tag in read.named('th'))
  scrolled = [tag for tag in read.named('div') if tag.get('class') == 'scroll']
  assert len(scrolled) >= len(read.named('table'))
  assert all(tag['tabindex'] == '0' and tag['aria-label'] and tag['role'] == 'group' for tag in scrolled)


def test_nothing_is_loaded_from_elsewhere(text, read):
  assert not re.search(r'(src|srcset|action|poster)=|@import|url\((?!#)', text)
  assert all(tag['href'] == 'data:,' for tag in read.named('link'))
  assert set(re.findall(r'https?://[^"\s]+', text)) == {
    'http://www.w3.org/2000/svg',
    'http://www.w3.org/1999/xlink',
  }
  assert len(text) < 1_000_000


@pytest.mark.slow
def test_names_from_result_files_are_escaped():
  name = '<b>"&$'
  one = json.loads(json.dumps(result(target='x<script>y')).replace('"walking"', json.dumps(name)))
  text = page_fixtures.html([one], 'runs/<i>')
  read = Read(text)
  assert not read.named('b')
  assert not read.named('i')
  assert len(read.named('script')) == 1
  assert '&lt;b&gt;' in text
  assert name in read.text
  assert 'x<script>y' in read.text


def test_every_part_is_there(read):
  for title in (
    'How good is each method on each dataset?',
    '0.907 ± 0.007',  # of .9123 and .9023
    '0.969',  # as published, window-wise, of UCI HAR
    'lora, published',
    'Which differences are significant?',
    'How much does a window-wise split flatter?',
    'Table V',
    'Was training long enough?',
    'How much better are the surest answers?',
    'Error rate against coverage, hapt',
    'AURC',
    '0.031',
    'Which activities are confused?',
    'Macro-F1 against trained parameters',
    'Table VI',
    'Table VII',
    'har-jax report --results=runs/x --html',
  ):
    assert title in read.text, title


@pytest.mark.slow
def test_parts_without_content_are_left_out():
  text = Read(page_fixtures.html([result()])).text
  for missing in ('Which rank', 'Does pretraining help?'):
    assert missing not in text


def test_points_of_a_sweep_have_a_command(read):
  for flag in ('--lora_rank=8', '--lora_rank=16', '--label_budget=0.3', '--label_budget=5/class'):
    assert read.text.count(flag) == 1, flag


def test_the_finding_comes_first_with_the_best_values_marked(text):
  start = text[: text.index('<h2>')]
  assert start.index('<h1>') < start.index('<svg') < start.index('<table>') < start.index('<nav')
  assert re.findall(r'<strong title="best">([^<]+)</strong>', start) == ['0.907', '0.917']


def test_figures_come_before_tables_and_one_of_each_is_open(text):
  parts = text.split('<h2>')[1:]
  with_both = [part for part in parts if '<svg' in part and '<table>' in part]
  assert with_both
  assert all(part.index('<svg') < part.index('<table>') for part in with_both)
  assert all(part.count('<details open>') <= 2 for part in parts)


def test_every_command_of_the_page_is_one_that_its_program_takes(read):
  lines = [line for line in read.texts if line.startswith('har-jax ')]
  assert len(lines) > 5
  folders = []
  for line in lines:
    name, *arguments = shlex.split(line)[1:]
    values = main.load(name).FLAGS
    try:
      assert values(['har-jax', *arguments]) == ['har-jax']
      folders += [values['out'].value] if name == 'lodo' else []
    finally:
      values.unparse_flags()
  assert len(folders) == len(set(folders))  # a folder of other settings is refused
