"""See har_jax/cli/export.py."""

from har_jax.cli import command
from har_jax.cli.export import main

if __name__ == '__main__':
  command.run(main)
