"""See har_jax/cli/paper.py."""

from har_jax.cli import command
from har_jax.cli.paper import main

if __name__ == '__main__':
  command.run(main)
