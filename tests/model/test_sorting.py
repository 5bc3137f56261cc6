import jax
import numpy as np
import pytest

from har_jax.model import sorting


@pytest.mark.parametrize('samples', [2, 3, 8, 100, 128])
@pytest.mark.parametrize('platform', ['cpu', 'others'])
def test_each_channel_is_sorted_as_numpy_sorts(monkeypatch, platform, samples):
  if platform == 'others':
    monkeypatch.setattr(sorting.lax, 'platform_dependent', lambda signals, cpu, default: default(signals))
  signals = np.random.default_rng(0).normal(size=(5, samples, 3)).astype(np.float32)
  signals[1] = signals[1, 0]  # equal samples
  signals[2] = -np.sort(-signals[2], axis=0)
  np.testing.assert_array_equal(jax.jit(sorting.ascending)(signals), np.sort(signals, axis=1))
