"""har-jax federate, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['federate', *sys.argv[1:]]))
