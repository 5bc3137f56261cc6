"""Baselines of a tenth of their size, for tests that fit them again and again and count no parts."""

from collections.abc import Iterator

import pytest

from har_jax.baselines import forest, rocket


@pytest.fixture(scope='module', autouse=True)
def small_baselines() -> Iterator[None]:
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(forest, '_TREES', 40)
    patched.setattr(rocket, '_KERNELS', 1000)
    yield
