"""README.md, BUILD.md and docs/: snippets and commands run, flags and links exist, figures are generated."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from har_jax import config

_ROOT = pathlib.Path(__file__).parents[1]
_PAGES = ('README.md', 'BUILD.md', *(f'docs/{path.name}' for path in sorted((_ROOT / 'docs').glob('*.md'))))
_WALKS = ('reproduce', 'adapt', 'export')  # in this order: export needs the adapter that adapt makes
# Steps enough to run every line; `make lodo` runs the full length.
_SHORTER = {'lodo': ('--pretrain_max_steps=4', '--finetune_max_steps=4'), 'adapt': ('--max_steps=4',)}
_FIGURE = re.compile(
  r'(?<![\w.])0?\.\d{2,3}(?!\w)'  # a macro-F1
  r'|± ?\d'
  r'|\d (percentage )?points\b'
  r'|\d ?(ms|s|MB|MiB|kB|GB|%|minutes|seconds|hours)(?![\w²])'
  r'|\d× (faster|slower|smaller|less)'
)
_NOT_MEASURED = ('JAX 0.12',)
_ABSL_FLAGS = {'flagfile', 'help', 'helpfull'}


def _read(page: str) -> str:
  return (_ROOT / page).read_text(encoding='utf-8')


def _blocks(page: str, language: str) -> list[str]:
  """Fenced blocks of a language."""
  return re.findall(rf'^```{language}\n(.*?)^```', _read(page), re.DOTALL | re.MULTILINE)


def _commands(walk: str) -> list[str]:
  """Commands that run as written. A command with a <placeholder> does not."""
  lines = [line for block in _blocks(f'docs/{walk}.md', 'sh') for line in block.splitlines()]
  return [line for line in lines if line.startswith('.venv/bin/python ') and '<' not in line]


def _without_generated(text: str) -> str:
  return re.sub(r'<!-- generated: .*?<!-- end of generated -->', '', text, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('page', 'snippet'), [(page, snippet) for page in _PAGES for snippet in _blocks(page, 'python')]
)
def test_a_python_snippet_runs_in_fresh_globals(
  page: str, snippet: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.chdir(tmp_path)
  exec(compile(snippet, page, 'exec'), {'__name__': '__main__'})


def test_the_readme_has_a_python_example_and_names_every_walk():
  assert _blocks('README.md', 'python')
  for walk in _WALKS:
    assert _commands(walk)
    assert f'docs/{walk}.md' in _read('README.md')


@pytest.fixture(scope='module')
def clone(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A folder that looks like a clone of the project, for the files that the commands write."""
  folder = tmp_path_factory.mktemp('clone')
  for name in ('docs', 'launch', 'har_jax'):
    (folder / name).symlink_to(_ROOT / name)
  return folder


@pytest.mark.slow
@pytest.mark.parametrize(
  ('walk', 'command'), [(walk, command) for walk in _WALKS for command in _commands(walk)]
)
def test_a_command_of_a_walk_writes_what_it_names(walk: str, command: str, clone: pathlib.Path):
  _, script, *arguments = shlex.split(command)
  if '--format=onnx' in arguments:
    pytest.importorskip('onnxruntime')
  shorter = _SHORTER.get(pathlib.Path(script).stem, ())
  done = subprocess.run(
    [sys.executable, script, *arguments, *shorter],
    cwd=clone,
    env=os.environ | {'PYTHONPATH': str(clone), 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    encoding='utf-8',
  )
  assert done.returncode == 0, done.stderr[-2000:]
  assert done.stdout
  for word in arguments:
    if word.startswith('--out='):
      assert (clone / word.removeprefix('--out=')).exists()


def _flags(script: str) -> set[str]:
  """The flags of a script of launch/, read from the source: absl allows one definition in a process."""
  module = (_ROOT / 'har_jax' / 'cli' / f'{script}.py').read_text(encoding='utf-8')
  sources = [module]
  for shared in ('command', 'recording'):
    if f'{shared}.define_' in module:
      sources.append((_ROOT / 'har_jax' / 'cli' / f'{shared}.py').read_text(encoding='utf-8'))
  names = {name for source in sources for name in re.findall(r"DEFINE_\w+\(\s*'(\w+)'", source)}
  if 'define_experiment' in module:
    experiment = config.Experiment()
    for part, prefix in config.FLAG_PREFIXES.items():
      names |= {f'{prefix}{name}' for name in vars(getattr(experiment, part))}
  return names | {f'no{name}' for name in names} | _ABSL_FLAGS


def _launch_commands() -> Iterator[tuple[str, str, list[str]]]:
  """File, script and flags of every launch command in the text files."""
  files = [_ROOT / page for page in _PAGES]
  for pattern in (
    'Makefile',
    'launch/flags/*',
    'launch/cloud/*',
    'har_jax/cli/*.py',
    'har_jax/assets/*/README.md',
  ):
    files += sorted(_ROOT.glob(pattern))
  for path in files:
    text = re.sub(r'\\\n\s*', '', path.read_text(encoding='utf-8'))
    for script, arguments in re.findall(r'launch/(\w+)\.py((?: (?:--)[^\s`]*)*)', text):
      yield path.name, script, re.findall(r'--(\w+)', arguments)
    if path.suffix == '.flags':
      yield (
        path.name,
        'paper' if path.stem == 'paper' else 'lodo',
        re.findall(r'^--(\w+)', text, re.MULTILINE),
      )


def test_every_command_in_the_docs_uses_flags_that_exist():
  unknown = [
    (file, f'launch/{script}.py', flag)
    for file, script, names in _launch_commands()
    for flag in names
    if flag not in _flags(script)
  ]
  assert not unknown


@pytest.mark.parametrize('page', _PAGES)
def test_every_flag_in_backticks_belongs_to_a_command(page: str):
  known = set().union(*(_flags(path.stem) for path in (_ROOT / 'launch').glob('*.py')))
  code = ' '.join(re.findall(r'`(--\w+[^`]*)`', _read(page)))
  assert not set(re.findall(r'--(\w+)', code)) - known


@pytest.mark.parametrize('page', _PAGES)
def test_every_relative_link_leads_to_a_file(page: str):
  links = re.findall(r'\]\((?!\w+:|#)([^)#]+)', _read(page))
  assert not [link for link in links if not ((_ROOT / page).parent / link).exists()]


@pytest.mark.parametrize('page', [page for page in _PAGES if page != 'BUILD.md'])
def test_a_measured_figure_stands_only_in_a_generated_block(page: str):
  text = _without_generated(_read(page))
  for phrase in _NOT_MEASURED:
    text = text.replace(phrase, '')
  assert not [line for line in text.splitlines() if _FIGURE.search(line)]


@pytest.mark.parametrize(
  'line',
  ['macro-F1 .979', 'LoRA reaches 0.95', '± 0.2', 'two and 2.4 points', '49.6 ms a step', '8.82 MiB', '30 %'],
)
def test_the_search_finds_a_measured_figure(line: str):
  assert _FIGURE.search(line)
  assert not _FIGURE.search(_without_generated(f'<!-- generated: x -->\n{line}\n<!-- end of generated -->'))


@pytest.mark.parametrize(
  'line',
  [
    '128 samples at 50 Hz',
    '--label_budget=0.7',
    '--label_budget=10/class',
    '9.81 m/s²',
    'Python 3.11',
    'arXiv:2512.17983',
  ],
)
def test_the_search_leaves_configuration_values_alone(line: str):
  assert not _FIGURE.search(line)
