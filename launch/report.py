"""Result files into Table II: python launch/report.py --results=results/lodo."""

import io
import sys

from absl import flags

from launch import command

_RESULTS = flags.DEFINE_string(
  'results', 'results/lodo', 'folder or bucket of results, made by launch/lodo.py'
)
_OUT = flags.DEFINE_string('out', None, 'folder for table2.md; that of the results if not given')
_PUBLISHED = flags.DEFINE_bool('published', True, "show the paper's figures beside ours")


def main() -> None:
  from har_jax import results
  from har_jax.report import tables

  folder = results.place(_RESULTS.value)
  found = results.find(folder)
  path = (results.place(_OUT.value) if _OUT.value else folder) / 'table2.md'
  results.write_text(path, tables.table2(found, beside=_PUBLISHED.value))
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='replace')  # a terminal without ± still gets its table
  print(tables.terminal(found, beside=_PUBLISHED.value))
  print(path)


if __name__ == '__main__':
  command.run(main)
