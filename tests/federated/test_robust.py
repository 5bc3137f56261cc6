"""Clients that lie: how well a linear model then knows people who never take part; and messages that lie."""

import io

import numpy as np
import pytest

from har_jax import records
from har_jax.errors import UserError
from har_jax.federated import aggregation, messages
from har_jax.federated.federation import Federation
from har_jax.variables import Variables

_CLASSES = ('lying', 'sitting', 'standing', 'walking')
_FEATURES, _CLIENTS, _ROUNDS = 30, 5, 3


def _windows(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
  """Features of a person, who differs from others; what the classes have in common is in `_CENTERS`."""
  labels = rng.integers(0, len(_CLASSES), count)
  person = rng.normal(0, 0.3, (len(_CLASSES), _FEATURES))
  return (_CENTERS + person)[labels] + rng.normal(0, 1.0, (count, _FEATURES)), labels


_CENTERS = np.random.default_rng(7).normal(0, 0.8, (len(_CLASSES), _FEATURES))


def _train(start: Variables, features: np.ndarray, labels: np.ndarray) -> Variables:
  """Some steps of softmax regression, and the mean of the features as a running statistic."""
  kernel = start['params/head/kernel'].astype(np.float64)
  for _ in range(10):
    scores = np.exp(features @ kernel - (features @ kernel).max(axis=1, keepdims=True))
    wrong = scores / scores.sum(axis=1, keepdims=True) - np.eye(len(_CLASSES))[labels]
    kernel = kernel - 0.3 * features.T @ wrong / len(labels)
  return {
    'batch_stats/head/mean': features.mean(axis=0).astype(np.float32),
    'batch_stats/head/var': features.var(axis=0).astype(np.float32),
    'params/head/kernel': kernel.astype(np.float32),
  }


def _flipped(update: Variables, start: Variables, flipped: Variables) -> Variables:
  return flipped


def _times(factor: float):
  def change(update: Variables, start: Variables, flipped: Variables) -> Variables:
    return {
      path: (start[path] + factor * (leaf - start[path])).astype(np.float32) for path, leaf in update.items()
    }

  return change


_ATTACKS = {
  'honest': (lambda update, start, flipped: update, 100),
  'flipped labels': (_flipped, 100),
  'flipped, claims 10^6 windows': (_flipped, 10**6),
  'update times 10': (_times(10), 100),
  'update times -10': (_times(-10), 100),
  'update times 10^4': (_times(1e4), 100),
  'flipped times 10': (lambda update, start, flipped: _times(10)(flipped, start, flipped), 100),
}


def _accuracy(attack: str, **settings) -> float:
  rng = np.random.default_rng(0)
  people = [_windows(rng, 100) for _ in range(_CLIENTS)]
  unseen = [_windows(rng, 400) for _ in range(5)]
  federation = Federation(_CLASSES, rounds=_ROUNDS, **settings)
  change, claimed = _ATTACKS[attack]
  variables = {
    'batch_stats/head/mean': np.zeros(_FEATURES, np.float32),
    'batch_stats/head/var': np.ones(_FEATURES, np.float32),
    'params/head/kernel': np.zeros((_FEATURES, len(_CLASSES)), np.float32),
  }
  for _ in range(_ROUNDS):
    updates = [_train(variables, *person) for person in people]
    features, labels = people[0]
    updates[0] = change(updates[0], variables, _train(variables, features, len(_CLASSES) - 1 - labels))
    windows = [claimed] + [100] * (_CLIENTS - 1)
    variables = aggregation.aggregate(updates, windows, variables, federation, rng)
  kernel = variables['params/head/kernel']
  return float(
    np.mean([((features @ kernel).argmax(axis=1) == labels).mean() for features, labels in unseen])
  )


@pytest.mark.parametrize('method', ['none', 'median', 'trimmed_mean', 'multi_krum'])
@pytest.mark.parametrize('attack', _ATTACKS)
def test_one_of_five_clients_ruins_nothing(attack, method):
  honest = _accuracy('honest', most_norm=0.0)
  assert honest > 0.95
  assert _accuracy(attack, robust=method) > (honest - 0.005 if attack == 'honest' else 0.9)


@pytest.mark.parametrize('attack', ['flipped, claims 10^6 windows', 'update times -10', 'flipped times 10'])
def test_without_bounds_one_client_decides(attack, monkeypatch):
  monkeypatch.setattr(aggregation, 'cap', list)
  assert _accuracy(attack, most_norm=0.0) < 0.5


def _update(seed: int, scale: float = 1.0) -> Variables:
  rng = np.random.default_rng(seed)
  paths = {'batch_stats/norm/mean': 100 * scale, 'params/a': scale, 'params/b': scale}
  return {path: (size * rng.standard_normal(50)).astype(np.float32) for path, size in paths.items()}


def test_a_change_is_cut_to_a_multiple_of_the_median_in_its_collection():
  start = {path: np.ones(50, np.float32) for path in _update(0)}
  updates = [{path: 1 + leaf for path, leaf in _update(seed).items()} for seed in range(4)]
  # Its weights are far, its statistics are not: a norm over all would hide it.
  updates.append(updates[3] | {'params/a': 1 + _update(9, 30.0)['params/a']})
  clipped = aggregation.clip(updates, start, 2.0)
  norms = aggregation._norms(clipped, start)
  assert norms['params'][4] == pytest.approx(
    2 * np.median(aggregation._norms(updates, start)['params']), rel=1e-5
  )
  for before, after in zip(updates[:4], clipped[:4], strict=True):
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_a_client_counts_at_most_as_much_as_the_median():
  assert aggregation.cap([10, 30, 20, 10**6, 25]) == [10, 25, 20, 25, 25]
  assert aggregation.cap([10, 10**6]) == [10, 10]


def test_robust_means_by_hand():
  updates = [{'params/a': np.float32([value, -value])} for value in (1, 2, 3, 4, 100)]
  start = {'params/a': np.zeros(2, np.float32)}
  for method, wanted in (('median', 3), ('trimmed_mean', 3), ('multi_krum', 2.5)):
    federation = Federation(_CLASSES, robust=method, most_norm=0.0)
    made = aggregation.aggregate(updates, [1, 9, 9, 9, 9], start, federation, np.random.default_rng(0))
    np.testing.assert_allclose(made['params/a'], [wanted, -wanted])
    assert made['params/a'].dtype == np.float32
    alone = aggregation.aggregate(updates[:1], [1], start, federation, np.random.default_rng(0))
    np.testing.assert_allclose(alone['params/a'], [1, -1])
    pair = aggregation.aggregate(updates[:2], [1, 1], start, federation, np.random.default_rng(0))
    np.testing.assert_allclose(pair['params/a'], [1.5, -1.5])
  assert len(aggregation.multi_krum(updates[1:], start)) == 4  # of so few, none may be malicious


def test_of_an_even_number_of_clients_the_lower_median_is_the_bound():
  start = {'params/a': np.zeros(1, np.float32)}
  clipped = aggregation.clip([{'params/a': np.float32([value])} for value in (1, -2, 3, 100)], start, 1.0)
  np.testing.assert_allclose([update['params/a'][0] for update in clipped], [1, -2, 2, 2], rtol=1e-6)


def test_multi_krum_compares_changes_of_each_collection_in_its_own_unit():
  # Weights of the last client are far from the others', next to statistics that all move much further.
  statistics, weights = (100, 160, 220, 280, 190), (1.0, 1.1, 0.9, 1.0, -9.0)
  updates = [
    {'batch_stats/norm/mean': np.float32([moved]), 'params/a': np.float32([weight])}
    for moved, weight in zip(statistics, weights, strict=True)
  ]
  start = {path: np.zeros(1, np.float32) for path in updates[0]}
  assert aggregation.multi_krum(updates, start).tolist() == [0, 1, 2, 3]


def test_changes_are_cut_before_a_robust_mean_too():
  updates = [{'params/a': np.float32([value])} for value in (1, 2, 3, 4, 100)]
  start = {'params/a': np.zeros(1, np.float32)}
  federation = Federation(_CLASSES, robust='trimmed_mean', most_norm=1.0)  # times the median change, 3
  made = aggregation.aggregate(updates, [1] * 5, start, federation, np.random.default_rng(0))
  np.testing.assert_allclose(made['params/a'], (2 + 3 + 3) / 3, rtol=1e-6)


def test_multi_krum_sums_the_distances_to_the_nearest_clients_but_for_the_malicious():
  """By definition. Of seven clients two may be malicious, so three neighbors count."""
  values = np.array([0.5, 2.5, 5, 14.5, 20.5, 21, 24.5])
  updates = [{'params/a': np.float32([value])} for value in values]
  distances = np.sort((values[:, None] - values) ** 2, axis=1)
  nearest = {
    (first, last): sorted(np.argsort(distances[:, first : last + 1].sum(axis=1))[:5])
    for first, last in ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4))
  }
  assert [pair for pair, chosen in nearest.items() if chosen == nearest[1, 3]] == [(1, 3)]
  assert aggregation.multi_krum(updates, {'params/a': np.zeros(1, np.float32)}).tolist() == nearest[1, 3]


