"""What every launch script shares: a user's mistake is one clean line, not a traceback."""

import sys
from collections.abc import Callable

from absl import app

from har_jax.errors import UserError


def run(main: Callable[[], None]) -> None:
  """Parses the flags, calls `main`, exits: 1 after a UserError, 130 after Ctrl-C."""

  def guarded(argv: list[str]) -> None:
    try:
      if len(argv) > 1:
        raise UserError(f'{argv[1]!r} is no flag: write --name=value')
      main()
    except UserError as error:
      print(f'error: {error}', file=sys.stderr)
      sys.exit(1)
    except KeyboardInterrupt:
      print('interrupted', file=sys.stderr)
      sys.exit(130)

  app.run(guarded)
