"""Reads damaged files of every format and prints a table of what came of it.

python tests/fuzz/campaign.py --cases=10000 --out=runs/fuzz
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import selectors
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_HERE = pathlib.Path(__file__).parent
_PATIENCE_S = 60  # of the parent, where a case does not even answer the worker's own alarm


class Worker:
  """A process of cases.py, started anew after a case that it did not survive."""

  def __init__(self, program: pathlib.Path = _HERE / 'cases.py') -> None:
    self._program = program
    self._process: subprocess.Popen[bytes] | None = None

  def run(self, name: str, seed: int) -> dict[str, Any]:
    process = self._process or self._start()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([name, seed]).encode() + b'\n')
    process.stdin.flush()
    with selectors.DefaultSelector() as ready:
      ready.register(process.stdout, selectors.EVENT_READ)
      line = process.stdout.readline() if ready.select(_PATIENCE_S) else None
    if line:
      return json.loads(line)
    self.close()
    outcome, words = ('hang', 'no answer') if line is None else ('traceback', 'the process died')
    return {'format': name, 'seed': seed, 'outcome': outcome, 'file': '', 'words': words}

  def _start(self) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(_HERE.parents[1]), str(_HERE), os.environ.get('PYTHONPATH', '')])
    # Without caches of programs and bytecode, which would be writes outside of a case's folder.
    kept = {name: value for name, value in os.environ.items() if not name.startswith('JAX_')}
    self._process = subprocess.Popen(
      [sys.executable, self._program],
      env=kept | {'PYTHONPATH': path, 'JAX_PLATFORMS': 'cpu', 'PYTHONDONTWRITEBYTECODE': '1'},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
    )
    return self._process

  def close(self) -> None:
    if self._process is not None:
      self._process.kill()
      self._process.communicate()
      self._process = None


def run(names: Sequence[str], seeds: Iterable[int], workers: int = 1) -> Iterator[dict[str, Any]]:
  """The outcomes, format by format."""
  cases = [(name, seed) for name in names for seed in seeds]
  parts = [cases[first::workers] for first in range(workers)]

  def run_part(part: list[tuple[str, int]]) -> list[dict[str, Any]]:
    worker = Worker()
    try:
      return [worker.run(*case) for case in part]
    finally:
      worker.close()

  with concurrent.futures.ThreadPoolExecutor(workers) as pool:
    for outcomes in pool.map(run_part, parts):
      yield from outcomes


def table(found: Sequence[dict[str, Any]]) -> str:
  import cases
  from tabulate import tabulate

  counts = collections.Counter((each['format'], each['outcome']) for each in found)
  names = list(dict.fromkeys(each['format'] for each in found))
  rows = [[name, sum(counts[name, each] for each in cases.OUTCOMES)] for name in names]
  for row in rows:
    row += [counts[row[0], each] for each in cases.OUTCOMES]
  rows.append(['all', *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
  return tabulate(rows, headers=('format', 'tried', *cases.OUTCOMES), tablefmt='pipe')


_NOTES = """
`equal`: accepted, the same numbers. `reported`: other numbers, and a count, a note or a warning says so.
`other data`: other numbers in a format without a checksum, where a changed digit is another valid recording.
`different`: other numbers without a word, in a format with a checksum. Bad are this column and all after it.
"""


def report(found: Sequence[dict[str, Any]]) -> str:
  import cases

  bad = [each for each in found if each['outcome'] in cases.BAD]
  lines = [f'- {each["format"]}, seed {each["seed"]}, {each["file"]}: {each["outcome"]}\n' for each in bad]
  texts = [
    f'{line}\n      {each["words"].replace(chr(10), chr(10) + "      ")}\n'
    for line, each in zip(lines, bad, strict=True)
  ]
  return f'# Damaged files\n\n{table(found)}\n{_NOTES}\n' + '\n'.join(texts)


def main() -> None:
  import formats

  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--cases', type=int, default=10_000, help='of all formats together')
  parser.add_argument('--first_seed', type=int, default=0)
  parser.add_argument('--formats', default='', help='only those whose name contains this')
  parser.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)))
  parser.add_argument('--out', type=pathlib.Path, default=pathlib.Path('runs/fuzz'))
  given = parser.parse_args()
  names = [name for name in formats.FORMATS if given.formats in name]
  seeds = range(given.first_seed, given.first_seed + -(-given.cases // len(names)))
  order = {name: i for i, name in enumerate(names)}
  found = sorted(run(names, seeds, given.workers), key=lambda each: (order[each['format']], each['seed']))
  given.out.mkdir(parents=True, exist_ok=True)
  (given.out / 'report.md').write_text(report(found), encoding='utf-8')
  (given.out / 'cases.json').write_text(json.dumps(found, indent=1), encoding='utf-8')
  print(table(found))
  print(given.out / 'report.md')


if __name__ == '__main__':
  main()
