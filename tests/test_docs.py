"""README.md, BUILD.md, docs/ and docstrings: examples run, flags and links exist, figures are generated."""

import doctest
import importlib
import pathlib
import re
import runpy
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator

import pytest
import tiny_flags
import yaml
from in_process import run_in_process
from small_baselines import small_baselines  # noqa: F401

from har_jax import export, methods
from har_jax.cli import main
from har_jax.errors import UserError
from har_jax.report import markdown

_ROOT = pathlib.Path(__file__).parents[1]
_DOCS = [path.relative_to(_ROOT).as_posix() for path in sorted((_ROOT / 'docs').rglob('*.md'))]
_PAGES = ('README.md', 'BUILD.md', 'CONTRIBUTING.md', 'CHANGELOG.md', *_DOCS)
_OTHER_PAGES = (
  'Makefile',
  'har_jax/assets/base/README.md',
  *(
    path.relative_to(_ROOT).as_posix()
    for folder in ('launch/flags', 'launch/cloud', 'launch/bench', 'har_jax/cli')
    for path in sorted((_ROOT / folder).iterdir())
    if path.is_file()
  ),
)
_FIRST = ('docs/index.md', 'docs/adapt.md', 'docs/reproduce.md')
# In the order of the site: pages use what earlier ones made, and none is in the way of another.
_WALKS = [
  f'docs/{page}'
  for section in yaml.safe_load((_ROOT / 'mkdocs.yml').read_text(encoding='utf-8'))['nav']
  for entries in section.values()
  for entry in entries
  for page in entry.values()
  if f'docs/{page}' in _DOCS
]
# Small enough to test; `make lodo` runs the full size.
_SMALLER = {
  'lodo': (
    *('--pretrain_max_steps=4', '--pretrain_num_evals=1', '--finetune_max_steps=4', '--finetune_num_evals=1'),
    *(*tiny_flags.MODEL, *tiny_flags.PLAIN, '--supervised_pretraining_steps=4', '--methods=lora'),
  ),
  'adapt': ('--max_steps=4', '--method=probe'),
  'federate': ('--rounds=1', '--local_steps=1', '--method=probe'),
  'continual': ('--steps_per_domain=2', '--people=3', '--method=probe'),
}
_FIGURE = re.compile(
  r'(?<![\w.])0?\.\d{2,3}(?!\w)'  # a macro-F1
  r'|± ?\d'
  r'|\d (percentage )?points\b'
  r'|\d ?(ms|s|MB|MiB|kB|GB|%|minutes|seconds|hours)(?![\w²])'
  r'|\d× (faster|slower|smaller|less)'
)
# Scripts that fill a block of a page.
_SCRIPTS = [
  path.relative_to(_ROOT).as_posix()
  for path in sorted((_ROOT / 'docs').rglob('*.py'))
  if '\ndef block() ' in path.read_text(encoding='utf-8')
]
_BENCH = {'bench': 'launch.bench.__main__', 'bench.nf4': 'launch.bench.nf4'}
_NOT_MEASURED = ('JAX 0.12', 'jax2onnx 0.17', "the paper's 70 %")

_MODULES = [
  '.'.join(path.relative_to(_ROOT).with_suffix('').parts)
  for path in sorted((_ROOT / 'har_jax').rglob('*.py'))
  if '>>> ' in path.read_text(encoding='utf-8')
]


def _read(page: str) -> str:
  return (_ROOT / page).read_text(encoding='utf-8')


def _blocks(page: str, language: str) -> list[str]:
  """Fenced blocks of a language."""
  return re.findall(rf'^```{language}\n(.*?)^```', _read(page), re.DOTALL | re.MULTILINE)


def _commands(page: str) -> list[str]:
  """Commands that run as written. A command with a <placeholder> does not."""
  lines = [line for block in _blocks(page, 'sh') for line in block.splitlines()]
  return [line for line in lines if re.match('har-jax |python (docs|runs)/', line) and '<' not in line]


def _snippets(page: str) -> list[tuple[str, str | None]]:
  """Python blocks, each with the text block right after it: what it prints."""
  pattern = r'^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?'
  return re.findall(pattern, _read(page), re.DOTALL | re.MULTILINE)


def _as_pattern(shown: str) -> str:
  """A pattern of an output as a page shows it: a line of three dots stands for any lines."""
  lines = ''.join('(?:.*\n)*?' if line == '...' else f'{re.escape(line)} *\n' for line in shown.splitlines())
  return rf'\A{lines}\Z'


