"""har-jax continual, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['continual', *sys.argv[1:]]))
