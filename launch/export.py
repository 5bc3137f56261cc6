"""har-jax export, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['export', *sys.argv[1:]]))
