"""Benchmarks of small calls: no test compares times."""

import pytest

from har_jax.train import loop
from har_jax.train.objective import Classify, Reconstruct


@pytest.fixture(autouse=True)
def _two_steps_per_call(monkeypatch) -> None:
  monkeypatch.setattr(loop, 'steps_per_call', lambda batch: 2)


@pytest.fixture(autouse=True)
def _without_compiled_init(monkeypatch, drawn) -> None:
  for objective in (Classify, Reconstruct):
    init = objective.init
    monkeypatch.setattr(objective, 'init', lambda self, key, init=init: drawn(lambda key: init(self, key)))
