"""Commands of har-jax without a process of their own, which would cost seconds of imports."""

import contextlib
import io
import signal

from har_jax.cli import main


def run_in_process(command: str, *arguments: object) -> tuple[int, str, str]:
  """The exit code, the standard output and the standard error of `har-jax <command> <arguments>`."""
  out, err = io.StringIO(), io.StringIO()
  handler = signal.getsignal(signal.SIGTERM)
  module = main.load(command)
  try:
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      code = main.main([command, *map(str, arguments)])
  finally:
    module.FLAGS.unparse_flags()
    signal.signal(signal.SIGTERM, handler)
  return code, out.getvalue(), err.getvalue()
