"""Steps of ours and of other libraries process the same windows, and ratios are of times per call."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from har_jax import config
from launch.bench import running, steps, tables


@pytest.fixture(scope='module')
def small(tiny) -> config.Experiment:
  """Without augmentation, which takes as long to compile as the rest of a step."""
  model = dataclasses.replace(tiny, depth=1)
  return config.Experiment(protocol=config.Protocol(), model=model, finetune=config.Training())


@pytest.fixture
def short_epoch(monkeypatch) -> None:
  """An epoch of few windows whose last batch is not full."""
  monkeypatch.setattr(running, 'EPOCH_WINDOWS', 22)


@pytest.mark.slow
@pytest.mark.usefixtures('short_epoch')
def test_each_kind_of_step_is_measured(small):
  kinds = ['lora', 'pretraining', 'inference', 'epoch']
  rows = list(steps.measure(small, kinds, [4], repeats=2, peers=False, dtypes=['float32']))
  assert [(row['kind'], row['by']) for row in rows] == [(kind, 'har_jax') for kind in kinds]
  for row in rows:
    assert row['ratio'] == pytest.approx(1)
    # Times are per step of four windows, or per epoch.
    windows = 22 if row['kind'] == 'epoch' else 4
    assert row['windows_s'] * row['ms'] == pytest.approx(1000 * windows)
    assert row['gflop_s'] * row['ms'] * 1e6 == pytest.approx(row['operations'], rel=1e-3)
    low, high = row['ms_quartiles']
    assert low <= row['ms'] <= high
    assert row['windows'] % windows == 0
    assert row['operations'] > 0
    assert row['fraction_of_product'] == pytest.approx(row['gflop_s'] / row['product_gflop_s'])
    assert row['peak_resident_bytes'] > row['held_bytes'] > 0
    assert row['best'] is row['against_best'] is row['best_same_precision'] is None


@pytest.mark.slow
def test_two_dtypes_are_measured_together(small):
  dtypes = ['float32', 'bfloat16']
  rows = list(steps.measure(small, ['inference'], [4], repeats=3, peers=False, dtypes=dtypes))
  assert [(row['by'], row['precision']) for row in rows] == [
    ('har_jax', 'float32'),
    ('har_jax, bfloat16', 'bfloat16'),
  ]
  assert rows[0]['ratio'] == 1
  assert rows[0]['operations'] == rows[1]['operations']


def test_the_fastest_peer_is_that_of_the_least_median():
  seconds = {
    'har_jax': np.array([1.0, 2.0, 1.0]),
    'har_jax, bfloat16': np.array([1.0, 1.0, 1.0]),
    'PyTorch': np.array([3.0, 3.0, 9.0]),
    'PyTorch, compiled': np.array([4.0, 2.0, 2.0]),
    'PyTorch, compiled, bfloat16': np.array([0.5, 0.5, 8.0]),
  }
  others = [name for name in seconds if name.startswith('PyTorch')]
  # Turn by turn, 0.5, 0.25, 8 and 4, 1, 2.
  assert steps.against('har_jax', seconds, others) == {
    'best': 'PyTorch, compiled, bfloat16',
    'against_best': 0.5,
    'best_same_precision': 'PyTorch, compiled',
    'against_best_same_precision': 2.0,
  }
  half = steps.against('har_jax, bfloat16', seconds, others)
  assert half['best_same_precision'] == half['best'] == 'PyTorch, compiled, bfloat16'
  alone = steps.against('har_jax, bfloat16', seconds, ['PyTorch'])
  assert (alone['best'], alone['against_best']) == ('PyTorch', 3.0)
  assert alone['best_same_precision'] is alone['against_best_same_precision'] is None


@pytest.mark.slow
def test_peers_make_as_many_steps_per_call_as_ours(small, monkeypatch):
  requests: list[tuple] = []

  @contextlib.contextmanager
  def peers(experiment: config.Experiment, *arguments: Any) -> Iterator[dict[str, Any]]:
    requests.append(arguments)
    yield {'PyTorch': lambda: 1.0, 'PyTorch, bfloat16': lambda: 2.0}

  monkeypatch.setattr(steps.peer_process, 'peers', peers)
  ours, *others = steps.measure(small, ['lora'], [4], repeats=2, peers=True, dtypes=['float32'])
  assert requests == [('lora', 4, 2)]
  assert ours['windows'] == 8
  assert ours['best'] == 'PyTorch'
  assert [row['ms'] for row in others] == [1e3 / 2, 2e3 / 2]  # as timed there, per step
  assert ours['best_same_precision'] == 'PyTorch'
  assert [row['by'] for row in others] == ['PyTorch', 'PyTorch, bfloat16']
  assert all('against_best' not in row for row in others)


def _row(by: str, **more: Any) -> dict[str, Any]:
  ours = {
    'compile_s': 1.5,
    'temporary_bytes': 2**20,
    'peak_resident_bytes': 2**30,
    'best': None,
    'against_best': None,
    'best_same_precision': None,
    'against_best_same_precision': None,
  }
  timed = {'ms': 2.0, 'ms_quartiles': [1.0, 3.0], 'ratio': 1.0}
  rates = {'windows_s': 32000.0, 'gflop_s': 50.0, 'fraction_of_product': 0.5}
  named = {'kind': 'lora', 'batch': 64, 'by': by}
  return named | timed | rates | (ours if by.startswith('har_jax') else {}) | more


def _cells(text: str) -> list[list[str]]:
  return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]


_MACHINE = {
  'versions': {'jax': '1.2'},
  'device': {'kind': 'cpu', 'platform': 'cpu', 'count': 2, 'host_cores': 4, 'machine': 'x'},
}


def test_without_peers_the_table_has_our_rows_only():
  text = tables.steps(_MACHINE | {'steps': [_row('har_jax'), _row('har_jax, bfloat16')]})
  assert 'other libraries' not in text
  assert '2 × cpu (x host, 4 cores). jax 1.2.' in text
  assert ['lora', '64', 'har_jax, bfloat16', '2.0 (1.0 to 3.0)', '32000', '50', '50%'] in [
    row[:7] for row in _cells(text)
  ]


def test_the_table_names_the_fastest_peer():
  best = {
    'best': 'PyTorch, bfloat16',
    'against_best': 0.8,
    'best_same_precision': 'PyTorch',
    'against_best_same_precision': 1.25,
  }
  others = [_row('PyTorch', ratio=1.25), _row('PyTorch, bfloat16', ratio=0.8)]
  rows = _cells(tables.steps(_MACHINE | {'steps': [_row('har_jax', **best), *others]}))
  assert ['lora', '64', 'har_jax', '0.80 (PyTorch, bfloat16)', '1.25 (PyTorch)'] in rows
  assert ['lora', '64', 'PyTorch', '2.0 (1.0 to 3.0)', '32000', '50', '1.25'] in rows
  # There may be no peer of the same precision.
  alone = best | {'best_same_precision': None, 'against_best_same_precision': None}
  rows = _cells(tables.steps(_MACHINE | {'steps': [_row('har_jax', **alone), *others]}))
  assert ['lora', '64', 'har_jax', '0.80 (PyTorch, bfloat16)', '–'] in rows
