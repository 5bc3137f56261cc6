"""har-jax bench_nf4, from a checkout."""

import sys

from har_jax.cli.main import main

if __name__ == '__main__':  # child processes import this file
  sys.exit(main(['bench_nf4', *sys.argv[1:]]))
