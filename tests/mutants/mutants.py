"""Puts faults into the package one at a time, and lists those that no test sees.

python tests/mutants/mutants.py --sample=400 --seed=0 har_jax/methods har_jax/train

Runs in the root of a checkout. Writes runs/mutants/: a map of the tests that reach each line (made once;
delete map.json to make it again), each fault's outcome in results.jsonl, and table.md. Faults of
results.jsonl are not tried again: a stopped run goes on, and a larger sample of a seed adds to a smaller one.
One warm process forks for each fault, with all libraries loaded but the package. Tests run without the check
of arrays' shapes. mutmut 3.8 forks, too, but leaves decorated functions and tables of modules as they are.
"""

import argparse
import ast
import collections
import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator, Sequence

import pytest
from faults import Fault, faults

ROOT = pathlib.Path.cwd()
MEASURED = ('har_jax', 'launch', 'docs/studies')
EQUIVALENTS = pathlib.Path(__file__).with_name('equivalents.toml')
_MOST_S = 60.0  # of recorded time of the tests that a fault runs
_FACTOR, _START_S = 4, 60.0  # a fault may take this multiple of the recorded time, and so long to start
_OPTIONS = (
  '-x',
  '-q',
  '-n0',
  '-pno:cacheprovider',
  '-oaddopts=',
  '-Wignore::pytest.PytestAssertRewriteWarning',
)
KILLED, SURVIVED, SLOW, UNREACHED, EQUIVALENT = 'killed', 'survived', 'too slow', 'unreached', 'equivalent'


@dataclasses.dataclass(frozen=True)
class Map:
  """Tests that passed, with their seconds; the tests that reach each line of each file; files' checksums.

  A line that runs at import alone has no test. One that never runs is missing.
  """

  seconds: dict[str, float]
  reached: dict[str, dict[int, list[str]]]
  sums: dict[str, str]

  @classmethod
  def read(cls, path: pathlib.Path) -> 'Map':
    entries = json.loads(path.read_text())
    names = list(entries['seconds'])
    reached = {
      file: {int(line): [names[index] for index in indices] for line, indices in lines.items()}
      for file, lines in entries['reached'].items()
    }
    return cls(entries['seconds'], reached, entries['sums'])

  def tests(self, fault: Fault) -> list[str]:
    """The tests that reach the fault's lines, then others of the same files, which may share what they did.

    All that reach its file, if its line runs at import alone, or the file is not that of the map.
    """
    reached = lines = self.reached.get(fault.path, {})
    if lines and self.sums[fault.path] == _checksum(fault.path):
      reached = {line: lines[line] for line in range(fault.first_line, fault.last_line + 1) if line in lines}
    near = {test for tests in reached.values() for test in tests}
    near = near or {test for tests in lines.values() for test in tests if reached}
    files = {test.partition('::')[0] for test in near}
    others = {test for test in self.seconds if test.partition('::')[0] in files} - near
    chosen, total = [], 0.0
    for test in (*sorted(near, key=self._order), *sorted(others, key=self._order)):
      total += self.seconds[test]
      if total <= _MOST_S or not chosen:
        chosen.append(test)
    return chosen

  def _order(self, test: str) -> tuple[float, str]:
    return self.seconds[test], test


class _Recorder:
  """A plugin of pytest that tells coverage which test runs, and keeps how long the passed ones took."""

  def __init__(self, switch: Callable[[str], None]):
    self._switch, self.seconds = switch, collections.Counter[str]()
    self.failed: set[str] = set()

  @pytest.hookimpl(wrapper=True)
  def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
    self._switch(item.nodeid)
    result = yield
    self._switch('')
    return result

  def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
    self.seconds[report.nodeid] += report.duration
    if report.outcome != 'passed':
      self.failed.add(report.nodeid)


class _Ordered:
  """A plugin of pytest that runs these tests alone, in this order."""

  def __init__(self, tests: Sequence[str]):
    self._places = {test: place for place, test in enumerate(tests)}

  @pytest.hookimpl(trylast=True)
  def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
    items[:] = sorted(
      (item for item in items if item.nodeid in self._places), key=lambda item: self._places[item.nodeid]
    )


def _checksum(path: str) -> str:
  return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def copy_tree(folder: pathlib.Path) -> pathlib.Path:
  """Copies what git tracks or would add; compiled files follow the times of their sources."""
  listed = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z']
  for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split('\0'):
    if name and (ROOT / name).is_file():
      (folder / name).parent.mkdir(parents=True, exist_ok=True)
      shutil.copy2(ROOT / name, folder / name)
  return folder


