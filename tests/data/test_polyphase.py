"""Change of the sampling rate by a polyphase filter."""

import numpy as np
import pytest
from scipy import signal

from har_jax.data import polyphase


@pytest.mark.parametrize('from_hz', [1, 7, 20, 25, 33, 51, 60, 97, 100, 128, 200, 1000])
@pytest.mark.parametrize('samples', [2, 3, 129, 1024])
def test_it_equals_scipys(from_hz, samples):
  values = np.cumsum(np.random.default_rng(from_hz).normal(size=(samples, 3)), axis=0)
  found = polyphase.resample(values, 50, from_hz)
  expected = signal.resample_poly(values, 50, from_hz, axis=0, padtype='line')
  np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
  assert found.flags.c_contiguous


@pytest.mark.parametrize('from_hz', [60, 100])
def test_several_blocks_give_what_one_gives(from_hz, monkeypatch):
  values = np.random.default_rng(0).normal(size=(2000, 3))
  expected = polyphase.resample(values, 50, from_hz)
  monkeypatch.setattr(polyphase, '_BLOCK', 64)
  np.testing.assert_array_equal(polyphase.resample(values, 50, from_hz), expected)


def test_the_first_sample_keeps_its_time():
  time_s = np.arange(400) / 100
  tone = np.sin(2 * np.pi * 3 * time_s)[:, None]
  found = polyphase.resample(tone, 50, 100)
  assert np.abs(found - tone[::2])[25:-25].max() < 0.01
