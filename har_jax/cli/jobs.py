"""Processes of a command: devices, jobs that share its runs, and one run of several processes.

A job is a process on one machine, on a core of its own, that does a part of the runs.
"""

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from absl import flags

from har_jax.cli import command, interrupts
from har_jax.errors import Stopped, UserError
from har_jax.storage import Place

_POLL_S = 0.2
# Windows knows no SIGTERM between processes, but Ctrl-Break, of a group of processes.
_STOP = getattr(signal, 'CTRL_BREAK_EVENT', signal.SIGTERM)
_NEW_GROUP = getattr(subprocess, 'CREATE_NEW_PROCESS_GROUP', 0)
# Seconds that an ending process waits for the others. They end within a moment, or wait for one that failed
# and end only after this. JAX's default of 300 s would hold all machines for as long.
_SHUTDOWN_S = 20


def define_jobs(values: flags.FlagValues) -> Callable[[], int]:
  """Defines --jobs; returns a function that reads how many."""
  define = command.definer(values)
  jobs = define(
    'jobs',
    '1',
    'processes that share the runs, each on a core of its own, with weights of its own; auto: one a core, or '
    'a single one with an accelerator',
  )

  def read() -> int:
    if jobs.value == 'auto':
      import jax

      return len(cores()) if jax.default_backend() == 'cpu' else 1
    if not jobs.value.isdecimal() or not int(jobs.value):
      raise UserError(f'--jobs={jobs.value}: give a number of processes, or auto')
    return int(jobs.value)

  return read


def define_shard(values: flags.FlagValues) -> Callable[[], tuple[int, int]]:
  """Defines --lodo_shard; returns a function that reads (shard, number of shards)."""
  text = 'i/n: do part i (from 0) of the runs, dealt to n jobs with the same --out'
  shard = command.definer(values)('lodo_shard', '0/1', text)

  def read() -> tuple[int, int]:
    number, _, shards = shard.value.partition('/')
    try:
      return int(number), int(shards)
    except ValueError as error:
      raise UserError(f'--lodo_shard={shard.value}: give i/n, such as 0/4 to 3/4') from error

  return read


def run(
  command: str, values: flags.FlagValues, jobs: int, *, results: Sequence[Place], stop: Callable[[], bool]
) -> None:
  """Runs the shards of a command with --lodo_shard, until all have ended.

  On a terminal, each job shows what it trains on a line of its own. results: the files that the runs write,
  for the bar of all. stop: whether to end all jobs.
  Raises UserError where a job fails, and Stopped after `stop`, when the others have saved their state.
  """
  if values['lodo_shard'].present or values['coordinator'].present or values['distributed'].value:
    raise UserError(
      '--jobs is for one command on one machine: leave out --lodo_shard and what joins processes'
    )
  import tqdm

  def finished() -> int:
    return sum(path.exists() for path in results)

  with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / f'{command}.flags'
    file.write_text(values.flags_into_string(), encoding='utf-8')
    arguments = [f'--flagfile={file}', '--jobs=1']
    arguments += ['--nojson'] if 'json' in values else []
    is_terminal = sys.stderr.isatty()
    arguments += [] if is_terminal else ['--noprogress']  # lines of a file cannot be drawn over
    shards = [[command, *arguments, f'--lodo_shard={job}/{jobs}'] for job in range(jobs)]
    shown = values['progress'].value
    bar = tqdm.tqdm(total=len(results), initial=finished(), desc='all runs', unit='run', disable=not shown)
    with _started(shards) as processes, bar:
      while any(process.poll() is None for process in processes):
        if stop() or any(process.poll() for process in processes):
          break
        time.sleep(_POLL_S)
        if is_terminal or finished() > bar.n:  # in a file, each refresh would be a line
          bar.n = finished()  # unlike `update`: the time left follows from all runs since the start
          bar.refresh()
      bar.n = finished()
      failed = [(job, process.returncode) for job, process in enumerate(processes) if process.returncode]
  if stop():
    raise Stopped(f'{finished()} of {len(results)} runs are done, and the others have saved their state')
  if failed:
    job, code = failed[0]
    raise UserError(f'job {job} of {jobs} ended with exit code {code}; its message is above')


