"""What launch scripts share: flags made from the config, several processes, and a user's mistake as one clean line."""

import dataclasses
import errno
import itertools
import signal
import sys
from collections.abc import Callable
from typing import Any

from absl import app, flags, logging

from har_jax import config
from har_jax.errors import Stopped, UserError

flags.disclaim_key_flags()  # flags defined here belong to the script that asks for them, and to its --help

_TERMINATED = 128 + signal.SIGTERM  # as a shell reports a process that the signal ended
# How long a process that ends waits for the others: they end within a moment, or are stuck waiting for one that failed, and
# only once this is over are they ended. JAX's own 300 s would hold all machines for as long.
_SHUTDOWN_S = 20


def run(main: Callable[[], None]) -> None:
  """Parses the flags, calls `main`, exits: 1 after a UserError, 130 after Ctrl-C, 143 once stopped by SIGTERM."""

  def guarded(argv: list[str]) -> None:
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)  # at its own default, Orbax tells each file it writes
    try:
      if len(argv) > 1:
        raise UserError(f'{argv[1]!r} is no flag: write --name=value')
      main()
    except UserError as error:
      print(f'error: {error}', file=sys.stderr)
      sys.exit(1)
    except OSError as error:
      if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise
      print(
        f'error: the disk is full ({error.filename or "no file named"}); free some space and run again',
        file=sys.stderr,
      )
      sys.exit(1)
    except Stopped as stopped:
      from har_jax.train import mesh  # which takes a second: not for --help

      if mesh.is_main_process():
        print(f'{stopped}; the same command goes on from there', file=sys.stderr)
      sys.exit(_TERMINATED)
    except KeyboardInterrupt:
      print('interrupted; the same command goes on from the last checkpoint', file=sys.stderr)
      sys.exit(130)

  app.run(guarded)


def whole_numbers(flag: str, words: list[str]) -> tuple[int, ...]:
  """The values of a list flag. Raises UserError where one is no whole number."""
  try:
    return tuple(int(word) for word in words)
  except ValueError as error:
    raise UserError(f'--{flag}={",".join(words)}: give whole numbers, such as 0,1,2') from error


def define_experiment() -> Callable[[], config.Experiment]:
  """Defines a flag for every knob, and --preset; returns what reads the experiment from them."""
  preset = flags.DEFINE_enum(
    'preset', 'base', list(config.PRESETS), 'where knobs not given by flag come from'
  )
  base = config.Experiment()
  holders = {
    part: {
      field.name: _define(f'{prefix}{field.name}', field, getattr(getattr(base, part), field.name))
      for field in dataclasses.fields(getattr(base, part))
    }
    for part, prefix in config.FLAG_PREFIXES.items()
  }

  def experiment() -> config.Experiment:
    chosen = config.PRESETS[preset.value]()
    parts = {
      part: dataclasses.replace(getattr(chosen, part), **_given(knobs)) for part, knobs in holders.items()
    }
    return dataclasses.replace(chosen, **parts)

  return experiment


def define_cpu_devices() -> Callable[[], None]:
  """Defines --cpu_devices; returns what sets it, before JAX is first used."""
  cpu_devices = flags.DEFINE_integer(
    'cpu_devices',
    None,
    'devices that a CPU counts as, between which each batch is split: half of a step runs on one core a device; 2 makes long '
    'runs on two cores some 10 % shorter, and each compilation twice as long (default: 1)',
    lower_bound=1,
  )

  def set_devices() -> None:
    if cpu_devices.value is not None:
      import jax

      jax.config.update('jax_num_cpu_devices', cpu_devices.value)

  return set_devices


def define_processes() -> Callable[[], Callable[[], bool]]:
  """Defines the flags that make several processes one run; returns what joins them, before JAX is first used.

  That in turn returns what a run asks after each step, equally often in each process: whether SIGTERM has come, to any of
  them. All are told so at the same step. Joined or not, the signal no longer ends a process by itself.
  """
  coordinator = flags.DEFINE_string(
    'coordinator', None, 'host:port where process 0 gathers the processes of one run'
  )
  processes = flags.DEFINE_integer('processes', None, 'how many they are, on any machines', lower_bound=1)
  process = flags.DEFINE_integer('process', None, 'which of them this is, from 0', lower_bound=0)
  distributed = flags.DEFINE_bool(
    'distributed', False, 'join the processes that the cluster itself tells of: Slurm, TPU pods, GKE'
  )

  def join() -> Callable[[], bool]:
    address, count, own = coordinator.value, processes.value, process.value
    alone = (address, count, own) == (None, None, None)
    if distributed.value:
      if not alone:
        raise UserError(
          '--distributed finds the processes by itself: leave out --coordinator, --processes, --process'
        )
    elif alone:
      return _told_to_stop()
    elif address is None or count is None or own is None:
      raise UserError('--coordinator, --processes and --process belong together; give all three or none')
    elif own >= count:
      raise UserError(f'--process={own} of {count} processes; give 0 to {count - 1}')
    elif not address.rpartition(':')[2].isdigit():
      raise UserError(f'--coordinator={address}; give host:port, such as 10.0.0.1:8476')
    import jax
    from jax.experimental import multihost_utils

    try:
      jax.distributed.initialize(
        address, num_processes=count, process_id=own, shutdown_timeout_seconds=_SHUTDOWN_S
      )
    except (RuntimeError, ValueError) as error:
      raise UserError(f'the processes could not be joined: {error}') from error
    # A count over all runs of the process: were it a run's own steps, a sync point agreed on near its end would never come.
    asked = itertools.count(1)
    return lambda: multihost_utils.reached_preemption_sync_point(next(asked))

  return join


def define_shard() -> Callable[[], tuple[int, int]]:
  """Defines the flag that makes a script one job of several; returns which, of how many."""
  shard = flags.DEFINE_string(
    'lodo_shard',
    '0/1',
    'i/n: part i, from 0, of all runs in n parts, of which each is a job with the same --out',
  )

  def which() -> tuple[int, int]:
    number, _, shards = shard.value.partition('/')
    try:
      return int(number), int(shards)
    except ValueError as error:
      raise UserError(f'--lodo_shard={shard.value}: give i/n, such as 0/4 to 3/4') from error

  return which


def _told_to_stop() -> Callable[[], bool]:
  """Whether SIGTERM has come to this process."""
  told: list[int] = []
  signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
  return lambda: bool(told)


def _define(name: str, field: dataclasses.Field, default: Any) -> flags.FlagHolder:
  text = f'{field.metadata["help"]} (base: {",".join(map(str, default)) if isinstance(default, tuple) else default})'
  if isinstance(default, tuple):
    return flags.DEFINE_list(name, None, text)
  kinds: dict[type, Callable[..., flags.FlagHolder]] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
  }
  return kinds[type(default)](name, None, text)


def _given(knobs: dict[str, flags.FlagHolder]) -> dict[str, Any]:
  given = {name: holder.value for name, holder in knobs.items() if holder.value is not None}
  return {name: _entries(value) if isinstance(value, list) else value for name, value in given.items()}


def _entries(words: list[str]) -> tuple:
  return tuple(int(word) if word.isdigit() else word for word in words)
