"""Turn result files into tables and, with --html, a page with figures.

har-jax report --results=runs/lodo --html
"""

import io
import sys

from absl import flags

FLAGS = flags.FlagValues()
_RESULTS = flags.DEFINE_string(
  'results',
  'runs/lodo',
  'folder or bucket with result files, as `har-jax lodo` or `har-jax paper` wrote them',
  flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
  'out',
  None,
  'folder or bucket for tables.md, report.html and headline.svg (default: --results)',
  flag_values=FLAGS,
)
_PUBLISHED = flags.DEFINE_bool(
  'published', True, 'show the published results of the paper next to these', flag_values=FLAGS
)
_HTML = flags.DEFINE_bool(
  'html', False, 'also write report.html: tables and figures on one page', flag_values=FLAGS
)


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
    sys.stdout.reconfigure(errors='replace')  # terminals without ±
  print(tables.terminal(families.without_sweeps(found), beside=_PUBLISHED.value))
  print(out / 'tables.md')
  if _HTML.value:
    print(out / 'report.html')