def _without_generated(text: str) -> str:
  return re.sub(r'<!-- generated: .*?<!-- end of generated -->', '', text, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('page', 'snippet', 'shown'), [(page, *snippet) for page in _PAGES for snippet in _snippets(page)]
)
def test_a_python_snippet_prints_what_its_page_shows(page, snippet, shown, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  before = dict(methods.METHODS)
  try:
    exec(compile(snippet, page, 'exec'), {'__name__': '__main__'})
  finally:
    methods.METHODS.clear()  # a snippet may add one
    methods.METHODS.update(before)
  if shown:
    assert re.match(_as_pattern(shown), capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize('module', _MODULES)
def test_examples_of_docstrings_run_in_fresh_globals(module):
  # Not doctest.testmod: its globals are the module's, where a forgotten import is not noticed.
  tests = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), globs={})
  runner = doctest.DocTestRunner()
  for test in tests:
    runner.run(test)
  assert runner.tries > 0
  assert runner.failures == 0


def test_the_recognizer_has_an_example():
  assert 'har_jax.recognizer.recognizer' in _MODULES


def test_the_readme_is_short_and_has_few_figures():
  text = _without_generated(_read('README.md'))
  assert len(_read('README.md').splitlines()) < 100
  assert len(re.findall(r'\d[\d.,:]*', text)) < 40
  assert len(re.findall(r'\d\.\d', _read('README.md'))) <= 60


def test_the_first_screen_of_the_readme_names_the_commands_that_do_everything():
  screen = '\n'.join(_read('README.md').splitlines()[:45])
  assert _blocks('README.md', 'sh')[0].split('\n')[0].startswith('make lodo ')
  for shown in ('make lodo', 'make test', 'docs/adapted_timeline.svg', 'pip install'):
    assert shown in screen


def test_the_readme_has_a_python_example_and_names_the_first_walks():
  assert _blocks('README.md', 'python')
  for page in _FIRST:
    assert _commands(page)
    assert page in _read('README.md')


@pytest.mark.parametrize('page', [page for page in _DOCS if page.startswith('docs/results/')])
def test_a_report_begins_with_five_plain_lines(page):
  title, empty, *lines = _read(page).splitlines()
  assert (title[:2], empty) == ('# ', '')
  assert [re.match(r'- \*\*(\w+):\*\* \S', line)[1] for line in lines[:5]] == [  # type: ignore[index]
    *('Asked', 'Measured', 'Answer', 'Data', 'Again')
  ]
  assert '`' in lines[4]  # a command


@pytest.mark.parametrize('page', _DOCS)
def test_the_site_leads_to_every_page(page):
  assert f': {page.removeprefix("docs/")}\n' in _read('mkdocs.yml')


def test_dots_in_a_shown_output_stand_for_whole_lines_only():
  pattern = _as_pattern('...\nstairs  2.0\n...\n')
  assert re.match(pattern, 'stairs  2.0\n')
  assert re.match(pattern, 'minutes\nstairs  2.0\nrecorded  6.0\n')
  assert not re.match(pattern, 'stairs  3.0\n')
  assert not re.match(pattern, 'stairs  2.05\n')


@pytest.fixture(scope='module')
def clone(tmp_path_factory) -> pathlib.Path:
  """A folder that looks like a clone of the project, for the files that the commands write."""
  folder = tmp_path_factory.mktemp('clone')
  for name in ('docs', 'launch', 'har_jax'):
    (folder / name).symlink_to(_ROOT / name)
  return folder


@pytest.fixture(scope='module')
def printed() -> dict[str, str]:
  """What each command printed: the README and docs/index.md have the same ones."""
  return {}


