"""See har_jax/cli/bench.py."""

from har_jax.cli import command
from har_jax.cli.bench import main

if __name__ == '__main__':
  command.run(main)
