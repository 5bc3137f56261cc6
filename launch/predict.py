"""See har_jax/cli/predict.py."""

from har_jax.cli import command
from har_jax.cli.predict import main

if __name__ == '__main__':
  command.run(main)
