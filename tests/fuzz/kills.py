"""Kills commands at random moments, runs them again to the end, and prints a table of what came of it.

python tests/fuzz/kills.py --kills=100 --out=runs/fuzz
"""

import argparse
import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

_TESTS = pathlib.Path(__file__).parents[1]
_TICKS = os.sysconf('SC_CLK_TCK')
_POLL_S = 0.001
_PATIENCE_S = 600
_MOST_KILLS = 3  # of one run
_IMPORTS = 0.3  # of the processor time of a run: before, it only imports
OUTCOMES = ('equal', 'different', 'left-overs', 'failed')
BAD = OUTCOMES[1:]
_OF_TIME = ('seconds', 'ms', 'ms_quartiles', 'itself')  # the sum of a card's entries holds its seconds


@dataclasses.dataclass(frozen=True)
class Whole:
  """An undisturbed run: its processor time, how many paths appeared, and what it wrote."""

  cpu_s: float
  appeared: int
  found: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Command:
  """A command, without --out, as arguments of Python."""

  name: str
  arguments: Sequence[str]

  @contextlib.contextmanager
  def running(self, folder: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """Its process, which writes to <folder>/out and <folder>/log; it does not outlive the block."""
    arguments = [sys.executable, *self.arguments, f'--out={folder}/out']
    with (folder / 'log').open('wb') as log:
      process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
    try:
      yield process
    finally:
      if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

  def whole(self, folder: pathlib.Path) -> Whole:
    """An undisturbed run. Raises RuntimeError where it fails."""
    (folder / 'log').touch()
    before = set(_paths(folder))
    seen, cpu_s = before, 0.0
    with self.running(folder) as process:
      while process.poll() is None:
        seen = seen.union(_paths(folder))
        cpu_s = max(cpu_s, _cpu_s(process.pid))
        time.sleep(_POLL_S)
    if process.returncode:
      raise RuntimeError(f'{self.name}: {(folder / "log").read_text()}')
    seen = seen.union(_paths(folder))
    return Whole(cpu_s, len(seen - before), facts(folder))

  def kill(self, folder: pathlib.Path, whole: Whole, rng: np.random.Generator) -> str | None:
    """Runs the command and kills it; says when. None: it had ended before.

    Half of the kills come at a moment of its processor time, the others when the n-th new path appears.
    """
    at_cpu_s = whole.cpu_s * rng.uniform(_IMPORTS, 1)
    at_path = int(rng.integers(1, whole.appeared + 1))
    is_at_path = rng.random() < 0.5
    (folder / 'log').touch()
    seen = set(_paths(folder))
    before = len(seen)
    with self.running(folder) as process:
      while process.poll() is None:
        seen.update(_paths(folder))
        if len(seen) - before >= at_path if is_at_path else _cpu_s(process.pid) >= at_cpu_s:
          break
        time.sleep(_POLL_S)
    if process.returncode != -signal.SIGKILL:
      return None
    return f'path {at_path} of {whole.appeared}' if is_at_path else f'{at_cpu_s:.2f} of {whole.cpu_s:.2f} s'

  def trial(self, folder: pathlib.Path, whole: Whole, seed: int) -> dict[str, Any]:
    """One to three kills, a run to the end, and what differs then from the undisturbed run."""
    rng = np.random.default_rng([*self.name.encode(), seed])
    moments = []
    for _ in range(int(rng.integers(1, _MOST_KILLS + 1))):
      if (moment := self.kill(folder, whole, rng)) is None:
        break
      moments.append(moment)
    code: int | None = None
    with self.running(folder) as process, contextlib.suppress(subprocess.TimeoutExpired):
      code = process.wait(_PATIENCE_S)
    words = (folder / 'log').read_text(errors='replace')
    outcome = 'equal'
    if code != 0 or 'Traceback' in words:
      outcome = 'failed'
    else:
      found = facts(folder)
      added = sorted(found.keys() - whole.found.keys())
      other = sorted(name for name, fact in whole.found.items() if found.get(name) != fact)
      if other:
        outcome, words = 'different', '\n'.join(other)
      elif added:
        outcome, words = 'left-overs', '\n'.join(added)
    words = '' if outcome == 'equal' else words[-600:]
    return {'command': self.name, 'seed': seed, 'kills': moments, 'outcome': outcome, 'words': words}


def _paths(folder: pathlib.Path) -> Iterator[str]:
  """All paths below; folders may vanish meanwhile."""
  for parent, folders, files in os.walk(folder):
    for name in (*folders, *files):
      yield f'{parent}/{name}'


def _cpu_s(pid: int) -> float:
  """Processor time of a process so far: unlike the clock's, it does not depend on other processes."""
  try:
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
  except OSError:
    return 0.0
  return (int(fields[11]) + int(fields[12])) / _TICKS


def facts(folder: pathlib.Path) -> dict[str, Any]:
  """Path → content of every file below, without times. Of checkpoints, what Orbax restores."""
  found: dict[str, Any] = {}
  for path in sorted(folder.rglob('*')):
    name = str(path.relative_to(folder))
    if path.parent.name == 'checkpoints' and path.name.isdigit():
      found[name] = _restored(path)
    elif 'checkpoints' in path.parent.parts and 'tmp' not in path.name:
      continue
    elif path == folder / 'log' or path.name.startswith('events.out.tfevents'):
      continue  # a resumed run adds a file of TensorBoard
    elif path.is_dir() and any(path.iterdir()):
      continue
    elif path.is_dir():
      found[name] = 'empty folder'
    elif path.suffix == '.jsonl':
      found[name] = [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
    elif path.suffix == '.json':
      found[name] = _without_times(json.loads(path.read_text()))
    else:
      found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
  return found


def _restored(step: pathlib.Path) -> Any:
  import jax
  import orbax.checkpoint as ocp

  items = {each.name for each in step.iterdir() if each.is_dir()}
  readers = {name: ocp.args.JsonRestore() for name in ('about', 'data')}
  arguments = {name: readers.get(name, ocp.args.StandardRestore()) for name in items - {'metrics'}}
  with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
    held = checkpointer.restore(step.resolve(), args=ocp.args.Composite(**arguments))
  held = dict(held)
  found = {name: _without_times(held.pop(name)) for name in readers}
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_flatten_with_path(held)[0]:
    digest.update(f'{path} {leaf.dtype} {leaf.shape}'.encode() + np.asarray(leaf).tobytes())
  return found | {'arrays': digest.hexdigest()}


def _without_times(entry: Any) -> Any:
  if isinstance(entry, dict):
    return {name: _without_times(value) for name, value in entry.items() if name not in _OF_TIME}
  return [_without_times(value) for value in entry] if isinstance(entry, list) else entry


def commands(folder: pathlib.Path) -> Iterator[tuple[Command, pathlib.Path]]:
  """Each command with a folder, in which its undisturbed run is input of those that follow."""
  sys.path.insert(0, str(_TESTS / 'cli'))
  sys.path.insert(0, str(_TESTS))
  import recordings
  import tiny_flags

  from har_jax.archives import ARCHIVES
  from har_jax.datasets import prepare

  for name in ('synth_waist', 'synth_thigh'):
    prepare.prepare(ARCHIVES[name], None, folder / 'windows', progress=False)
  parts = [('walking', 24.0), ('lying', 24.0), ('sitting', 24.0)]
  recordings.recording(folder / 'my.csv', parts)
  recordings.labels(folder / 'labels.csv', parts)
  windows = f'--windows={folder}/windows'
  of = {
    'prepare': ('synth_waist',),
    'pretrain': (
      *(windows, '--supervised_pretraining_steps=4', '--noprogress'),
      *(*tiny_flags.MODEL, *tiny_flags.PRETRAIN),
    ),
    'lodo': (
      *(windows, '--methods=lora', *tiny_flags.STUDY),
      '--continued_pretraining_steps=3',
    ),
    'adapt': (
      *(f'{folder}/my.csv', f'{folder}/labels.csv', f'--base={folder}/pretrain/out'),
      *('--overwrite', *tiny_flags.ADAPT, '--max_steps=10'),
    ),
    'export': (f'{folder}/adapt/out', '--format=onnx,stablehlo', '--overwrite'),
  }
  for name, flags in of.items():
    (folder / name).mkdir()
    yield Command(name, ('-m', 'har_jax', name, *flags)), folder / name


def table(trials: Sequence[Mapping[str, Any]]) -> str:
  from tabulate import tabulate

  rows = []
  for name in [*dict.fromkeys(each['command'] for each in trials), 'all']:
    own = [each for each in trials if name in (each['command'], 'all')]
    counts = collections.Counter(each['outcome'] for each in own)
    kills = [kill for each in own for kill in each['kills']]
    rows.append(
      [
        name,
        len(kills),
        sum('path' in kill for kill in kills),
        len(own),
        *(counts[each] for each in OUTCOMES),
      ]
    )
  headers = ('command', 'kills', 'of these at a new path', 'runs to the end', *OUTCOMES)
  return tabulate(rows, headers=headers, tablefmt='pipe')


_NOTES = """
Each run is killed one to three times, then run again to the end. `equal`: every file is that of an
undisturbed run, bit for bit, without times; of a checkpoint, all arrays. `left-overs`: there are more files.
`failed`: an exit code other than 0, or a traceback. Half of the kills come at a random moment of a run's
processor time, the others when a random one of its files or folders appears.
"""


def report(trials: Sequence[Mapping[str, Any]]) -> str:
  bad = [
    f'- {each["command"]}, seed {each["seed"]}, killed at {"; ".join(each["kills"])}: {each["outcome"]}\n\n'
    f'      {each["words"].replace(chr(10), chr(10) + "      ")}\n'
    for each in trials
    if each['outcome'] in BAD
  ]
  return f'# Kills at random moments\n\n{table(trials)}\n{_NOTES}\n' + '\n'.join(bad)


def run(command: Command, folder: pathlib.Path, kills: int, first_seed: int) -> Iterator[dict[str, Any]]:
  """Trials of one command, until it was killed so often; `folder` then holds its undisturbed run."""
  first = command.whole(folder)  # it compiles, and so its time is not that of the others
  done, seed = 0, first_seed
  whole = None
  while done < kills:
    with tempfile.TemporaryDirectory(dir=folder.parent) as trial:
      if whole is None:
        whole = command.whole(pathlib.Path(trial))
        if whole.found != first.found:
          raise RuntimeError(f'{command.name}: two undisturbed runs differ')
        continue
      found = command.trial(pathlib.Path(trial), whole, seed)
    done, seed = done + len(found['kills']), seed + 1
    yield found


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--kills', type=int, default=100, help='of all commands together')
  parser.add_argument('--first_seed', type=int, default=0)
  parser.add_argument('--commands', default='', help='only those whose name contains this')
  parser.add_argument('--out', type=pathlib.Path, default=pathlib.Path('runs/fuzz'))
  given = parser.parse_args()
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the command that runs, too
  given.out.mkdir(parents=True, exist_ok=True)
  trials: list[dict[str, Any]] = []
  with tempfile.TemporaryDirectory() as folder:
    # One cache for all: only the undisturbed runs compile.
    os.environ |= {
      'PYTHONPATH': os.pathsep.join([str(_TESTS.parent), os.environ.get('PYTHONPATH', '')]),
      'JAX_PLATFORMS': 'cpu',
      'JAX_COMPILATION_CACHE_DIR': f'{folder}/programs',
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
      'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
    }
    made = list(commands(pathlib.Path(folder)))
    while given.commands not in made[-1][0].name:
      made.pop()  # no other command needs what it writes
    chosen = [command for command, _ in made if given.commands in command.name]
    each = -(-given.kills // len(chosen))
    left = [run(command, own, each * (command in chosen), given.first_seed) for command, own in made]
    while left:  # by turns: a campaign that is stopped has tried all
      for trials_of in list(left):
        if (trial := next(trials_of, None)) is None:
          left.remove(trials_of)
          continue
        trials.append(trial)
        print(trial['command'], trial['seed'], trial['outcome'], *trial['kills'], sep=', ', flush=True)
        (given.out / 'kills.md').write_text(report(trials), encoding='utf-8')
  print(table(trials), given.out / 'kills.md', sep='\n')


if __name__ == '__main__':
  main()
