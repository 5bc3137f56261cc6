"""The adapter of a finished run, from its result file."""

import json
import pathlib
import types
from typing import Any

import made_results
import msgspec
import pytest

from har_jax import storage
from har_jax.files import runs

_GRAVITY = {'activity': 'walking', 'position': '', 'windows': 3, 'mean': [0, 0, 1], 'covariance': [0] * 6}
_SIGNALS = {'gravity': [_GRAVITY], 'length_g': 1.0, 'has_gyro': True, 'gyro_axes': '', 'rates_hz': [50.0]}


@pytest.mark.parametrize(
  ('method', 'starts_from', 'given', 'base'),
  [
    ('lora', '../pretrain', None, '{}/../pretrain'),
    ('lora', 'gs://bucket/pretrain', None, 'gs://bucket/pretrain'),
    ('lora', '../pretrain', 'another', 'another'),
    ('scratch', '../pretrain', 'another', None),
  ],
)
def test_the_adapter_of_a_run_has_its_figures_and_settings(
  tmp_path, monkeypatch, method, starts_from, given, base
):
  entries = made_results.result(method=method, seed=3, macro_f1=0.5, tta_shifts=4, lora_rank=8)
  storage.write(tmp_path / 'seed3.json', entries | {'starts_from': starts_from, 'signals': _SIGNALS})
  prepared = types.SimpleNamespace(
    trainable={'a': 1}, statistics={'b': 2}, variables={'a': 1, 'b': 2, 'c': 3}
  )

  class Checkpoints:
    def __init__(self, folder: pathlib.Path):
      assert folder == tmp_path / 'seed3' / 'checkpoints'

    def variables(self, step: int, shapes: Any) -> Any:
      assert (step, shapes) == (60, {'a': 1, 'b': 2})
      return {'a': 10, 'b': 20}

  def prepare(base: Any, objective: Any, prepares: Any, settings: Any, seed: int) -> Any:
    assert (prepares.name, objective.classes, seed) == (method, 2, 3)
    return prepared

  monkeypatch.setattr('har_jax.train.checkpoint.Checkpoints', Checkpoints)
  monkeypatch.setattr(runs, 'prepare', prepare)
  monkeypatch.setattr(runs, 'load_base', str)
  monkeypatch.setattr(storage, 'place', lambda name: name if '://' in str(name) else pathlib.Path(name))
  monkeypatch.setattr(runs, 'make_adapter', lambda *arguments: arguments)
  replacement: Any = given
  loaded, (same, variables, card) = runs.load_run(tmp_path / 'seed3.json', replacement)
  assert loaded == same == (base and base.format(tmp_path))
  assert variables == {'a': 10, 'b': 20, 'c': 3}
  assert card['classes'] == ['walking', 'sitting']
  assert json.loads(msgspec.json.encode(card['signals'])) == _SIGNALS
  assert (card['method'], card['rank'], card['alpha']) == (method, 8, 64.0)
  assert card['metrics'] == {
    'validation': {'macro_f1': 0.5, 'accuracy': None},
    'test': {'macro_f1': 0.5, 'accuracy': 0.51},
  }
  assert card['split'] == {'by': 'subject-wise', 'windows': {'train': 600, 'validation': 100, 'test': 303}}
  assert card['training'] == {'random_state': 3, 'step': 60, 'target': 'wisdm', 'tta_shifts': 4}
