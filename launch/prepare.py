"""har-jax prepare, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['prepare', *sys.argv[1:]]))
