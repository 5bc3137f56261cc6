"""har-jax export, from a checkout."""

import sys

from har_jax.cli.main import main

if __name__ == '__main__':  # child processes import this file
  sys.exit(main(['export', *sys.argv[1:]]))
