"""See har_jax/cli/pretrain.py."""

from har_jax.cli import command
from har_jax.cli.pretrain import main

if __name__ == '__main__':
  command.run(main)
