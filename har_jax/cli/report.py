"""Turn result files, or the table of all runs, into tables and, with --html, a page with figures.

har-jax report runs/lodo --html
har-jax report runs/rank8 runs/rank32
har-jax report runs/lodo --append_to=results/runs.csv
har-jax report --runs_csv=results/runs.csv --out=results
"""

import json
import pathlib
import subprocess

from har_jax.cli import command
from har_jax.errors import UserError, require

POSITIONAL = ('results',)
FLAGS, _define = command.new_flags(with_json=True)
_RESULTS = _define(
  'results',
  ['runs/lodo'],
  'folder or bucket with result files, as `har-jax lodo` or `har-jax paper` wrote them; two or more are '
  'compared on the terminal',
)
_RUNS_CSV = _define(
  'runs_csv', None, 'table of all runs, read instead of --results, with the other CSV files next to it'
)
_APPEND_TO = _define(
  'append_to', None, 'runs.csv, or personalization.csv, to add those under --results to; writes nothing else'
)
_OUT = _define(
  'out', None, 'folder or bucket for tables.md, report.html and headline.svg (default: --results)'
)
_HTML = _define('html', False, 'also write report.html: tables and figures on one page')


def main() -> dict[str, object]:
  from har_jax import results, storage
  from har_jax.report import frame, markdown, page, tables

  if _HTML.value:
    require('jinja2', "the page needs jinja2: pip install jinja2, or 'har_jax[report]'")
  if _RUNS_CSV.value and (_HTML.value or _APPEND_TO.value):
    raise UserError('--html and --append_to need result files: give --results, not --runs_csv')
  if len(_RESULTS.value) > 1:
    return {'tables': _compare(_RESULTS.value)}
  folder = storage.place(_RESULTS.value[0])
  if folder.name.endswith('.csv'):
    raise UserError(f'{folder} is a table, not a folder of results: give --runs_csv={folder}')
  if _APPEND_TO.value:
    table_path = pathlib.Path(_APPEND_TO.value)
    storage.check_writable(table_path.parent)
    if table_path.name == 'personalization.csv':
      frame.append_personalization(folder, table_path, commit())
    else:
      frame.append(frame.load(folder), table_path, commit())
    print(_APPEND_TO.value)
    return {'files': [_APPEND_TO.value]}
  table = storage.place(_RUNS_CSV.value) if _RUNS_CSV.value else None
  source = folder if table is None else table.parent
  runs = frame.load(folder) if table is None else frame.read_csv(table)
  out = storage.place(_OUT.value) if _OUT.value else source
  storage.check_writable(out)
  sections, (shown, *_) = tables.sections(runs), page.largest(runs)
  text = tables.text(sections)
  if (personal := source / 'personalization.csv').exists():
    text += '\n' + markdown.markdown([tables.personalization(personal)])
  files = [out / 'tables.md', out / 'headline.svg']
  storage.write_text(files[0], text)
  storage.write_text(files[1], page.headline(shown))
  if _HTML.value:
    files.append(out / 'report.html')
    storage.write_text(files[-1], page.html(runs, sections, folder=_RESULTS.value[0]))
  print(tables.terminal(sections['2']), page.verdict(shown), sep='\n\n')
  print(*files, sep='\n')
  # Through text: it turns missing values into null.
  rows = json.loads(runs[[*frame.KEY, *results.MEASURED]].to_json(orient='records'))
  return {'files': files, 'runs': rows}


def _compare(folders: list[str]) -> list[dict[str, object]]:
  """Prints what differs between folders of results; writes nothing."""
  from har_jax import storage
  from har_jax.report import compare, frame, markdown

  if set_flags := [name for name in ('runs_csv', 'append_to', 'out', 'html') if FLAGS[name].value]:
    raise UserError(f'--{set_flags[0]} needs one folder of results; {len(folders)} were given')
  if len(set(folders)) < len(folders):
    raise UserError(f'--results={",".join(folders)}: give each folder once')
  sections = compare.sections({name: frame.load(storage.place(name)) for name in folders})
  for section in sections:
    table = markdown.tabulated(section.table, 'simple') if len(section.table) else ''
    print(*filter(None, [section.title, section.caption, table, *section.notes]), sep='\n')
    print()
  return [
    {'title': section.title, 'notes': [*section.notes], 'rows': section.table.to_dict('records')}
    for section in sections
  ]


def commit() -> str:
  """Short hash of the working folder's commit; '' outside a git repository."""
  try:
    done = subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return ''
  return done.stdout.strip()
