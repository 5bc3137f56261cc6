"""har-jax bench, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['bench', *sys.argv[1:]]))
