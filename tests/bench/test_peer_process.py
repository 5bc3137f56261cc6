"""Other libraries are called and timed in another process."""

import multiprocessing

import pytest

from har_jax import config
from har_jax.errors import UserError
from launch.bench import peer_process


def test_errors_of_the_other_process_are_raised_here():
  pytest.importorskip('torch')
  pytest.importorskip('peft')
  with (
    pytest.raises(UserError, match='--model_streams=1'),
    peer_process.peers(config.Experiment.paper(), 'inference', 2, 1),
  ):
    pass


def test_the_end_of_the_other_process_is_an_error():
  ours, other = multiprocessing.Pipe()
  other.close()
  with pytest.raises(UserError, match='has ended'):
    peer_process._receive(ours)
