"""har-jax report, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['report', *sys.argv[1:]]))
