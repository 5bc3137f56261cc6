"""Other libraries are called and timed in another process."""

import importlib.util
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from har_jax import config
from har_jax.errors import UserError
from launch.bench import peer_process


def test_errors_of_the_other_process_are_raised_here():
  has_torch = importlib.util.find_spec('torch') is not None
  error, text = (
    (UserError, '--model_streams=1') if has_torch else (ModuleNotFoundError, "No module .*'torch'")
  )
  with (
    pytest.raises(error, match=text),
    peer_process.peers(config.Experiment.paper(), 'inference', 2, 1),
  ):
    pass


def test_the_end_of_the_other_process_is_an_error():
  with (
    ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as other,
    pytest.raises(UserError, match='has ended'),
  ):
    peer_process.ask(other, os._exit, 1)


def test_calls_are_timed_in_the_process_that_has_them(monkeypatch):
  monkeypatch.setitem(peer_process._calls, 'a peer', lambda: None)
  assert peer_process._time_call('a peer') > 0
