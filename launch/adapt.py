"""See har_jax/cli/adapt.py."""

from har_jax.cli import command
from har_jax.cli.adapt import main

if __name__ == '__main__':
  command.run(main)
