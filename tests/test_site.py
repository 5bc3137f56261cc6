"""The documentation as a site: it builds without a warning, and its pages need no network."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from har_jax.cli import main

_ROOT = pathlib.Path(__file__).parents[1]
# The statistics of all runs take half a minute; these have every kind of table.
_BUILD = """
from har_jax.report import frame
from mkdocs.__main__ import cli
read = frame.read_csv
frame.read_csv = lambda path: read(path).query(
  'target in ("hapt", "wisdm") and method in ("lora", "full", "scratch", "forest") and seed < 2 and '
  'experiment.str.contains("^(?:recommended|paper/(?:base|rank-8|rank-64|rotation)|supervised|tta)$")'
)
cli()
"""
_LOADED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="?((?:https?:)?//[^" >]+)')


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> pathlib.Path:
  for package in ('material', 'mkdocstrings_handlers'):
    pytest.importorskip(package, reason='needs the extra `docs`')
  folder = tmp_path_factory.mktemp('site')
  command = [sys.executable, '-c', _BUILD, 'build', '--strict', '--quiet', '--site-dir', str(folder)]
  environment = os.environ | {'NO_MKDOCS_2_WARNING': '1', 'PYTHONPATH': str(_ROOT)}
  built = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True)
  assert built.returncode == 0, built.stderr[-2000:]
  return folder


def _pages(site: pathlib.Path) -> dict[str, str]:
  return {
    path.relative_to(site).as_posix(): path.read_text(encoding='utf-8') for path in site.rglob('*.html')
  }


@pytest.mark.slow
def test_a_page_loads_nothing_from_another_place(site):
  pages = _pages(site)
  assert len(pages) > 20
  assert not [(name, address) for name, text in pages.items() for address in _LOADED.findall(text)]
  style = ''.join(path.read_text(encoding='utf-8') for path in site.rglob('*.css'))
  assert not re.findall(r'url\(["\']?(?:https?:)?//[^)]*|@import[^;]*', style)


@pytest.mark.slow
def test_the_reference_has_every_command_and_the_recognizer(site):
  pages = _pages(site)
  assert not [name for name in main.COMMANDS if f'id="{name}"' not in pages['commands.html']]
  assert 'id="har_jax.recognizer.recognizer.Recognizer.fit"' in pages['api.html']


@pytest.mark.slow
def test_the_results_have_the_table_of_the_readme_and_lead_to_all_others(site):
  pages = _pages(site)
  rows = re.findall(r'^\| (lora .*?)\|$', (_ROOT / 'README.md').read_text(encoding='utf-8'), re.MULTILINE)
  cells = [cell.strip() for cell in rows[0].split('|')]
  assert all(f'>{cell}</td>' in pages['results.html'] for cell in cells)
  tables = {name for name in pages if name.startswith('results/')} - {'results/transcript.html'}
  assert len(tables) > 20
  assert tables <= set(re.findall(r'href="(results/[^"#]+)"', pages['results.html']))


def test_the_search_finds_what_a_page_would_load():
  assert _LOADED.findall('<script async src="https://x.org/a.js"><a href="https://y.org">') == [
    'https://x.org/a.js'
  ]
