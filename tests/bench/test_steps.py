"""Steps, ours and others', go through the same windows in turn, and ratios are of the time of a call."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from har_jax import config
from har_jax.bench import running, steps
from har_jax.report import bench as table


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> None:
  """An epoch of few windows, the last batch of which is not full."""
  monkeypatch.setattr(running, 'EPOCH_WINDOWS', 22)


@pytest.mark.usefixtures('passes')
def test_each_step_is_measured_and_goes_on(tiny: config.Model):
  kinds = ['lora', 'pretraining', 'inference', 'epoch']
  rows = list(steps.measure(config.Experiment(model=tiny), kinds, [4], repeats=2, peers=False))
  assert [(row['kind'], row['by']) for row in rows] == [(kind, 'har_jax') for kind in kinds]
  for row in rows:
    assert row['ratio'] == pytest.approx(1)
    # Of a step of four windows, however many a call makes; of the epoch, of all its windows.
    windows = 22 if row['kind'] == 'epoch' else 4
    assert row['windows_s'] * row['ms'] == pytest.approx(1000 * windows)
    assert row['gflop_s'] * row['ms'] * 1e6 == pytest.approx(row['operations'], rel=1e-3)
    low, high = row['ms_quartiles']
    assert low <= row['ms'] <= high
    assert row['windows'] % windows == 0
    assert row['operations'] > 0
    assert row['share_of_product'] > 0  # no more: a busy machine may make a step look faster than a product
    assert row['peak_resident_bytes'] > row['held_bytes'] > 0
    assert row['best'] is row['against_best'] is row['best_same_precision'] is None


def test_two_dtypes_take_part_in_the_same_turns(tiny: config.Model):
  experiment = config.Experiment(model=tiny)
  rows = list(
    steps.measure(experiment, ['inference'], [4], repeats=3, peers=False, dtypes=['float32', 'bfloat16'])
  )
  assert [(row['by'], row['precision']) for row in rows] == [
    ('har_jax', 'float32'),
    ('har_jax, bfloat16', 'bfloat16'),
  ]
  assert rows[0]['ratio'] == 1
  assert rows[0]['operations'] == rows[1]['operations']


def test_the_best_of_the_others_is_the_fastest_by_its_median():
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


def test_peers_make_as_many_steps_a_call_as_we_do(tiny: config.Model, monkeypatch: pytest.MonkeyPatch):
  asked: list[tuple] = []

  @contextlib.contextmanager
  def peers(experiment: config.Experiment, *asked_for: Any) -> Iterator[dict[str, Any]]:
    asked.append(asked_for)
    yield {'PyTorch': lambda: 1.0, 'PyTorch, bfloat16': lambda: 2.0}

  monkeypatch.setattr(steps.apart, 'peers', peers)
  ours, *others = steps.measure(config.Experiment(model=tiny), ['lora'], [256], repeats=2, peers=True)
  assert asked == [('lora', 256, ours['windows'] // 256)]
  assert ours['windows'] > 256
  assert ours['best'] == 'PyTorch'
  assert [row['ms'] for row in others] == [1e3 / asked[0][2], 2e3 / asked[0][2]]  # as timed elsewhere
  assert ours['best_same_precision'] == 'PyTorch'
  assert [row['by'] for row in others] == ['PyTorch', 'PyTorch, bfloat16']
  assert all('against_best' not in row for row in others)


def _row(by: str, **more: Any) -> dict[str, Any]:
  own = {
    'compile_s': 1.5,
    'temporary_bytes': 2**20,
    'peak_resident_bytes': 2**30,
    'best': None,
    'against_best': None,
    'best_same_precision': None,
    'against_best_same_precision': None,
  }
  timed = {'ms': 2.0, 'ms_quartiles': [1.0, 3.0], 'ratio': 1.0}
  rates = {'windows_s': 32000.0, 'gflop_s': 50.0, 'share_of_product': 0.5}
  named = {'kind': 'lora', 'batch': 64, 'by': by}
  return named | timed | rates | (own if by.startswith('har_jax') else {}) | more


def _cells(text: str) -> list[list[str]]:
  return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]


_MACHINE = {
  'versions': {'jax': '1.2'},
  'device': {'kind': 'cpu', 'platform': 'cpu', 'count': 2, 'host_cores': 4, 'machine': 'x'},
}


def test_the_table_of_ours_alone_has_no_peers():
  text = table.markdown(_MACHINE | {'steps': [_row('har_jax'), _row('har_jax, bfloat16')]})
  assert 'Beside others' not in text
  assert 'cpu (cpu) as 2 devices, 4 cores, x. jax 1.2.' in text
  assert ['lora', '64', 'har_jax, bfloat16', '2.0 (1.0 to 3.0)', '32000', '50', '50 %'] in [
    row[:7] for row in _cells(text)
  ]


def test_the_table_says_against_whom():
  best = {
    'best': 'PyTorch, bfloat16',
    'against_best': 0.8,
    'best_same_precision': 'PyTorch',
    'against_best_same_precision': 1.25,
  }
  others = [_row('PyTorch', ratio=1.25), _row('PyTorch, bfloat16', ratio=0.8)]
  rows = _cells(table.markdown(_MACHINE | {'steps': [_row('har_jax', **best), *others]}))
  assert ['lora', '64', 'har_jax', '0.80 (PyTorch, bfloat16)', '1.25 (PyTorch)'] in rows
  assert ['lora', '64', 'PyTorch', '2.0 (1.0 to 3.0)', '32000', '50', '1.25'] in rows
  # A peer of our precision may be missing.
  alone = best | {'best_same_precision': None, 'against_best_same_precision': None}
  rows = _cells(table.markdown(_MACHINE | {'steps': [_row('har_jax', **alone), *others]}))
  assert ['lora', '64', 'har_jax', '0.80 (PyTorch, bfloat16)', '–'] in rows
