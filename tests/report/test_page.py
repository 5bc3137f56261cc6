"""The page: well-formed, whole without a network, and true to the results. Nothing is measured in a browser here."""

import html.parser
import itertools
import json
import re
import subprocess
import sys

import pytest

from har_jax.errors import UserError
from har_jax.report import again, blocks, groups, page, pictures

VOID = {'meta', 'link', 'br', 'hr', 'img', 'input', 'wbr'}


class Read(html.parser.HTMLParser):
  """Tags as a tree would have them; refuses one closed out of turn."""

  def __init__(self, text: str):
    super().__init__()
    self.tags: list[tuple[str, dict]] = []
    self.text: list[str] = []
    self.open: list[str] = []
    self.feed(text)
    self.close()
    assert not self.open, f'never closed: {self.open}'

  def handle_starttag(self, tag, attributes):
    self.tags.append((tag, dict(attributes)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attributes):
    self.tags.append((tag, dict(attributes)))

  def handle_endtag(self, tag):
    assert self.open.pop() == tag, f'</{tag}> at {self.getpos()}'

  def handle_data(self, data):
    self.text.append(data)

  def named(self, name: str) -> list[dict]:
    return [attributes for tag, attributes in self.tags if tag == name]

  @property
  def ids(self) -> list[str]:
    return [attributes['id'] for _, attributes in self.tags if 'id' in attributes]


@pytest.fixture
def found(result):
  """Two splits, three ranks, three budgets; two seeds, validation and confusion."""
  options = [
    *({'method': method} for method in ('full', 'lora', 'qlora')),
    *({'method': method, 'split': 'window'} for method in ('full', 'lora')),
    *({'method': 'lora', 'rank': rank} for rank in (8, 16)),
    *(
      {'method': method, 'labels': labels}
      for method in ('full', 'lora')
      for labels in ('0.3', '10/class', '5/class')
    ),
  ]
  return [
    whole(result(target='hapt', seed=seed, macro_f1=0.9123 - 0.01 * seed - 0.001 * number, **each))
    for number, each in enumerate(options)
    for seed in (0, 1)
  ]


def whole(made: dict) -> dict:
  """With what only new results have."""
  made['validation'] = [{'step': step, 'macro_f1': 0.5 + step / 1000} for step in (100, 200, 300)]
  made['test']['confusion'] = [[90, 10], [0, 200]]
  made['step'] = 200
  return made


EMBEDDING = {
  'format': 'har_jax embedding 1',
  'target': 'hapt',
  'method': 'lora',
  'seed': 0,
  'split': 'subject',
  'classes': ['walking', 'sitting'],
  'label': [0, 1, 0],
  'before': [[0, 1], [2, 3], [4, 5]],
  'after': [[0, 0], [9, 9], [0, 1]],
}
RECONSTRUCTION = {
  'format': 'har_jax reconstruction 1',
  'target': 'hapt',
  'patch': 16,
  'windows': [
    {
      'dataset': 'wisdm',
      'hidden': [True] * 6 + [False] * 2,
      'signal': [[0.1] * 6] * 128,
      'reconstructed': [[0.2] * 6] * 128,
    }
  ],
}


def made(results: list, **options) -> str:
  return page.html(results, folder='results/x', **options)


def test_the_page_is_well_formed_with_every_name_once_and_no_anchor_into_nothing(found):
  read = Read(made(found, embeddings=[EMBEDDING], reconstructions=[RECONSTRUCTION]))
  assert len(read.ids) == len(set(read.ids))
  anchors = [each['href'] for each in read.named('a')]
  assert len(anchors) > 10
  assert {anchor.removeprefix('#') for anchor in anchors} <= set(read.ids)
  for _, attributes in read.tags:
    for name in (attributes.get('aria-labelledby') or '').split():
      assert name in read.ids
    for value in attributes.values():
      for name in re.findall(r'url\(#([^)]+)\)', value or ''):
        assert name in read.ids
  assert all(each['href'][1:] in read.ids for each in read.named('use'))


def test_every_drawing_says_what_it_is(found):
  text = made(found, embeddings=[EMBEDDING], reconstructions=[RECONSTRUCTION])
  drawings = re.findall(r'<svg.*?</svg>', text, re.DOTALL)
  assert len(drawings) > 10
  for drawing in drawings:
    assert 'role="img"' in drawing
    assert re.search(r'<title [^>]*>[^<]+</title><desc [^>]*>[^<]+</desc>', drawing)


def test_the_headings_are_one_first_and_never_skip_a_level(found):
  levels = [int(tag[1]) for tag, _ in Read(made(found)).tags if re.fullmatch(r'h\d', tag)]
  assert levels.count(1) == 1
  assert levels[0] == 1
  assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_and_scopes_and_scroll_within_what_a_keyboard_reaches(found):
  read = Read(made(found))
  assert len(read.named('caption')) == len(read.named('table')) > 5
  assert all(each.get('scope') in ('row', 'col') for each in read.named('th'))
  scrolled = [each for each in read.named('div') if each.get('class') == 'scroll']
  assert len(scrolled) >= len(read.named('table'))
  assert all(each['tabindex'] == '0' and each['aria-label'] and each['role'] == 'group' for each in scrolled)


def test_nothing_is_loaded_from_elsewhere(found):
  text = made(found, embeddings=[EMBEDDING])
  assert not re.search(r'(src|srcset|action|poster)=|@import|url\((?!#)', text)
  assert all(each['href'] == 'data:,' for each in Read(text).named('link'))
  assert set(re.findall(r'https?://[^"\s]+', text)) == {'http://www.w3.org/2000/svg'}  # a name, not a place
  assert len(text) < 3_000_000


def test_the_same_results_give_the_same_page(found):
  assert made(found) == made(found)


def test_names_are_text_and_never_markup(result):
  name = '<b>"&$'
  one = json.loads(json.dumps(whole(result(target='hapt'))).replace('"walking"', json.dumps(name)))
  one['identity']['target'] = 'x<script>y'
  one['identity']['windows']['x<script>y'] = one['identity']['windows'].pop('hapt')
  picture = EMBEDDING | {'classes': [name, 'sitting'], 'target': 'x<script>y'}
  text = made([one], embeddings=[picture])
  read = Read(text)
  assert not read.named('b')
  assert len(read.named('script')) == 1
  assert '&lt;b&gt;' in text
  assert name in ''.join(read.text)


def test_figures_stand_in_the_tables_as_they_do_in_markdown_beside_the_published_ones(found):
  text = ''.join(Read(made(found)).text)
  assert '0.907 ± 0.007' in text  # of .9123 and .9023
  assert '0.968 / 0.969 / 0.970 / 0.971¹' in text  # by window, of UCI HAR
  assert 'so optimistic' in text
  without = ''.join(Read(made(found, beside=False)).text)
  assert '0.969' not in without
  assert 'lora, published' not in without


def test_confusion_is_summed_over_seeds_and_a_share_of_its_row(result):
  one, two = (whole(result(seed=seed)) for seed in (0, 1))
  two['test']['confusion'] = [[100, 0], [1, 399]]
  text = made([one, two])
  # 190 of 200 walking windows; 599 of 600 sitting ones, which are not all of them.
  body = re.search(r'class="matrix".*?<tbody>(.*?)</tbody>', text, re.DOTALL)[1]
  assert re.findall(r'<td[^>]*>([^<]*)</td>', body) == ['95', '5', '200', '&lt;1', '&gt;99', '600']


@pytest.mark.parametrize(
  ('share', 'text'), [(0, ''), (0.001, '<1'), (0.5, '50'), (0.994, '99'), (0.999, '>99'), (1, '100')]
)
def test_no_percentage_is_rounded_to_all_or_nothing(share, text):
  assert blocks.percent(share) == text


def test_what_is_missing_is_said_with_the_command_that_makes_it(result):
  text = ''.join(Read(made([result()])).text)
  assert 'launch/paper.py --windows=windows --table=6' in text
  assert 'launch/paper.py --windows=windows --table=7' in text
  assert 'no embeddings.json below results/x' in text
  assert 'no reconstructions.json below results/x' in text
  assert 'hold no validation history' in text
  assert 'hold no confusion matrices' in text


def test_the_command_of_a_result_gives_its_experiment_again():
  from har_jax import config, config_fields

  for experiment in (
    config.Experiment(),
    config.Experiment.paper(),
    config.Experiment(
      lora=config.Lora(rank=8, targets=('query',)), precision=config.Precision(nf4_double=True)
    ),
    config.Experiment(model=config.Model(head=(64, 32)), protocol=config.Protocol(label_budget='10/class')),
  ):
    flags = again.flags_of(config_fields.to_json(experiment))
    code = (
      'import json, sys; from absl import flags; from launch import command; from har_jax import knobs;'
      'read = command.define_experiment(); flags.FLAGS(sys.argv); print(json.dumps(knobs.to_json(read())))'
    )
    done = subprocess.run([sys.executable, '-c', code, *flags], capture_output=True, text=True)
    assert json.loads(done.stdout) == config_fields.to_json(experiment), done.stderr


def test_targets_pretrained_on_all_others_share_a_command_and_the_rest_name_their_sources(result):
  (together,) = again.commands(groups.group([result(target='dsads'), result(target='hhar')])[0])
  assert '--targets=dsads,hhar --methods=full --seeds=0' in together
  (group,) = groups.group([result(target='wisdm'), result(target='dsads')])  # dsads without wisdm
  assert [('--sources=dsads,hhar' in each, '--sources=hhar' in each) for each in again.commands(group)] == [
    (False, False),
    (False, True),
  ]


# --- files of pictures


def test_pictures_are_found_at_any_depth(tmp_path):
  for path, picture in (('a/b/embeddings.json', EMBEDDING), ('a/reconstructions.json', RECONSTRUCTION)):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(json.dumps(picture))
  assert pictures.embeddings(tmp_path) == [EMBEDDING]
  assert pictures.reconstructions(tmp_path) == [RECONSTRUCTION]


@pytest.mark.parametrize(
  ('picture', 'why'),
  [
    (EMBEDDING | {'format': 'other'}, "its format is 'other'"),
    ({name: each for name, each in EMBEDDING.items() if name != 'label'}, 'it lacks label'),
    (EMBEDDING | {'before': [[0, 1]]}, "'before' has not a place for each of 3 labels"),
    (EMBEDDING | {'label': [0, 1, 2]}, 'a label is none of'),
  ],
)
def test_an_embedding_that_does_not_fit_is_refused(picture, why, tmp_path):
  (tmp_path / 'embeddings.json').write_text(json.dumps(picture))
  with pytest.raises(UserError, match=why):
    pictures.embeddings(tmp_path)


def test_a_reconstruction_that_does_not_fit_is_refused(tmp_path):
  (tmp_path / 'reconstructions.json').write_text(json.dumps(RECONSTRUCTION | {'patch': 8}))
  with pytest.raises(UserError, match=r"'signal' is \(128, 6\); its tokens make it \(64, 6\)"):
    pictures.reconstructions(tmp_path)


# --- the script


def test_the_script_writes_the_page_beside_the_table(found, tmp_path):
  from test_report_script import report, write

  write(tmp_path, found[:2])
  done = report(f'--results={tmp_path}', '--html')
  assert (done.returncode, done.stderr) == (0, '')
  assert done.stdout.splitlines()[-1] == str(tmp_path / 'report.html')
  assert 'Table II' in (tmp_path / 'report.html').read_text(encoding='utf-8')


def test_a_sweeps_points_have_their_command_and_no_table_of_their_own(found):
  made_page = made(found)
  text = ' '.join(Read(made_page).text)
  assert '26 runs in 7 experiments' in text
  assert 'Split by subject, labels 0.7: mean' in text
  assert 'labels 0.3: mean' not in text
  assert '5 points of sweeps over rank or labels' in text
  for flag in ('--lora_rank=8', '--lora_rank=16', '--labels=0.3', '--labels=10/class', '--labels=5/class'):
    assert text.count(flag) == 1, flag


def test_a_start_from_scratch_is_in_no_picture_of_costs(result):
  found = [whole(result(target='hapt', method=method)) for method in ('full', 'lora', 'scratch')]
  assert '>lora<' in page.headline(found)
  assert '>scratch<' not in page.headline(found)


def test_the_page_has_the_tests_and_gaps_that_the_markdown_has(found):
  text = ''.join(Read(made(found)).text)
  for title in (
    'Against full fine-tuning',
    'What a split by window gives away',
    'Table V. Seconds of training',
  ):
    assert title in text


@pytest.mark.parametrize('module', ['jinja2', 'matplotlib'])
def test_without_its_tools_the_page_names_the_extra(module, result, monkeypatch):
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None if name == module else object())
  with pytest.raises(UserError, match=rf"needs {module}.*'har_jax\[report\]'"):
    page.refuse_without_tools()