def _run(
  line: str,
  printed: dict[str, str],
  monkeypatch: pytest.MonkeyPatch,
  capsys: pytest.CaptureFixture[str],
) -> str:
  """Runs a command in small, unless it has run, and returns what it prints."""
  if line in printed:
    return printed[line]
  program, name, *arguments = shlex.split(line)
  if '--format=onnx' in arguments:
    pytest.importorskip('onnxruntime')
  if 'federate' in line:
    pytest.importorskip('ray')
  if '--format=web' in arguments:
    try:
      export.check_installed('web')
    except UserError as error:
      pytest.skip(str(error))
  if name == 'federate':  # in a process of its own, since Ray forks, which JAX warns of where it has run
    command = [sys.executable, '-m', 'har_jax', name, *arguments, *_SMALLER[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    code, out, err = done.returncode, done.stdout, done.stderr
  elif program == 'har-jax':
    code, out, err = run_in_process(name, *arguments, *_SMALLER.get(name, ()))
  else:
    monkeypatch.setattr(sys, 'argv', [name, *arguments])
    with pytest.raises(SystemExit) as ended:
      runpy.run_path(name, run_name='__main__')
    code, (out, err) = ended.value.code, capsys.readouterr()
  assert code == 0, err[-2000:]
  printed[line] = out
  return out


@pytest.mark.slow
@pytest.mark.parametrize('line', dict.fromkeys(line for page in _WALKS for line in _commands(page)))
def test_the_commands_of_the_site_run_one_after_another_in_one_folder(
  line, clone, printed, monkeypatch, capsys
):
  monkeypatch.chdir(clone)
  line = line.replace('runs/first/', 'runs/')  # as in the README
  assert _run(line, printed, monkeypatch, capsys)
  for argument in shlex.split(line):
    if argument.startswith('--out='):
      assert (clone / argument.removeprefix('--out=')).exists()


@pytest.mark.slow
def test_the_commands_of_the_readme_print_what_it_shows(clone, printed, monkeypatch, capsys):
  monkeypatch.chdir(clone)
  (made,) = re.findall(r'`(python docs/[^`]+)`', _read('README.md'))
  _run(made, printed, monkeypatch, capsys)
  (block,) = _blocks('README.md', 'console')
  for shown in block.split('$ ')[1:]:
    line, _, output = shown.partition('\n')
    assert re.match(_as_pattern(output), _run(line, printed, monkeypatch, capsys)), line


def _module(command: str) -> types.ModuleType:
  """A command of har-jax, or a script of launch/bench."""
  return main.load(command) if command in main.COMMANDS else importlib.import_module(_BENCH[command])


def _flags(command: str) -> set[str]:
  values = _module(command).FLAGS
  return {f'{no}{name}' for name in values for no in ('', 'no')} | {'flagfile', 'help', 'helpfull'}


def _commands_in(page: str) -> Iterator[tuple[str, list[str]]]:
  """Command and flag names, from `har-jax <command>`, `launch/<command>.py`, `python -m launch.bench`."""
  text = re.sub(r'\\\n\s*', '', _read(page))
  for command, arguments in re.findall(
    r'(?:har-jax |launch/|-m launch\.)([\w.]+?)(?:\.py)?(?![\w.])([^\n`#]*)', text
  ):
    if command in (*main.COMMANDS, *_BENCH):
      yield command, re.findall(r'--(\w+)', arguments)


@pytest.mark.parametrize('page', [*_PAGES, *_OTHER_PAGES])
def test_every_command_is_written_with_flags_that_it_has(page):
  assert not {
    (command, name) for command, names in _commands_in(page) for name in names if name not in _flags(command)
  }


@pytest.mark.parametrize('page', _PAGES)
def test_every_flag_in_backticks_belongs_to_a_command(page):
  script = re.findall(
    r'^  \'(\w+)\': \{', _read('har_jax/export/predict.py'), flags=re.MULTILINE
  )  # next to a model
  flags = set(script).union(*map(_flags, (*main.COMMANDS, *_BENCH)))
  code = ' '.join(re.findall(r'`(--\w+[^`]*)`', _read(page)))
  assert not set(re.findall(r'--(\w+)', code)) - flags


def test_every_flag_that_a_message_gives_a_value_belongs_to_a_command():
  texts = [path.read_text() for path in (_ROOT / 'har_jax').rglob('*.py') if path.name != 'predict.py']
  named = set(re.findall(r'--(\w+)=', ' '.join(texts)))
  assert named - set().union(*map(_flags, main.COMMANDS)) == {'flag', 'name'}  # any flag's place


@pytest.mark.parametrize('page', _PAGES)
def test_every_relative_link_leads_to_a_file(page):
  links = re.findall(r'\]\((?!\w+:|#)([^)#]+)', _read(page))
  assert not [link for link in links if not ((_ROOT / page).parent / link).exists()]


@pytest.mark.parametrize('page', _PAGES)
def test_a_measured_figure_stands_only_in_a_generated_block(page):
  text = _without_generated(_read(page))
  for phrase in _NOT_MEASURED:
    text = text.replace(phrase, '')
  assert not [line for line in text.splitlines() if _FIGURE.search(line)]


@pytest.mark.slow
@pytest.mark.parametrize('script', _SCRIPTS)
def test_tables_and_pictures_follow_from_the_tables_of_results(script, monkeypatch):
  monkeypatch.syspath_prepend((_ROOT / script).parent)  # one study imports another
  made = runpy.run_path(str(_ROOT / script))
  page = made['PAGE'].read_text(encoding='utf-8')
  assert markdown.fill(page, f'python {script}', made['block']()) == page
  if 'PICTURE' in made:
    assert f'>{made["caption"]()}</title>' in made['PICTURE'].read_text(encoding='utf-8')


@pytest.mark.parametrize(
  'figure',
  ['macro-F1 .979', 'LoRA reaches 0.95', '± 0.2', 'two and 2.4 points', '49.6 ms a step', '8.82 MiB', '30 %'],
)
def test_the_search_finds_a_measured_figure(figure):
  assert _FIGURE.search(figure)
  assert not _FIGURE.search(_without_generated(f'<!-- generated: x -->\n{figure}\n<!-- end of generated -->'))


def test_the_search_leaves_configuration_values_alone():
  budgets = '--label_budget=0.7 --label_budget=10/class'
  assert not _FIGURE.search(f'128 samples at 50 Hz, {budgets}, 9.81 m/s², Python 3.11, arXiv:2512.17983')
