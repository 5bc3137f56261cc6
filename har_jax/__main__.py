"""python -m har_jax <command>: the same as har-jax <command>."""

import sys

from har_jax.cli.main import main

if __name__ == '__main__':
  sys.exit(main())
