"""See har_jax/cli/bench_nf4.py."""

from har_jax.cli import command
from har_jax.cli.bench_nf4 import main

if __name__ == '__main__':
  command.run(main)
