"""har-jax pretrain, from a checkout."""

import sys

from har_jax.cli.main import main

sys.exit(main(['pretrain', *sys.argv[1:]]))
