"""Ends a command at random moments, runs it again to the end, and compares with an undisturbed run."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

_POLL_S = 0.001
_PATIENCE_S = 600
_MOST_KILLS = 3  # of one run
_LETTERS = 6000  # of a log's end
_SIGNALS = 'SIGKILL', 'SIGTERM', 'SIGINT'  # the last one is Ctrl-C
_IMPORTS = 0.3  # of the processor time of a run: before, it only imports
_OF_TIME = ('seconds', 'ms', 'ms_quartiles')


@dataclasses.dataclass(frozen=True)
class Whole:
  """An undisturbed run: its processor time, how many paths appeared, and what it wrote."""

  cpu_s: float
  appeared: int
  facts: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Command:
  """A command, without --out, as arguments of Python."""

  name: str
  arguments: Sequence[str]

  @contextlib.contextmanager
  def _running(self, folder: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """Its process, which writes to <folder>/out and <folder>/log; it does not outlive the block."""
    arguments = [sys.executable, *self.arguments, f'--out={folder}/out']
    # Processes in the background of a shell ignore Ctrl-C, and so would those that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (folder / 'log').open('wb') as log:
      process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
    try:
      yield process
    finally:
      if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

  def whole(self, folder: pathlib.Path) -> Whole:
    """An undisturbed run. Raises RuntimeError if it fails."""
    (folder / 'log').touch()
    before = set(_paths(folder))
    seen, cpu_s = before, 0.0
    with self._running(folder) as process:
      while process.poll() is None:
        seen = seen.union(_paths(folder))
        cpu_s = max(cpu_s, _cpu_s(process.pid))
        time.sleep(_POLL_S)
    if process.returncode:
      raise RuntimeError(f'{self.name}: {(folder / "log").read_text()}')
    return Whole(cpu_s, len(seen.union(_paths(folder)) - before), facts(folder))

  def _kill(self, folder: pathlib.Path, whole: Whole, rng: np.random.Generator) -> str | None:
    """Runs the command and sends it a signal; says which and when. None: it ended before, or all the same.

    Half of the signals come at a moment of its processor time, the others when the n-th new path appears.
    """
    number = signal.Signals[str(rng.choice(_SIGNALS))]
    at_cpu_s = whole.cpu_s * rng.uniform(_IMPORTS, 1)
    at_path = int(rng.integers(1, whole.appeared + 1))
    is_at_path = rng.random() < 0.5
    (folder / 'log').touch()
    seen = set(_paths(folder))
    before = len(seen)
    with self._running(folder) as process:
      while process.poll() is None:
        seen.update(_paths(folder))
        if len(seen) - before >= at_path if is_at_path else _cpu_s(process.pid) >= at_cpu_s:
          process.send_signal(number)
          process.wait(_PATIENCE_S)
        else:
          time.sleep(_POLL_S)
    if process.returncode == 0:
      return None
    moment = f'path {at_path} of {whole.appeared}' if is_at_path else f'{at_cpu_s:.2f} of {whole.cpu_s:.2f} s'
    return f'{number.name} at {moment}'

  def trial(self, folder: pathlib.Path, whole: Whole, seed: int) -> tuple[list[str], str, str]:
    """One to three kills and a run to the end: the moments, the outcome, and what differs.

    The outcome is equal (every file that of an undisturbed run, bit for bit, without times), different,
    left-overs (more files, or parts of files after SIGTERM or Ctrl-C), or failed (an exit code other than 0
    at the end, or a traceback).
    """
    rng = np.random.default_rng([*self.name.encode(), seed])
    moments = []
    for _ in range(int(rng.integers(1, _MOST_KILLS + 1))):
      before = set(_paths(folder))  # a run that ends early may leave what a killed one has left
      if (moment := self._kill(folder, whole, rng)) is None:
        break
      moments.append(moment)
      if 'Traceback' in (log := (folder / 'log').read_text(errors='replace')):
        return moments, 'failed', log[-_LETTERS:]
      added = [path for path in _paths(folder) if '.partial' in path and path not in before]
      if 'SIGKILL' not in moment and added:
        return moments, 'left-overs', ', '.join(added)
    code: int | None = None
    with self._running(folder) as process, contextlib.suppress(subprocess.TimeoutExpired):
      code = process.wait(_PATIENCE_S)
    log = (folder / 'log').read_text(errors='replace')
    if code != 0 or 'Traceback' in log:
      return moments, 'failed', log[-_LETTERS:]
    after = facts(folder)
    if other := sorted(name for name, fact in whole.facts.items() if after.get(name) != fact):
      return moments, 'different', ', '.join(other)
    added = sorted(after.keys() - whole.facts.keys())
    return moments, 'left-overs' if added else 'equal', ', '.join(added)


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
  return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def facts(folder: pathlib.Path) -> dict[str, Any]:
  """Path → content of every file below, without times. Of checkpoints, what Orbax restores."""
  contents: dict[str, Any] = {}
  for path in sorted(folder.rglob('*')):
    name = path.relative_to(folder).as_posix()
    if path.parent.name == 'checkpoints' and path.name.isdigit():
      contents[name] = _restored(path)
    elif 'checkpoints' in path.parent.parts and 'tmp' not in path.name:
      continue
    elif path == folder / 'log' or path.name.startswith('events.out.tfevents'):
      continue  # a resumed run adds a file of TensorBoard
    elif path.is_dir():
      contents |= {} if any(path.iterdir()) else {name: 'empty folder'}
    elif path.suffix == '.jsonl':
      contents[name] = [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
    elif path.suffix == '.json':
      contents[name] = _without_times(json.loads(path.read_text()))
    else:
      contents[name] = hashlib.sha256(path.read_bytes()).hexdigest()
  return contents


def _restored(step: pathlib.Path) -> Any:
  items = {item.name for item in step.iterdir() if item.is_dir()}
  readers = {name: ocp.args.JsonRestore() for name in ('about', 'data')}
  arguments = {name: readers.get(name, ocp.args.StandardRestore()) for name in items - {'metrics'}}
  with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
    arrays = dict(checkpointer.restore(step.resolve(), args=ocp.args.Composite(**arguments)))
  entries = {name: _without_times(arrays.pop(name)) for name in readers}
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_flatten_with_path(arrays)[0]:
    digest.update(f'{path} {leaf.dtype} {leaf.shape}'.encode() + np.asarray(leaf).tobytes())
  return entries | {'arrays': digest.hexdigest()}


def _without_times(entry: Any) -> Any:
  if isinstance(entry, dict):
    return {name: _without_times(value) for name, value in entry.items() if name not in _OF_TIME}
  return [_without_times(value) for value in entry] if isinstance(entry, list) else entry
