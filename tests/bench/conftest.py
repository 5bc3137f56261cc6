"""Benchmarks of small calls: no test compares times."""

import pytest

from har_jax.train import loop


@pytest.fixture(autouse=True)
def _two_steps_per_call(monkeypatch) -> None:
  monkeypatch.setattr(loop, 'steps_per_call', lambda batch: 2)
