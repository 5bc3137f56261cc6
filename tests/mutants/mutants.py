"""Puts faults into the package one at a time, and lists those that no test sees.

python tests/mutants/mutants.py --sample=400 --seed=0 har_jax/methods har_jax/train

Runs in the root of a checkout. Writes runs/mutants/: maps of the tests that reach each line (maps/ has a
file for each folder of tests, made once; delete it to make it again), each fault's outcome in results.jsonl,
and table.md. Faults of results.jsonl are not tried again: a stopped run goes on, and a larger sample of a
seed adds to a smaller one. --again tries the survivors by the tests as they are now, into again.jsonl.
One warm process forks for each fault, with the package loaded; what imports a faulty file is imported
again. Tests run without the check of arrays' shapes. A test that fails alone, without the fault, counts for
nothing: it may need another test before it.
mutmut 3.8 forks, too, but leaves decorated functions and tables of modules as they are.
"""

import argparse
import ast
import collections
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence, Set

import outcomes
import pytest
from faults import Fault, faults
from modules import Modules
from plugins import Ordered, Recorder

ROOT = pathlib.Path.cwd()
MEASURED = ('har_jax', 'launch', 'docs/studies')
# Times are of the CPU: those of a clock depend on what else the machine does.
_MOST_S = 20.0  # of recorded time of the tests that a fault runs
_FACTOR, _START_S = 4, 60.0  # a fault may take this multiple of the recorded time, and so long to start
_IDLE_S = 240.0  # by the clock, without a second of the CPU: what waits forever
_WAIT_S = 1200.0  # by the clock, for what holds all threads
_OPTIONS = (
  '-q',
  '-n0',
  '-pno:cacheprovider',
  '-oaddopts=',
  '-Wignore::pytest.PytestAssertRewriteWarning',
)


@dataclasses.dataclass(frozen=True)
class Map:
  """Tests that passed, with their seconds; the tests that reach each line of each file; files' checksums.

  A line that runs at import alone has no test. One that never runs is missing.
  """

  seconds: dict[str, float]
  reached: dict[str, dict[int, list[str]]]
  sums: dict[str, str]

  @classmethod
  def read(cls, paths: Iterable[pathlib.Path]) -> 'Map':
    """Puts maps of several folders together; the checksum of a file that changed between them is none."""
    whole = cls({}, {}, {})
    for path in paths:
      entries = json.loads(path.read_text())
      names = list(entries['seconds'])
      whole.seconds.update(entries['seconds'])
      for file, lines in entries['reached'].items():
        merged = whole.reached.setdefault(file, {})
        for line, indices in lines.items():
          merged.setdefault(int(line), []).extend(names[index] for index in indices)
        if whole.sums.setdefault(file, entries['sums'][file]) != entries['sums'][file]:
          whole.sums[file] = ''
    return whole

  def tests(self, fault: Fault, unsound: Set[tuple[str, str]] = frozenset()) -> list[str]:
    """The tests that reach the fault's lines, then others of the same files, which may share what they did.

    All that reach its file, if its line runs at import, where only the first to import it is known, or if the
    file is not that of the map. Among each, those of the file's own room come first, then the fastest.
    """
    reached = lines = self.reached.get(fault.path, {})
    if lines and self.sums[fault.path] == _checksum(fault.path) and _is_in_function(fault):
      reached = {line: lines[line] for line in range(fault.first_line, fault.last_line + 1) if line in lines}
    if reached and not any(reached.values()):  # a function that runs at import alone
      reached = lines
    near = {test for tests in reached.values() for test in tests}
    files = {test.partition('::')[0] for test in near}
    others = {test for test in self.seconds if test.partition('::')[0] in files} - near
    own = '/'.join(('tests', *pathlib.PurePath(fault.path).parts[1:2], ''))

    def order(test: str) -> tuple[bool, float, str]:
      return not test.startswith(own), self.seconds[test], test

    chosen, total = [], 0.0
    for test in (*sorted(near, key=order), *sorted(others, key=order)):
      if (fault.path, test) in unsound:
        continue
      total += self.seconds[test]
      if total <= _MOST_S or not chosen:
        chosen.append(test)
    return chosen


