"""har-jax lodo, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['lodo', *sys.argv[1:]]))
