"""Result files into tables, and with --html into a page: python launch/report.py --results=results/lodo --html."""

import io
import sys

from absl import flags

from har_jax.cli import command

_RESULTS = flags.DEFINE_string(
  'results', 'results/lodo', 'folder or bucket of results, made by launch/lodo.py'
)
_OUT = flags.DEFINE_string(
  'out', None, 'folder for tables.md and report.html; that of the results if not given'
)
_PUBLISHED = flags.DEFINE_bool('published', True, "show the paper's figures beside ours")
_HTML = flags.DEFINE_bool('html', False, 'write report.html too: tables and pictures in one page')


def main() -> None:
  from har_jax import results, storage
  from har_jax.report import families, page, paper, pictures, tables

  if _HTML.value:
    page.refuse_without_tools()
  folder = storage.place(_RESULTS.value)
  out = storage.place(_OUT.value) if _OUT.value else folder
  found = list(results.find(folder).values())
  storage.write_text(out / 'tables.md', paper.markdown(found, beside=_PUBLISHED.value))
  if _HTML.value:
    html = page.html(
      found,
      folder=_RESULTS.value,
      embeddings=pictures.embeddings(folder),
      reconstructions=pictures.reconstructions(folder),
      beside=_PUBLISHED.value,
    )
    storage.write_text(out / 'report.html', html)
    storage.write_text(out / 'headline.svg', page.headline(found))
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='replace')  # a terminal without ± still gets its table
  print(tables.terminal(families.without_sweeps(found), beside=_PUBLISHED.value))
  print(out / 'tables.md')
  if _HTML.value:
    print(out / 'report.html')


if __name__ == '__main__':
  command.run(main)
