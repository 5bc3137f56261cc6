"""Commands without a process of their own, which would cost seconds of imports."""

import contextlib
import io
import signal
import types
from collections.abc import Callable

from har_jax.cli import command, main


def run_in_process(name: str, *arguments: object) -> tuple[int, str, str]:
  """The exit code, the standard output and the standard error of `har-jax <name> <arguments>`."""
  return _output(main.load(name), lambda: main.main([name, *map(str, arguments)]))


def succeed(name: str, *arguments: object) -> tuple[str, str]:
  """The standard output and the standard error of a command that ends well."""
  code, out, err = run_in_process(name, *arguments)
  assert code == 0, err
  return out, err


def refuse(name: str, *arguments: object, is_silent: bool = True) -> str:
  """The one line of a command that ends with an error; it may warn, and print unless `is_silent`."""
  code, out, err = run_in_process(name, *arguments)
  assert code == 1, err
  assert not (is_silent and out)
  (line,) = [line for line in err.splitlines() if not line.startswith('warning: ')]
  assert line.startswith('error: ')
  return line


def run_module(module: types.ModuleType, *arguments: object) -> tuple[int, str, str]:
  """The same of `python -m <module> <arguments>`, a script that is no command of har-jax."""
  return _output(module, lambda: command.run(module, [*map(str, arguments)]))


def _output(module: types.ModuleType, run: Callable[[], int]) -> tuple[int, str, str]:
  out, err = io.StringIO(), io.StringIO()
  handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
  signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
  try:
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      code = run()
  finally:
    module.FLAGS.unparse_flags()
    for number, handler in handlers.items():
      signal.signal(number, handler)
  return code, out.getvalue(), err.getvalue()