def warm() -> None:
  """Imports what the package imports from others. Flower stays out: its threads do not survive a fork."""
  names = {'hypothesis'}
  for path in (ROOT / 'har_jax').rglob('*.py'):
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.Import):
        names |= {alias.name for alias in node.names}
      elif isinstance(node, ast.ImportFrom) and node.module:
        names.add(node.module)
  for name in sorted(names):
    if name.partition('.')[0] not in ('har_jax', 'flwr'):
      with contextlib.suppress(ImportError):  # of an extra that is not installed
        importlib.import_module(name)


def in_fork(task: Callable[[], int], log: pathlib.Path) -> int:
  """The number of a process of its own group that does the task; its output is in the log."""
  sys.stdout.flush()
  if number := os.fork():
    return number
  code = 1
  try:
    os.setpgid(0, 0)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
      os.dup2(descriptor, stream)
    code = task()
  except BaseException:
    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run_tests(tree: pathlib.Path, arguments: Sequence[str], *plugins: object) -> int:
  """The exit code of pytest in a copy of the tree; for a process that imported nothing of the package."""
  os.chdir(tree)
  sys.path.insert(0, str(tree))
  sys.dont_write_bytecode = True
  os.environ |= {
    'PYTHONPATH': str(tree),
    'PYTHONDONTWRITEBYTECODE': '1',
    'JAX_COMPILATION_CACHE_DIR': str(tree.parent / 'compiled'),
    'HAR_ARCHIVES': os.environ.get('HAR_ARCHIVES', str(ROOT / '..' / 'shared' / 'data')),
  }
  return int(pytest.main([*_OPTIONS, *arguments], plugins=list(plugins)))


def try_fault(fault: Fault, tests: Sequence[str], tree: pathlib.Path) -> int:
  """Begins to test a fault in a copy of the tree. The number of the process."""
  path = tree / fault.path
  path.write_text(fault.put_into((ROOT / fault.path).read_text()))
  files = dict.fromkeys(test.partition('::')[0] for test in tests)
  if missing := [file for file in files if not (tree / file).exists()]:
    raise RuntimeError(f'no file {missing[0]}; delete map.json, which is of other tests')
  return in_fork(lambda: run_tests(tree, [*files], _Ordered(tests)), tree.with_suffix('.log'))


def make_map(out: pathlib.Path, options: Sequence[str]) -> None:
  """Runs the tests once, and writes map.json."""
  import coverage

  tree = copy_tree(out / 'map')

  def record() -> int:
    os.chdir(tree)
    folders = [str(tree / name) for name in MEASURED if (tree / name).is_dir()]
    measured = coverage.Coverage(data_file=None, source=folders, config_file=False)
    measured.start()
    recorder = _Recorder(measured.switch_context)
    run_tests(tree, options, recorder)
    measured.stop()
    data = measured.get_data()
    seconds = {name: value for name, value in recorder.seconds.items() if name not in recorder.failed}
    number = {name: index for index, name in enumerate(seconds)}
    reached = {
      str(pathlib.Path(file).relative_to(tree)): {
        line: [number[name] for name in names if name in number]
        for line, names in data.contexts_by_lineno(file).items()
      }
      for file in data.measured_files()
    }
    sums = {file: _checksum(file) for file in reached}
    (out / 'map.json').write_text(json.dumps({'seconds': seconds, 'reached': reached, 'sums': sums}))
    return 0

  os.waitpid(in_fork(record, out / 'map.log'), 0)


def sample(paths: Sequence[str], count: int, seed: int) -> list[Fault]:
  """So many faults of the files below these paths; a larger sample of a seed begins with the smaller.

  Every fifth is of a name: they are the most, and nearly every test sees them.
  """
  files = sorted(file for path in paths for file in [*(ROOT / path).rglob('*.py')] or [ROOT / path])
  every = [fault for file in files for fault in faults(file.read_text(), str(file.relative_to(ROOT)))]
  random.Random(seed).shuffle(every)
  counts = collections.Counter[bool]()

  def place(fault: Fault) -> int:
    counts[fault.is_name] += 1
    return counts[fault.is_name] * (4 if fault.is_name else 1)

  return sorted(every, key=place)[:count]


def equivalents(path: pathlib.Path = EQUIVALENTS) -> dict[tuple[str, str], str]:
  """(path, change) → why no test can see the fault."""
  entries = tomllib.loads(path.read_text())['equivalent']
  return {(entry['path'], entry['change']): entry['reason'] for entry in entries}


