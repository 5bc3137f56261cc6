"""har-jax adapt, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['adapt', *sys.argv[1:]]))
