"""Benchmarks of small calls, compiled without optimization: no test compares times."""

import pytest

from har_jax.train import loop


@pytest.fixture(scope='module', autouse=True)
def _compiled_fast(compiled_fast: None) -> None:
  pass


@pytest.fixture(autouse=True)
def _two_steps_per_call(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(loop, 'steps_per_call', lambda batch: 2)
