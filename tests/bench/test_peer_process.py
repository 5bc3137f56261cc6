"""Peers are made, called and timed in a process of their own."""

import pytest

from har_jax import config
from har_jax.bench import peer_process
from har_jax.errors import UserError

pytest.importorskip('torch')
pytest.importorskip('peft')


def test_what_peers_refuse_is_raised_here():
  with (
    pytest.raises(UserError, match='one stream only'),
    peer_process.peers(config.Experiment.paper(), 'inference', 2, 1),
  ):
    pass