def _is_in_function(fault: Fault) -> bool:
  functions = (ast.FunctionDef, ast.AsyncFunctionDef)
  nodes = [
    node for node in ast.walk(ast.parse((ROOT / fault.path).read_text())) if isinstance(node, functions)
  ]
  return any(node.body[0].lineno <= fault.line <= (node.end_lineno or 0) for node in nodes)


def _checksum(path: str) -> str:
  return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def copy_tree(folder: pathlib.Path) -> pathlib.Path:
  """Copies what git tracks or would add."""
  listed = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z']
  for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split('\0'):
    if name and (ROOT / name).is_file():
      (folder / name).parent.mkdir(parents=True, exist_ok=True)
      shutil.copy2(ROOT / name, folder / name)
  return folder


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
  """The exit code of pytest in a copy of the tree."""
  os.chdir(tree)
  sys.path.insert(0, str(tree))
  os.environ |= {
    'PYTHONPATH': str(tree),
    'PYTHONDONTWRITEBYTECODE': '1',
    'JAX_COMPILATION_CACHE_DIR': str(tree.parent / 'compiled'),
    'HAR_ARCHIVES': os.environ.get('HAR_ARCHIVES', str(ROOT / '..' / 'shared' / 'data')),
  }
  return int(pytest.main([*_OPTIONS, *arguments], plugins=list(plugins)))


def try_source(
  package: Modules, path: str, source: str, tests: Sequence[str], tree: pathlib.Path, limit_s: float
) -> int:
  """Begins to test a copy of the tree in which a file has this source. The number of the process."""
  (tree / path).write_text(source)  # for child processes, which write no compiled files
  _failed(tree).unlink(missing_ok=True)
  files = dict.fromkeys(test.partition('::')[0] for test in tests)
  if missing := [file for file in files if not (tree / file).exists()]:
    raise RuntimeError(f'no file {missing[0]}; delete the maps, which are of other tests')

  def run() -> int:
    import resource

    threading.Thread(target=end_if_idle, daemon=True).start()
    package.put_in(path, source)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit_s), resource.RLIM_INFINITY))
    return run_tests(tree, ['-x', *files], Ordered(tests, _failed(tree)))

  return in_fork(run, tree.with_suffix('.log'))


def end_if_idle() -> None:
  """Ends this process as one that took too much time, once it takes none."""
  last = -math.inf
  while (now := sum(os.times()[:4])) > last + 1:
    last = now
    time.sleep(_IDLE_S)
  os.kill(os.getpid(), signal.SIGXCPU)


def _failed(tree: pathlib.Path) -> pathlib.Path:
  """Holds the name of the test that failed in this copy of the tree."""
  return tree.with_suffix('.failed')


def fails_alone(package: Modules, path: str, test: str, tree: pathlib.Path, limit_s: float) -> bool:
  """Whether the test fails without a fault, if it runs alone and the file is imported again."""
  process = try_source(package, path, (ROOT / path).read_text(), [test], tree, limit_s)
  return os.waitpid(process, 0)[1] != 0


def make_map(package: Modules, folder: str, out: pathlib.Path, options: Sequence[str]) -> pathlib.Path:
  """Runs the tests of a folder once, if maps/ lacks its file. That file."""
  import coverage

  path = out / 'maps' / f'{pathlib.Path(folder).stem}.json'
  if path.exists():
    return path
  path.parent.mkdir(exist_ok=True)
  tree = copy_tree(out / 'map')

  def record() -> int:
    package.forget()
    os.chdir(tree)
    folders = [str(tree / name) for name in MEASURED if (tree / name).is_dir()]
    measured = coverage.Coverage(data_file=None, source=folders, config_file=False)
    measured.start()
    recorder = Recorder(measured.switch_context)
    run_tests(tree, [folder, *options], recorder)
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
    path.write_text(json.dumps({'seconds': seconds, 'reached': reached, 'sums': sums}))
    return 0

  os.waitpid(in_fork(record, path.with_suffix('.log')), 0)
  return path


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