def test_with_differential_privacy_the_mean_is_of_changes_of_the_largest_norm():
  federation = Federation(_CLASSES, clip_norm=0.5, noise_multiplier=1e-6, equal_weights=True)
  start = {'params/a': np.float32([10, 20])}
  updates = [{'params/a': start['params/a'] + np.float32(change)} for change in ([3, 4], [-30, 40])]
  made = aggregation.aggregate(updates, [1, 9], start, federation, np.random.default_rng(0))
  np.testing.assert_allclose(made['params/a'], [10, 20.4], rtol=1e-5)


def _npy(array: np.ndarray) -> bytes:
  content = io.BytesIO()
  np.save(content, array)
  return content.getvalue()


@pytest.mark.parametrize(
  'array',
  [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    np.float32(3),
    np.arange(4, dtype=np.uint8),
    np.zeros((0, 3), np.float32),
    np.array([True, False]),
  ],
)
def test_an_array_is_read_as_numpy_wrote_it(array):
  read = messages.read_array(_npy(array))
  np.testing.assert_array_equal(read, array)
  assert read.dtype == np.asarray(array).dtype


_GOOD = _npy(np.ones(3, np.float32))


def _claim(kind: str, shape: str, body: bytes) -> bytes:
  """A .npy file whose header says this, whatever the body is."""
  header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n".encode()
  return _GOOD[:8] + len(header).to_bytes(2, 'little') + header + body