def try_all(planned: Sequence[Fault], tests: Map, out: pathlib.Path, jobs: int) -> None:
  """Tries faults in parallel, and adds a line to results.jsonl after each."""
  waiting, running = list(reversed(planned)), dict[int, tuple[Fault, pathlib.Path, float]]()
  free = [copy_tree(out / f'tree{number}') for number in range(jobs)]
  harmless = equivalents()
  while waiting or running:
    if waiting and free:
      fault = waiting.pop()
      chosen = [] if (fault.path, fault.change) in harmless else tests.tests(fault)
      if not chosen:
        _write(out, fault, EQUIVALENT if (fault.path, fault.change) in harmless else UNREACHED)
        continue
      tree, limit_s = free.pop(), _START_S + _FACTOR * sum(tests.seconds[test] for test in chosen)
      running[try_fault(fault, chosen, tree)] = fault, tree, time.monotonic() + limit_s
      continue
    time.sleep(0.05)
    for number, (fault, tree, end) in list(running.items()):
      done, status = os.waitpid(number, os.WNOHANG)
      if not done and time.monotonic() < end:
        continue
      if not done:
        os.killpg(number, signal.SIGKILL)
        os.waitpid(number, 0)
      code = os.waitstatus_to_exitcode(status) if done else None
      if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError(f'{tree}.log: no test ran; delete map.json, which is of other tests')
      _write(out, fault, SLOW if code is None else SURVIVED if code == 0 else KILLED)
      shutil.copy2(ROOT / fault.path, tree / fault.path)
      del running[number]
      free.append(tree)


def _write(out: pathlib.Path, fault: Fault, outcome: str) -> None:
  print(f'{outcome}: {fault.path}:{fault.line}: {fault.change}', flush=True)
  with (out / 'results.jsonl').open('a') as file:
    file.write(json.dumps({**dataclasses.asdict(fault), 'outcome': outcome}) + '\n')


def read_results(out: pathlib.Path) -> dict[Fault, str]:
  """Fault → outcome."""
  path = out / 'results.jsonl'
  entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
  return {Fault(**entry): outcome for entry in entries for outcome in [entry.pop('outcome')]}


def table(outcomes: dict[Fault, str]) -> str:
  """Markdown: faults, killed ones and survivors of each file; then each survivor. Without equivalents."""
  counted = {fault: outcome for fault, outcome in outcomes.items() if outcome != EQUIVALENT}
  all_of = collections.Counter(fault.path for fault in counted)
  alive = [fault for fault, outcome in counted.items() if outcome in (SURVIVED, UNREACHED)]
  alive_of = collections.Counter(fault.path for fault in alive)
  lines = ['| module | mutants | killed | survivors |', '|---|---|---|---|']
  lines += [
    f'| {path} | {all_of[path]} | {all_of[path] - alive_of[path]} | {alive_of[path]} |'
    for path in sorted(all_of)
  ]
  killed = len(counted) - len(alive)
  lines += [f'| all | {len(counted)} | {killed} ({killed / max(len(counted), 1):.0%}) | {len(alive)} |', '']
  lines += [
    f'- {fault.path}:{fault.line}: `{fault.change}` ({counted[fault]})' for fault in sorted(alive, key=str)
  ]
  return '\n'.join(lines) + '\n'


def main(arguments: Sequence[str]) -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument('paths', nargs='*', default=['har_jax'], help='files and folders that get faults')
  parser.add_argument('--sample', type=int, default=400, help='number of faults')
  parser.add_argument('--seed', type=int, default=0, help='of the sample')
  parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='processes at the same time')
  parser.add_argument('--out', type=pathlib.Path, default=ROOT / 'runs' / 'mutants')
  parser.add_argument(
    '--tests', default='', help='options of pytest that choose the tests, such as -mnot\\ slow'
  )
  chosen = parser.parse_args(arguments)
  out = chosen.out.resolve()
  out.mkdir(parents=True, exist_ok=True)
  warm()
  if not (out / 'map.json').exists():
    make_map(out, shlex.split(chosen.tests))
  tests = Map.read(out / 'map.json')
  planned = sample(chosen.paths or ['har_jax'], chosen.sample, chosen.seed)
  done = read_results(out)
  try_all([fault for fault in planned if fault not in done], tests, out, chosen.jobs)
  done = read_results(out)
  text = table({fault: done[fault] for fault in planned})
  (out / 'table.md').write_text(text)
  print(text)


if __name__ == '__main__':
  main(sys.argv[1:])
