"""Which adapter of a run answers a recording."""

import types
from typing import Any

import made_people
import numpy as np
import pytest

from har_jax import config
from har_jax.continual import routing
from har_jax.continual.learner import Features
from har_jax.datasets.batches import Batch
from har_jax.train.objective import Classify


@pytest.mark.parametrize(('seconds', 'windows'), [(1280, 500), (0, 3)])
def test_a_router_looks_at_evenly_spaced_windows_of_a_recording(
  base, tmp_path, monkeypatch, seconds, windows
):
  """A thousand windows, or three of a file that is too short to tell."""
  count = 1000 if seconds else 3
  plain = Classify(made_people.SMALL, 2)
  recognizer: Any = types.SimpleNamespace(
    windowing=config.DEFAULT_WINDOWING,
    prepare=lambda signals: 2 * signals,
    adapter_=types.SimpleNamespace(objective=plain),
  )
  state = {'router/means': np.zeros(3), 'other/means': np.ones(3)}
  card = types.SimpleNamespace(history=[types.SimpleNamespace(domain=name) for name in ('a', 'b')])
  cut = (types.SimpleNamespace(signal=np.float32(number)) for number in range(count))
  bases = {tmp_path / 'domain0': types.SimpleNamespace(variables='of the base')}

  def predict(objective: Any, variables: Any, batch: Batch, sizes: Any) -> np.ndarray:
    assert (type(objective), objective.model, objective.classes) == (Features, plain.model, 2)
    assert variables == 'of the base'
    return batch['signal']

  def route(stored: Any, features: np.ndarray, recording: np.ndarray) -> np.ndarray:
    assert list(stored) == ['means']
    assert features.tolist() == [2 * number for number in range(0, count, count // windows)]
    assert recording.tolist() == [0] * windows
    return np.ones(len(recording), int)

  monkeypatch.setattr(routing.safetensors_io, 'read', lambda folder, name, kind: (state, card))
  monkeypatch.setattr(routing.recordings, 'overlapping_windows', lambda reading, windowing: cut)
  monkeypatch.setattr(routing.files, 'load_base', bases.__getitem__)
  monkeypatch.setattr(routing.evaluation, 'predict', predict)
  monkeypatch.setattr(routing.memory, 'route', route)
  reading: Any = types.SimpleNamespace(seconds=seconds)
  assert routing.nearest(tmp_path, recognizer, reading) == (tmp_path / 'domain1', 'b')