@contextlib.contextmanager
def _started(commands: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen]]:
  """Processes of `har-jax`, each on one core. SIGTERM ends those that are left: they save their state.

  Ctrl-C reaches this process alone, which then ends the others.
  """
  processes: list[subprocess.Popen] = []
  available = cores()
  try:
    for number, arguments in enumerate(commands):
      with _inherited(available[number % len(available)]):
        place = {'TQDM_POSITION': str(number + 1)}  # a line for its bar, below that of all runs
        words = [sys.executable, '-m', 'har_jax', *arguments]
        processes.append(
          subprocess.Popen(words, env=os.environ | place, stdout=subprocess.DEVNULL, creationflags=_NEW_GROUP)
        )
    yield processes
  finally:
    for process in processes:
      if process.poll() is None:
        process.send_signal(_STOP)
    for process in processes:
      process.wait()


def cores() -> list[int]:
  """CPU cores available to this process, else all."""
  if hasattr(os, 'sched_getaffinity'):
    return sorted(os.sched_getaffinity(0))
  return list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def _inherited(core: int) -> Iterator[None]:
  """A process that is started within it ignores Ctrl-C and has this core alone, for one thread."""
  handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
  before = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else None
  try:
    if before is not None:
      os.sched_setaffinity(0, {core})
    yield
  finally:
    signal.signal(signal.SIGINT, handler)
    if before is not None:
      os.sched_setaffinity(0, before)


# --- devices, and one run by several processes


def define_cpu_devices(values: flags.FlagValues) -> Callable[[], None]:
  """Defines --cpu_devices; returns a function that applies it, to be called before JAX is used."""
  cpu_devices = command.definer(values)(
    'cpu_devices',
    None,
    'number of JAX devices on the CPU; each batch is split over them. With 2 on two cores, long runs take '
    'about 10 % less time and each compilation twice as long (default: 1)',
    kind=int,
    lower_bound=1,
  )

  def set_devices() -> None:
    if cpu_devices.value is not None:
      import jax

      jax.config.update('jax_num_cpu_devices', cpu_devices.value)

  return set_devices


def define_processes(values: flags.FlagValues) -> Callable[[], Callable[[], bool]]:
  """Defines the flags of a distributed run; returns a function that joins it, before JAX is used.

  That function returns `stop`: whether SIGTERM or Ctrl-C has reached any process. A run calls it after each
  step, equally often in each process; it turns True at the same step in all. The signal itself no longer ends
  them, but a second Ctrl-C does.
  """
  define = command.definer(values)
  coordinator = define('coordinator', None, 'distributed run: host:port of process 0')
  processes = define('processes', None, 'distributed run: number of processes', kind=int, lower_bound=1)
  process = define(
    'process', None, 'distributed run: number of this process, from 0', kind=int, lower_bound=0
  )
  distributed = define(
    'distributed', False, 'distributed run whose processes the cluster lists (Slurm, TPU pods, GKE)'
  )

  def join() -> Callable[[], bool]:
    address, count, index = coordinator.value, processes.value, process.value
    interrupts.turn_into_sigterm()
    is_single = (address, count, index) == (None, None, None)
    if distributed.value:
      if not is_single:
        raise UserError(
          '--distributed needs none of --coordinator, --processes, --process: the cluster lists them'
        )
    elif is_single:
      received: list[int] = []
      for number in (signal.SIGTERM, getattr(signal, 'SIGBREAK', signal.SIGTERM)):  # Ctrl-Break, of Windows
        signal.signal(number, lambda number, _: received.append(number))
      return lambda: bool(received)
    elif address is None or count is None or index is None:
      raise UserError('--coordinator, --processes and --process belong together; give all three or none')
    elif index >= count:
      raise UserError(f'--process={index} of {count} processes; give 0 to {count - 1}')
    elif not address.rpartition(':')[2].isdigit():
      raise UserError(f'--coordinator={address}; give host:port, such as 10.0.0.1:8476')
    import jax
    from jax.experimental import multihost_utils

    try:
      jax.distributed.initialize(
        address, num_processes=count, process_id=index, shutdown_timeout_seconds=_SHUTDOWN_S
      )
    except (RuntimeError, ValueError) as error:
      raise UserError(f'the processes could not be joined: {error}') from error
    # Counts over all runs: with a run's own steps, a sync point agreed on near its end would never come.
    calls = itertools.count(1)
    return lambda: multihost_utils.reached_preemption_sync_point(next(calls))

  return join
