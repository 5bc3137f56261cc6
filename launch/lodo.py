"""See har_jax/cli/lodo.py."""

from har_jax.cli import command
from har_jax.cli.lodo import main

if __name__ == '__main__':
  command.run(main)
