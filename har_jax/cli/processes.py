"""Devices of a run, one run by several processes, and the end of a run by SIGTERM or Ctrl-C."""

import itertools
import signal
import sys
from collections.abc import Callable

from absl import flags

from har_jax.cli import command
from har_jax.errors import UserError

# Seconds that an ending process waits for the others. They end within a moment, or wait for one that failed
# and end only after this. JAX's default of 300 s would hold all machines for as long.
_SHUTDOWN_S = 20
_interrupts: list[int] = []  # Ctrl-C since the last `join`


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
    _turn_interrupts_into_sigterm()
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


def _turn_interrupts_into_sigterm() -> None:
  """Handles Ctrl-C as SIGTERM, once. Ignored, as in processes that another one ends, it stays so."""
  _interrupts.clear()

  def handle(number: int, _: object) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _interrupts.append(number)
    print('\nstopping after this step; Ctrl-C again stops at once, unsaved', file=sys.stderr, flush=True)
    signal.raise_signal(signal.SIGTERM)

  if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, handle)


def stop_code() -> int:
  """The exit code of a command that saved its state and stopped, as a shell reports the signal."""
  return 128 + (signal.SIGINT if _interrupts else signal.SIGTERM)
