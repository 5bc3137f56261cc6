"""Federated adaptation: people's recordings stay with them, and only what a method trains is sent.

`aggregation`, `task` and `people` need no Flower; `client`, `server` and `simulation` import it.
"""

import os

# Before Flower and Ray are imported. Neither shall report to its makers what is run. Ray shall not warn of
# its next version, which leaves the choice of accelerators alone.
for _name in ('FLWR_TELEMETRY_ENABLED', 'RAY_USAGE_STATS_ENABLED', 'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO'):
  os.environ.setdefault(_name, '0')
