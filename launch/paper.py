"""har-jax paper, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['paper', *sys.argv[1:]]))
