"""See har_jax/cli/report.py."""

from har_jax.cli import command
from har_jax.cli.report import main

if __name__ == '__main__':
  command.run(main)
