"""har-jax predict, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['predict', *sys.argv[1:]]))
