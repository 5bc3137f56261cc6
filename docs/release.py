"""Make a release: python docs/release.py 0.2.0. docs/release.md says what comes before and after it."""

import datetime
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).parents[1]
VERSION, CHANGELOG = ROOT / 'har_jax' / '__init__.py', ROOT / 'CHANGELOG.md'
_FORM = re.compile(r'\d+\.\d+\.\d+')


def released(version: str, date: str, code: str, changelog: str) -> tuple[str, str]:
  """har_jax/__init__.py with the version, and the changelog with the date of its newest part.

  Raises SystemExit unless the newest part is of this version and not released yet.
  """
  heading = f'## {version} (not released yet)\n'
  first = re.search(r'^## .*\n', changelog, re.MULTILINE)
  if not _FORM.fullmatch(version) or first is None or first[0] != heading:
    sys.exit(f'CHANGELOG.md must begin with "{heading.strip()}", and the version have the form 1.2.3')
  code, count = re.subn(r"^__version__ = '.*'$", f"__version__ = '{version}'", code, flags=re.MULTILINE)
  assert count == 1
  return code, changelog.replace(heading, f'## {version} ({date})\n')


def main(version: str) -> None:
  """Writes version and date, builds and checks wheel and sdist, commits, and sets the tag."""
  if _output('git', 'status', '--porcelain'):
    sys.exit('commit your changes first')
  if _output('git', 'tag', '--list', f'v{version}'):
    sys.exit(f'the tag v{version} exists')
  before = VERSION.read_text(encoding='utf-8'), CHANGELOG.read_text(encoding='utf-8')
  code, changelog = released(version, datetime.date.today().isoformat(), *before)
  try:
    VERSION.write_text(code, encoding='utf-8')
    CHANGELOG.write_text(changelog, encoding='utf-8')
    shutil.rmtree(ROOT / 'dist', ignore_errors=True)
    _run('make', 'dist')
    for file in (f'har_jax-{version}-py3-none-any.whl', f'har_jax-{version}.tar.gz'):
      _check(ROOT / 'dist' / file, version)
  except BaseException:
    VERSION.write_text(before[0], encoding='utf-8')
    CHANGELOG.write_text(before[1], encoding='utf-8')
    raise
  _run('git', 'commit', '--quiet', '--message', f'Release {version}', str(VERSION), str(CHANGELOG))
  _run('git', 'tag', '--annotate', f'v{version}', '--message', f'har_jax {version}')
  print(f'Release {version} is committed and tagged. Next:\n  git push --follow-tags\n  twine upload dist/*')


def _check(file: pathlib.Path, version: str) -> None:
  """Installs a distribution into an empty environment. Raises SystemExit unless it says its version."""
  with tempfile.TemporaryDirectory() as folder:
    venv.create(folder, with_pip=True)
    scripts = pathlib.Path(folder) / ('Scripts' if sys.platform == 'win32' else 'bin')
    _run(str(scripts / 'python'), '-m', 'pip', 'install', '--quiet', str(file))
    shown = _output(str(scripts / 'har-jax'), '--version')
    if shown != f'har_jax {version}':
      sys.exit(f'{file.name} says {shown!r}')


def _run(*command: str) -> None:
  subprocess.run(command, cwd=ROOT, check=True)


def _output(*command: str) -> str:
  return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == '__main__':
  main(*sys.argv[1:])
