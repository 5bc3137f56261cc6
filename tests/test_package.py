"""The package as users install it: metadata, what a wheel holds, and that it works away from a clone."""

import ast
import importlib.metadata
import pathlib
import re
import runpy
import subprocess
import sys
import tomllib
import venv
import zipfile

import pytest
import yaml

import har_jax
from har_jax import storage
from har_jax.cli import main

_ROOT = pathlib.Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / 'pyproject.toml').read_text(encoding='utf-8'))['project']
_PYTHONS = re.findall(r'Python :: (3\.\d+)', '\n'.join(_PROJECT['classifiers']))
# Runs in a fresh environment: the flags of every command, and a prediction with the bundled base.
_SCRIPT = """
import sys
import numpy as np
import har_jax
from har_jax import Recognizer
from har_jax.cli import main
assert har_jax.__file__.startswith(sys.prefix), har_jax.__file__
for command in main.COMMANDS:
  assert main.main([command, '--help']) == 0
still = np.array([0, 0, 9.8, 0, 0, 0]) + 0.01 * np.random.default_rng(0).standard_normal((1, 128, 6))
recognizer = Recognizer.load()
print('answer:', recognizer.predict(still)[0])
"""


def _text(name: str) -> str:
  return (_ROOT / name).read_text(encoding='utf-8')


def test_the_version_stands_in_one_place():
  assert 'version' in _PROJECT['dynamic']
  assert 'version' not in yaml.safe_load(_text('CITATION.cff'))
  assert re.findall(r'^## (\S+)', _text('CHANGELOG.md'), re.MULTILINE)[0] == har_jax.__version__


def test_the_changelog_names_every_command():
  assert not [name for name in main.COMMANDS if not re.search(rf'[` ]{name}`', _text('CHANGELOG.md'))]


def test_a_release_changes_version_and_date_and_refuses_another_changelog():
  made = runpy.run_path(str(_ROOT / 'docs' / 'release.py'))
  code = "__version__ = '0.1.0'\n"
  changelog = '# Changelog\n\n## 0.2.0 (not released yet)\n\n- New.\n\n## 0.1.0 (2026-01-01)\n'
  assert made['released']('0.2.0', '2026-02-03', code, changelog) == (
    "__version__ = '0.2.0'\n",
    changelog.replace('(not released yet)', '(2026-02-03)'),
  )
  for version, text in (
    ('0.3.0', changelog),
    ('0.2', changelog),
    ('0.1.0', changelog),
    ('0.2.0', '# Changelog\n'),
  ):
    with pytest.raises(SystemExit, match='must begin with'):
      made['released'](version, '2026-02-03', code, text)


def test_the_command_says_its_version(capsys):
  assert main.main(['--version']) == 0
  assert capsys.readouterr().out == f'har_jax {har_jax.__version__}\n'


def test_the_page_says_what_every_dependency_and_extra_is_for():
  names = [re.match(r'[\w-]+', dependency)[0] for dependency in _PROJECT['dependencies']]  # type: ignore[index]
  purposes = runpy.run_path(str(_ROOT / 'docs' / 'weight.py'))['purposes']()
  assert list(purposes) == names
  rows = re.findall(r'^\| (\S+) +\| (.+?) +\| +[\d.]+ \|$', _text('docs/install.md'), re.MULTILINE)
  assert dict(rows) == purposes
  extras = re.findall(r'^\| ((?:`[\w-]+`,? ?)+) \|', _text('docs/install.md'), re.MULTILINE)
  assert set(re.findall('[\\w-]+', ' '.join(extras))) == set(_PROJECT['optional-dependencies'])


def test_a_bucket_needs_the_package_of_the_extra_that_it_names():
  extras = _PROJECT['optional-dependencies']
  assert {scheme: extras[scheme][0].partition('>')[0] for scheme in storage._DRIVERS} == storage._DRIVERS


def test_the_workflow_runs_the_checks_on_every_python_that_the_package_names():
  jobs = yaml.safe_load(_text('.github/workflows/test.yml'))['jobs']
  assert jobs['test']['strategy']['matrix']['python'] == _PYTHONS
  assert _PROJECT['requires-python'] == f'>={_PYTHONS[0]}'
  commands = [step['run'] for job in jobs.values() for step in job['steps'] if 'run' in step]
  assert '.ci/run' in commands
  assert jobs['portable']['strategy']['matrix']['system'] == ['macos-latest', 'windows-latest']
  targets = re.findall(r'^(\w[\w-]*):', _text('Makefile'), re.MULTILINE)
  assert not [line for line in commands if line.startswith('make ') and line.split()[1] not in targets]


# Skips for another reason than a missing package → a workflow's command that runs them; or why none does.
_SKIPS = {
  'tests/conftest.py': 'real recordings may not be passed on',
  'tests/export/test_formats.py': 'make web export-env',
  'tests/export/test_web.py': 'make web export-env',
  'tests/federated/test_processes.py': 'EXTRAS=dev,federated',
  'tests/fuzz/test_kills.py': 'kills KILLS=40',
  'tests/test_docs.py': 'make web test EXTRAS=dev,test-optional',
}
_PACKAGES = {'kubernetes_validate': 'kubernetes-validate', 'ray': 'flwr[simulation]'}


def _packages(extra: str) -> set[str]:
  """Packages of an extra, with their own extras, and of the extras of this package that it names."""
  names: set[str] = set()
  for line in _PROJECT['optional-dependencies'][extra]:
    name, _, extras = re.split(r'[<>=]', line)[0].partition('[')
    parts = extras.rstrip(']').split(',')
    own = {name, *(f'{name}[{part}]' for part in parts)}
    names |= set().union(*map(_packages, parts)) if name == 'har_jax' else own
  return names


