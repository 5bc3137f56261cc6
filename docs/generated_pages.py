"""A hook of MkDocs: pages that follow from the code, the results and the files next to docs/."""

import contextlib
import functools
import io
import itertools
import pathlib
import posixpath
import re
import tempfile
from collections.abc import Iterator
from typing import Any

from mkdocs.structure.files import File, Files

from har_jax.cli import command, main

_ROOT = pathlib.Path(__file__).parents[1]
_GITHUB_ONLY = ('launch/', 'tests/', 'har_jax/')  # code is no part of the site: its links become plain text
_LINK = re.compile(r'(?<!!)\[([^\]]*)\]\((?!\w+:|#)([^)#]+)(#[^)]*)?\)')
# Pages that lie elsewhere in the repository → their path in the site.
_SITE_PATHS = {
  'BUILD.md': 'build.md',
  'CHANGELOG.md': 'changelog.md',
  'CITATION.cff': 'CITATION.cff',
  'CONTRIBUTING.md': 'contributing.md',
  'README.md': 'index.md',
  'har_jax/assets/base/README.md': 'bundled_base.md',
  'har_jax/assets/sample/README.md': 'sample.md',
  'results/bench.md': 'results/bench.md',
  'results/decoding.csv': 'results/decoding.csv',
  'results/personalization.csv': 'results/personalization.csv',
  'results/runs.csv': 'results/runs.csv',
  'results/transcript.md': 'results/transcript.md',
}
_COPIED = [path for path in _SITE_PATHS if path != 'README.md']
_TITLES = {
  'Table II': 'Table II: macro-F1',
  'Table III': 'Table III: parameters',
  'Table IV': 'Table IV: memory',
  'Table V': 'Table V: time',
  'Table VI': 'Table VI: rank',
  'Table VII': 'Table VII: label budget',
}
_NOT_SEARCHED = '---\nsearch:\n  exclude: true\n---\n'


def on_files(files: Files, config: Any) -> Files:
  """Adds the generated pages, and those that lie outside of docs/."""
  pages = {'commands.md': commands(), **tables()}
  for path, content in pages.items():
    files.append(File.generated(config, path, content=content))
  for path in _COPIED:
    if path.endswith('.md'):
      text = (_ROOT / path).read_text(encoding='utf-8')
      files.append(
        File.generated(config, _SITE_PATHS[path], content=with_links(text, path, _SITE_PATHS[path]))
      )
    else:
      files.append(File.generated(config, _SITE_PATHS[path], abs_src_path=str(_ROOT / path)))
  return files


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
  """Turns links that lead out of docs/ into links within the site."""
  if page.file.generated_by is not None:
    return text
  linked = with_links(text, f'docs/{page.file.src_uri}', page.file.src_uri)
  return linked + results() if page.file.src_uri == 'results.md' else linked


def with_links(text: str, source: str, site_path: str) -> str:
  """A page with the site's links. `source` is its path in the repository, `site_path` that in the site."""

  def link(match: re.Match) -> str:
    words, target, anchor = match[1], match[2], match[3] or ''
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    linked = path.removeprefix('docs/') if path.startswith('docs/') else _SITE_PATHS.get(path)
    if linked is None and path.startswith(_GITHUB_ONLY):
      return words
    return f'[{words}]({posixpath.relpath(linked or path, posixpath.dirname(site_path) or ".")}{anchor})'

  return _LINK.sub(link, text)


def commands() -> str:
  """A section for each command, with its help."""
  overview = io.StringIO()
  with contextlib.redirect_stdout(overview):
    main.main(['--help'])
  listed = f'```text\n{overview.getvalue().strip()}\n```'
  return '\n\n'.join(['# Commands', listed, *map(_command, main.COMMANDS)]) + '\n'


def _command(name: str) -> str:
  """A command's docstring and all of its flags."""
  module = main.load(name)
  summary, *lines = (module.__doc__ or '').strip().splitlines()
  parts = [f'## {name}', *_described(summary, lines)]
  for title, names in command.flag_groups(module).items():
    texts = [command.flag_text(module.FLAGS[flag]).partition(': ') for flag in names]
    parts += [f'**{_escaped(title)}**', '\n'.join(f'- `{flag}`: {_escaped(text)}' for flag, _, text in texts)]
  return '\n\n'.join(parts)


def _described(summary: str, lines: list[str]) -> Iterator[str]:
  """The summary, then the lines: examples as code, other paragraphs as they are."""
  yield summary
  for is_example, part in itertools.groupby(lines, lambda line: line.startswith('har-jax ')):
    text = '\n'.join(part).strip()
    if text:
      yield f'```sh\n{text}\n```' if is_example else _escaped(text)


def _escaped(text: str) -> str:
  """Markdown that shows `<` outside of code."""
  return ''.join(
    part if i % 2 else part.replace('<', '&lt;') for i, part in enumerate(re.split('(`[^`]*`)', text))
  )


def results() -> str:
  """The results of README.md with their picture, and links to the long tables."""
  readme = (_ROOT / 'README.md').read_text(encoding='utf-8')
  headline = readme.partition('## Results\n')[2].partition('\n## ')[0]
  links = [f'- [{text.partition("# ")[2].partition(chr(10))[0]}]({path})' for path, text in tables().items()]
  parts = [
    '',
    '## In short',
    '![Macro-F1 on unseen subjects by label budget](label_budget.svg)',
    with_links(headline, 'README.md', 'results.md').strip(),
    '## All tables',
    '\n'.join(links),
  ]
  return '\n\n'.join(parts) + '\n'


@functools.cache
def tables() -> dict[str, str]:
  """The tables of the committed runs by their kind, one page each: 'results/table_ii.md' → Markdown."""
  with tempfile.TemporaryDirectory() as folder:
    if main.main(['report', f'--runs_csv={_ROOT}/results/runs.csv', f'--out={folder}', '--quiet']):
      raise RuntimeError('har-jax report failed; its message is above')
    text = (pathlib.Path(folder) / 'tables.md').read_text(encoding='utf-8')
  pages: dict[str, list[str]] = {}
  for section in re.split(r'(?m)^## ', text)[1:]:
    kind = re.split(r'[:.]| \S+ − ', section.partition('\n')[0])[0]
    pages.setdefault(kind, []).append(f'## {section}')
  return {
    f'results/{re.sub(r"[^a-z0-9]+", "_", kind.lower())}.md': '\n'.join(
      [f'{_NOT_SEARCHED}# {_TITLES.get(kind, kind)}\n', *sections]
    )
    for kind, sections in pages.items()
  }
