"""The command line: `har-jax <command> --flag=value`."""

import _thread
import contextlib
import gc
import importlib
import os
import signal
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from importlib.machinery import ExtensionFileLoader

from har_jax import __version__
from har_jax.cli import command
from har_jax.errors import Terminated

COMMANDS = (
  'prepare',
  'pretrain',
  'lodo',
  'paper',
  'report',
  'adapt',
  'federate',
  'continual',
  'predict',
  'check',
  'export',
)
_NEW_OBJECTS = 100_000  # between two searches for cycles; 700 by default
_LATER_S = 0.05
_SIGNALED = 128  # an exit code is this and the signal's number


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a command and returns its exit code; `sys.argv` by default. Without a command, lists them."""
  if arguments is None:  # this process is the command's own
    try:
      with _own_process():
        code = main(sys.argv[1:])
        if code > _SIGNALED:
          _leave(code)
        return code
    except KeyboardInterrupt as interrupt:  # at the last moment: all is written
      return _SIGNALED + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
  try:
    code = _run(arguments)
    print(end='', flush=True)  # there may be no standard output
    return code
  except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except KeyboardInterrupt as interrupt:  # while the command is imported
    return command.interrupted(interrupt)


@contextlib.contextmanager
def _own_process() -> Iterator[None]:
  """Makes SIGTERM end a command as Ctrl-C does. Either is silent while the process ends: all is written.

  Makes Python look seldom for unused objects that refer to each other. To import JAX and pandas makes a
  million objects that stay. To look through them again and again takes a quarter of a short command's time.
  """

  signal.signal(signal.SIGTERM, _interrupt)
  if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, _interrupt)
  gc.set_threshold(_NEW_OBJECTS)
  try:
    yield
  finally:
    gc.freeze()  # the last search, at the end of the process, skips what is there
    for number in (signal.SIGTERM, signal.SIGINT):
      if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: types.FrameType | None) -> None:
  """Raises Terminated or KeyboardInterrupt.

  While JAX's library is loaded, its C++ would abort the process at an exception: the signal comes later.
  """
  callers = [caller.f_locals.get('self') for caller, _ in traceback.walk_stack(frame)]
  if any(isinstance(caller, ExtensionFileLoader) for caller in callers):
    threading.Timer(_LATER_S, _thread.interrupt_main, [number]).start()
  else:
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _leave(code: int) -> None:
  """Ends the process at once: all is written, and threads of XLA that still compile may crash a slow end."""
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(AttributeError, OSError):  # there may be none, or nobody reads it
      stream.flush()
  os._exit(code)


def _run(arguments: Sequence[str]) -> int:
  name, *flags = arguments or ['--help']
  if name in ('--help', '-h'):
    print(
      'har-jax <command> --flag=value; har-jax <command> --help lists the flags. --version: the version.\n'
    )
    for command_name in COMMANDS:
      print(f'  {command_name:<10} {(load(command_name).__doc__ or "").splitlines()[0]}')
    return 0
  if name == '--version':
    print(f'har_jax {__version__}')
    return 0
  if name not in COMMANDS:
    print(f'error: unknown command {name!r}; one of {", ".join(COMMANDS)}', file=sys.stderr)
    return 1
  return command.run(load(name), flags)


def load(name: str) -> types.ModuleType:
  """A command's module: its `FLAGS`, its `main`, and its docstring for --help."""
  return importlib.import_module(f'har_jax.cli.{name}')


if __name__ == '__main__':
  sys.exit(main())
