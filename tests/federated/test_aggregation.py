"""What a server makes of its clients' updates."""

import numpy as np
import pytest

from har_jax.errors import UserError
from har_jax.federated import aggregation
from har_jax.variables import Variables


def _client(seed: int) -> Variables:
  rng = np.random.default_rng(seed)
  shapes = {
    'batch_stats/head/norm_0/mean': (3,),
    'batch_stats/head/norm_0/var': (3,),
    'lora/encoder/up/a': (5, 2),
    'lora/encoder/up/b': (2, 4),
    'params/head/dense_0/bias': (3,),
  }
  return {path: np.abs(rng.standard_normal(shape)).astype(np.float32) for path, shape in shapes.items()}


def test_weights_follow_the_windows_or_are_equal():
  assert aggregation.client_weights([30, 10], equal=False).tolist() == [0.75, 0.25]
  assert aggregation.client_weights([30, 10], equal=True).tolist() == [0.5, 0.5]


def test_the_average_of_equal_clients_is_the_client():
  client = _client(0)
  mean = aggregation.average([client] * 3, aggregation.client_weights([1, 2, 4], equal=False))
  for path, leaf in client.items():
    np.testing.assert_array_equal(mean[path], leaf)
    assert mean[path].dtype == np.float32


def test_running_statistics_are_those_of_all_windows_together():
  rng = np.random.default_rng(0)
  parts = [rng.normal(shift, 1 + shift, (size, 3)) for shift, size in ((0, 30), (2, 10))]
  clients = [
    _client(0)
    | {'batch_stats/head/norm_0/mean': part.mean(axis=0), 'batch_stats/head/norm_0/var': part.var(axis=0)}
    for part in parts
  ]
  mean = aggregation.average(clients, aggregation.client_weights([30, 10], equal=False))
  together = np.concatenate(parts)
  np.testing.assert_allclose(mean['batch_stats/head/norm_0/mean'], together.mean(axis=0))
  np.testing.assert_allclose(mean['batch_stats/head/norm_0/var'], together.var(axis=0))


@pytest.mark.parametrize(
  ('changed', 'named'),
  [
    ({'params/head/dense_0/bias': np.full(3, np.nan, np.float32)}, r'dense_0/bias is not finite'),
    ({'params/head/dense_0/bias': np.zeros(4, np.float32)}, r'is float32\[4\], expected float32\[3\]'),
    ({'params/head/dense_0/bias': np.zeros(3)}, r'is float64\[3\], expected float32\[3\]'),
    (
      {'params/head/dense_1/bias': np.zeros(3, np.float32)},
      r'6 leaves, expected 5 .* unknown: params/head/dense_1',
    ),
    ({'lora/encoder/up/a': None}, r'missing: lora/encoder/up/a'),
    ({'batch_stats/head/norm_0/var': np.full(3, -1, np.float32)}, r'norm_0/var is a variance below zero'),
    (
      {'batch_stats/head/norm_0/mean': np.full(3, 1e20, np.float32)},
      r'norm_0/mean has a value of 1e\+20, beyond 1e\+06',
    ),
    ({'lora/encoder/up/a': np.full((5, 2), -1e7, np.float32)}, r'up/a has a value of 1e\+07, beyond 1e\+06'),
  ],
)
def test_an_update_that_is_none_is_refused_with_its_leaf(changed, named):
  update = {path: leaf for path, leaf in (_client(0) | changed).items() if leaf is not None}
  with pytest.raises(UserError, match=named):
    aggregation.check_update(update, _client(1))


def test_the_noise_of_a_private_mean_has_its_deviation():
  start = {'params/head/kernel': np.zeros((100, 100), np.float32)}
  noisy = aggregation.private_mean([start, start], start, 2.0, 3.0, np.random.default_rng(0))
  assert noisy['params/head/kernel'].std() == pytest.approx(3.0 * 2.0 / 2, rel=0.05)


@pytest.mark.parametrize('large', [1, 1e25])  # whose square is no float32
def test_the_norm_of_an_update_is_that_of_all_its_leaves_and_a_small_one_stays(large):
  start = {'params/a': np.ones(1, np.float32), 'params/b': np.zeros(1, np.float32)}
  # Their norms are 5 or more, which is cut to 2, and 0.5. The mean of [1.2, 1.6] and [0.3, 0.4] is [0.75, 1].
  updates = [
    {'params/a': np.float32([1 + 3 * scale]), 'params/b': np.float32([4 * scale])} for scale in (large, 0.1)
  ]
  moved = aggregation.private_mean(updates, start, 2.0, 0.0, np.random.default_rng(0))
  np.testing.assert_allclose([moved['params/a'][0], moved['params/b'][0]], [1.75, 1.0], rtol=1e-6)


def test_noise_leaves_no_variance_below_zero():
  start = {
    'batch_stats/head/norm_0/var': np.full(1000, 1e-3, np.float32),
    'params/a': np.zeros(1000, np.float32),
  }
  noisy = aggregation.private_mean([start], start, 1.0, 5.0, np.random.default_rng(0))
  assert noisy['batch_stats/head/norm_0/var'].min() == 0.0
  assert noisy['params/a'].min() < -5
