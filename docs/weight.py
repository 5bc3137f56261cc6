"""Generate the table of dependencies in docs/install.md from this environment: python docs/weight.py."""

import importlib.metadata
import pathlib
import re
import tomllib
from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from har_jax.report import markdown

_ROOT = pathlib.Path(__file__).parents[1]
PAGE = _ROOT / 'docs' / 'install.md'


def purposes() -> dict[str, str]:
  """Direct dependency → what it is for: its comment in pyproject.toml."""
  text = (_ROOT / 'pyproject.toml').read_text(encoding='utf-8')
  block = text.partition('\ndependencies = [')[2].partition('\n]')[0]
  return dict(re.findall(r'"([\w-]+).*?",  # (.*)', block))


def megabytes(name: str) -> float:
  """Size of an installed package's own files, without compiled Python, in units of 10⁶ bytes."""
  files = importlib.metadata.files(name) or []
  paths = [pathlib.Path(str(file.locate())) for file in files if file.suffix != '.pyc']
  return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def closure(requirements: Iterable[str], installed: dict[str, set[str]] | None = None) -> dict[str, set[str]]:
  """Every package that these requirements install here → the extras that are asked of it."""
  installed = {} if installed is None else installed
  for requirement in map(Requirement, requirements):
    name, extras = canonicalize_name(requirement.name), requirement.extras
    if name in installed and extras <= installed[name]:
      continue
    installed[name] = installed.get(name, set()) | extras
    needed = [Requirement(line) for line in importlib.metadata.requires(name) or []]
    markers = [{'extra': extra} for extra in ('', *extras)]
    needed = [item for item in needed if not item.marker or any(map(item.marker.evaluate, markers))]
    closure([str(item).partition(';')[0] for item in needed], installed)
  return installed


def table() -> str:
  import pandas as pd

  project = tomllib.loads((_ROOT / 'pyproject.toml').read_text(encoding='utf-8'))['project']
  needed = project['dependencies']
  rows = [
    {'package': name, 'what for': purpose, 'MB': f'{megabytes(name):.1f}'}
    for name, purpose in purposes().items()
  ]
  totals = [
    f'{title}: {len(names)} packages, {sum(map(megabytes, names)):.0f} MB.'
    for title, names in (
      ('With what they need in turn', closure(needed)),
      ('With the extra `baselines`', closure([*needed, *project['optional-dependencies']['baselines']])),
      ('JAX alone', closure(['jax'])),
      ('ONNX Runtime with NumPy', closure(['onnxruntime'])),
    )
  ]
  return '\n\n'.join([markdown.tabulated(pd.DataFrame(rows)), ' '.join(totals)])


if __name__ == '__main__':
  page = PAGE.read_text(encoding='utf-8')
  PAGE.write_text(markdown.fill(page, 'python docs/weight.py', table()), encoding='utf-8')
