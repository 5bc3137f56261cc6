"""Other libraries are called and timed in another process."""

import pytest

from har_jax import config
from har_jax.bench import peer_process
from har_jax.errors import UserError

pytest.importorskip('torch')
pytest.importorskip('peft')


def test_errors_of_the_other_process_are_raised_here():
  with (
    pytest.raises(UserError, match='--model_streams=1'),
    peer_process.peers(config.Experiment.paper(), 'inference', 2, 1),
  ):
    pass
