"""Ctrl-C of a command that saves its state before it stops."""

import signal
import sys

_interrupts: list[int] = []  # Ctrl-C since `turn_into_sigterm`


def turn_into_sigterm() -> None:
  """Handles Ctrl-C as SIGTERM, once. Ignored, as in processes that another one ends, it stays so."""
  _interrupts.clear()

  def handle(number: int, _: object) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _interrupts.append(number)
    print('\nstopping after this step; Ctrl-C again stops at once, unsaved', file=sys.stderr, flush=True)
    signal.raise_signal(signal.SIGTERM)

  if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, handle)


def stop_code() -> int:
  """The exit code of a command that saved its state and stopped, as a shell reports the signal."""
  return 128 + (signal.SIGINT if _interrupts else signal.SIGTERM)