@pytest.mark.parametrize(
  'content',
  [
    b'',
    b'x' * 200,
    _GOOD[:-1],
    _GOOD + b'0',
    _GOOD.replace(b'(3,)', b'(4000000000,)'),
    _GOOD.replace(b'(3,)', b'(999999999,)'),
    _GOOD.replace(b"{'descr'", b'((((((((('),
    _GOOD.replace(b'<f4', b'|O8'),
    _GOOD.replace(b'<f4', b'>f4'),
    b'PK\x03\x04' + _GOOD,
    _npy(np.array(['a'])),
    _claim('<f4', '4000,', bytes(16)),
    _claim('<f4', '1, ' * 100, bytes(4)),
    _claim('<f4', '0, 999999999, 999999999, 999999999', b''),
    _claim('<f9', '1,', bytes(9)),
    _claim('<u0', '1,', b''),
  ],
)
def test_what_is_no_array_or_claims_more_than_it_holds_is_refused(content):
  with pytest.raises(UserError, match='an array'):
    messages.read_array(content)


_ENTRIES = Federation(_CLASSES).entries() | {'round': 3, 'checksum': 'a' * 64}


def test_a_request_is_read_with_its_settings():
  federation, request = messages.read_request(_ENTRIES)
  assert federation == Federation(_CLASSES)
  assert (request.round, request.checksum) == (3, 'a' * 64)


@pytest.mark.parametrize(
  ('changed', 'words'),
  [
    ({'round': 0}, 'round'),
    ({'round': -1}, 'round'),
    ({'round': 21}, 'round 21 of 20'),
    ({'round': 'one'}, 'round'),
    ({'checksum': 'b'}, 'checksum'),
    ({'checksum': [1.0]}, 'checksum'),
    ({'classes': []}, '0 classes'),
    ({'classes': [1, 2]}, 'classes'),
    ({'classes': ['a', 'a']}, '2 classes'),
    ({'method': 3}, 'method'),
    ({'rank': 'x'}, 'rank'),
    ({'batch': 5000}, 'batch is 5000'),
    ({'batch': 10**8}, 'batch'),
    ({'local_steps': 10**9}, 'local_steps'),
    ({'learning_rate': float('nan')}, 'learning_rate'),
    ({'equal_weights': 'no'}, 'equal_weights'),
    ({'seed': [0]}, 'seed'),
  ],
)
def test_what_no_server_asks_for_is_refused(changed, words):
  with pytest.raises(UserError, match=words):
    messages.read_request(_ENTRIES | changed)


@pytest.mark.parametrize('name', [*Federation(_CLASSES).entries(), 'round', 'checksum'])
def test_no_setting_is_assumed(name):
  with pytest.raises(UserError, match=name):
    messages.read_request({key: value for key, value in _ENTRIES.items() if key != name})


_NO_NUMBERS = (float('nan'), float('inf'), [1], 'a', None)
_METRICS = {
  messages.Trained: {'windows': 30, 'loss': 0.5, 'client': 2},
  records.ClientScores: {'windows': 30, 'macro_f1': 0.5, 'accuracy': 0.6, 'client': 2},
}


@pytest.mark.parametrize(
  ('kind', 'name', 'value'),
  [
    *((messages.Trained, 'client', value) for value in (*_NO_NUMBERS, -1)),
    *((messages.Trained, 'windows', value) for value in (0, -5, 1.5, 10**12, [3])),
    *((messages.Trained, 'loss', value) for value in _NO_NUMBERS),
    *((records.ClientScores, 'macro_f1', value) for value in (*_NO_NUMBERS, 2.0)),
    *((records.ClientScores, 'client', value) for value in _NO_NUMBERS),
  ],
)
def test_metrics_of_another_kind_are_refused(kind, name, value):
  metrics = _METRICS[kind]
  assert messages.read_metrics(metrics, kind) == kind(**metrics)
  without = {other: number for other, number in metrics.items() if other != name}
  for wrong in (metrics | {name: value}, without, None):
    with pytest.raises(UserError, match='the metrics'):
      messages.read_metrics(wrong, kind)