def test_what_is_skipped_without_a_package_runs_in_a_job_of_the_workflow():
  workflows = _text('.github/workflows/test.yml') + _text('.github/workflows/nightly.yml')
  extras = {'dev', *','.join(re.findall(r'EXTRAS=([\w,-]+)', workflows)).split(',')}
  packages = set().union(*map(_packages, extras))
  needed, other = {}, set()
  for path in sorted((_ROOT / 'tests').rglob('*.py')):
    text, name = path.read_text(), path.relative_to(_ROOT).as_posix()
    for module in re.findall(r"importorskip\('([\w.]+)'", text):
      needed[_PACKAGES.get(module.partition('.')[0], module.partition('.')[0])] = name
    if re.search(r'pytest\.(mark\.)?skip(if)?\(', text) and path != pathlib.Path(__file__):
      other.add(name)
  for module in re.findall(r"^  '\w+': '(\w+)',$", _text('tests/recordings/exports.py'), re.MULTILINE):
    needed[_PACKAGES.get(module, module)] = 'tests/recordings/exports.py'
  assert len(needed) > 10
  assert {package: name for package, name in needed.items() if package not in {*packages, 'launch'}} == {}
  assert other == _SKIPS.keys()
  assert all(command in workflows for command in _SKIPS.values() if ' may not ' not in command)


_ABSENT = re.compile(r'^import (fcntl|pty|pwd|resource|termios)$', re.MULTILINE)  # on Windows
_LINUX = re.compile(r'\bSIGKILL\b|\bos\.(sched_|sysconf|fork|killpg)|/proc/|\bresource\.\w')


def test_modules_of_tests_import_everywhere_and_what_needs_linux_says_so():
  files = [path for folder in ('tests', 'launch') for path in sorted((_ROOT / folder).rglob('*.py'))]
  assert [str(path) for path in files if _ABSENT.search(path.read_text(encoding='utf-8'))] == []
  marked, unmarked = 0, []
  for path in (path for path in files if path.name.startswith('test_') and path != pathlib.Path(__file__)):
    text = path.read_text(encoding='utf-8')
    parts = {name: part for part in ast.parse(text).body for name in _defined(part)}
    sources = {name: ast.unparse(part) for name, part in parts.items()}
    helpers = {name for name, source in sources.items() if 'test_' not in name and _LINUX.search(source)}
    for name, source in sources.items():
      if name.startswith('test_') and (_LINUX.search(source) or helpers & set(re.findall(r'\w+', source))):
        marked += 'mark.linux' in source
        unmarked += [] if 'mark.linux' in source else [f'{path.name}::{name}']
  assert unmarked == []
  assert marked > 5


def _defined(part: ast.stmt) -> list[str]:
  """Names that a statement of a module defines."""
  if isinstance(part, ast.FunctionDef):
    return [part.name]
  targets = part.targets if isinstance(part, ast.Assign) else []
  return [target.id for target in targets if isinstance(target, ast.Name)]


def test_the_image_installs_extras_that_the_package_has():
  extras = re.findall(
    r'EXTRAS=([\w,-]+)', _text('launch/cloud/Dockerfile') + _text('launch/cloud/gke_tpu.yaml')
  )
  assert len(extras) > 3
  assert not set(','.join(extras).split(',')) - set(_PROJECT['optional-dependencies'])


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> pathlib.Path:
  pytest.importorskip('hatchling')
  folder = tmp_path_factory.mktemp('dist')
  command = [sys.executable, '-m', 'hatchling', 'build', '-t', 'wheel', '-d', str(folder)]
  subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
  (built,) = folder.glob('*.whl')
  return built


def test_a_wheel_holds_code_types_base_experiments_and_job_specs(wheel):
  names = set(zipfile.ZipFile(wheel).namelist())
  package = {
    path for path in (_ROOT / 'har_jax').rglob('*') if path.is_file() and '__pycache__' not in path.parts
  }
  assert not {path.relative_to(_ROOT).as_posix() for path in package} - names
  assert 'har_jax/py.typed' in names
  for folder in ('flags', 'cloud'):
    for path in (_ROOT / 'launch' / folder).iterdir():
      assert f'har_jax/assets/{folder}/{path.name}' in names
  assert {name.split('/')[0] for name in names} == {'har_jax', f'har_jax-{har_jax.__version__}.dist-info'}


@pytest.mark.slow
def test_a_wheel_answers_in_a_fresh_environment(wheel, tmp_path):
  venv.create(tmp_path / 'env', with_pip=False, symlinks=True)
  python = tmp_path / 'env' / 'bin' / 'python'
  (site,) = (tmp_path / 'env').glob('lib/*/site-packages')
  zipfile.ZipFile(wheel).extractall(site)  # as an installer does; pip would take seconds
  # The dependencies are those of this environment; what its .pth files add, such as this clone, is not.
  installed = pathlib.Path(str(importlib.metadata.distribution('numpy').locate_file('')))
  (site / 'dependencies.pth').write_text(f'{installed}\n', encoding='utf-8')
  ran = subprocess.run([python, '-c', _SCRIPT], cwd=tmp_path, env={}, capture_output=True, text=True)
  assert ran.returncode == 0, ran.stderr[-2000:]
  assert ran.stdout.splitlines()[-1].startswith('answer: ')