def try_all(package: Modules, planned: Sequence[Fault], tests: Map, results: pathlib.Path, jobs: int) -> None:
  """Tries faults in parallel, and adds a line to `results` after each."""
  waiting, running = list(reversed(planned)), dict[int, tuple[Fault, pathlib.Path, float]]()
  free = [copy_tree(results.parent / f'tree{number}') for number in range(jobs)]
  harmless = outcomes.equivalents()
  alone = dict[tuple[str, str], bool]()  # path and test → whether the test fails without a fault
  while waiting or running:
    if waiting and free:
      fault = waiting.pop()
      is_harmless = any(outcomes.names(*entry, fault) for entry in harmless)
      chosen = [] if is_harmless else tests.tests(fault, {pair for pair, fails in alone.items() if fails})
      if not chosen:
        outcomes.write(results, fault, outcomes.EQUIVALENT if is_harmless else outcomes.UNREACHED)
        continue
      tree, limit_s = free.pop(), _START_S + _FACTOR * sum(tests.seconds[test] for test in chosen)
      source = fault.put_into((ROOT / fault.path).read_text())
      process = try_source(package, fault.path, source, chosen, tree, limit_s)
      running[process] = fault, tree, time.monotonic() + _WAIT_S
      continue
    time.sleep(0.05)
    for number, (fault, tree, end) in list(running.items()):
      done, status = os.waitpid(number, os.WNOHANG)
      if not done and time.monotonic() < end:
        continue
      if not done:
        os.killpg(number, signal.SIGKILL)
        os.waitpid(number, 0)
      code = os.waitstatus_to_exitcode(status) if done else -signal.SIGXCPU
      if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError(f'{tree}.log: no test ran; delete the maps, which are of other tests')
      del running[number]
      if code > 0 and _failed(tree).exists():
        pair = fault.path, _failed(tree).read_text()
        if pair not in alone:
          alone[pair] = fails_alone(package, *pair, tree, _START_S + _FACTOR * tests.seconds[pair[1]])
        if alone[pair]:
          waiting.append(fault)
          free.append(tree)
          continue
      outcome = outcomes.KILLED if code else outcomes.SURVIVED
      outcomes.write(results, fault, outcomes.SLOW if code == -signal.SIGXCPU else outcome)
      shutil.copy2(ROOT / fault.path, tree / fault.path)
      free.append(tree)


def main(arguments: Sequence[str]) -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument('paths', nargs='*', default=['har_jax'], help='files and folders that get faults')
  parser.add_argument('--sample', type=int, default=400, help='number of faults')
  parser.add_argument('--seed', type=int, default=0, help='of the sample')
  parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='processes at the same time')
  parser.add_argument('--out', type=pathlib.Path, default=ROOT / 'runs' / 'mutants')
  parser.add_argument(
    '--tests', default='', help='options and folders, such as "-m \'not slow\' tests/signal"'
  )
  parser.add_argument('--again', action='store_true', help='tries the survivors of the same sample only')
  chosen = parser.parse_args(arguments)
  out = chosen.out.resolve()
  out.mkdir(parents=True, exist_ok=True)
  words = shlex.split(chosen.tests)
  files = sorted((ROOT / 'tests').rglob('test_*.py'))
  every = dict.fromkeys('/'.join(file.relative_to(ROOT).parts[:2]) for file in files)
  folders = [word for word in words if word.startswith('tests/')] or [*every]
  options = [word for word in words if word not in folders]
  package = Modules(ROOT)
  package.import_libraries()
  tests = Map.read([make_map(package, folder, out, options) for folder in folders])
  package.import_package()
  planned = sample(chosen.paths or ['har_jax'], chosen.sample, chosen.seed)
  first, again = out / 'results.jsonl', out / 'again.jsonl'
  done = outcomes.read(first)
  if chosen.again:
    planned = [fault for fault in planned if outcomes.is_alive(done.get(fault, ''))]
    done = outcomes.read(again)
  results = again if chosen.again else first
  try_all(package, [fault for fault in planned if fault not in done], tests, results, chosen.jobs)
  text = outcomes.table(out)
  (out / 'table.md').write_text(text)
  print(text)


if __name__ == '__main__':
  main(sys.argv[1:])
