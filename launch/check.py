"""har-jax check, from a checkout."""

import sys

from har_jax.cli.main import main

if __name__ == '__main__':  # child processes import this file
  sys.exit(main(['check', *sys.argv[1:]]))
