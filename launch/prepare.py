"""See har_jax/cli/prepare.py."""

from har_jax.cli import command
from har_jax.cli.prepare import main

if __name__ == '__main__':
  command.run(main)
