"""Windows, and fitted recognizers to export."""

import collections
import functools
from collections.abc import Callable
from typing import Any

import export_cases
import numpy as np
import pytest
import short_sample
from cut_pieces import cut_all

from har_jax import config, config_fields, export, files, methods
from har_jax.recognizer import loading
from har_jax.recognizer.recognizer import Recognizer
from har_jax.train.objective import Classify


@pytest.fixture(scope='session')
def signals() -> np.ndarray:
  """About two dozen windows of a person of the sample, evenly spaced, in m/s² and rad/s."""
  recordings = short_sample.read('sample_motionsense', subjects=1, seconds=25.0)[:3]
  cut = [window.signal for window in cut_all(recordings, collections.Counter())]
  return np.stack(cut[:: max(1, len(cut) // 24)]).astype(np.float32)


@pytest.fixture(scope='session')
def recognizer_of(drawn, signals) -> Callable[..., Recognizer]:
  """Recognizers with random weights, as if they had been trained: none is zero, and predictions vary."""

  @functools.cache
  def recognizer(
    model: config.Model,
    method: str = 'lora',
    lora: config.Lora = export_cases.LORA,
    precision: config.Precision = export_cases.FLOAT32,
    deviation: tuple[float, float] = (5.5, 1.2),
  ) -> Recognizer:
    plain = drawn(Classify(model, len(export_cases.CLASSES)).init)
    base = files.make_base(plain, {'model': config_fields.to_json(model)})
    settings = methods.Settings(lora, precision)
    prepared = methods.prepare(lambda key: dict(plain), methods.METHODS[method], settings, 0)
    rng = np.random.default_rng(1)
    trained = {
      path: leaf + 0.1 * np.abs(rng.standard_normal(leaf.shape)).astype(np.float32)
      for path, leaf in (prepared.trainable | prepared.statistics).items()
    }
    card = {
      **files.method_entries(method, settings, model),
      'classes': export_cases.CLASSES,
      'normalizer': {'mean': [1.5, -0.2], 'deviation': list(deviation)},
    }
    start = base if methods.METHODS[method].pretrained else None

    def fitted(**entries: Any) -> Recognizer:
      adapter = files.make_adapter(start, prepared.frozen | trained, card | entries)
      return Recognizer.from_stored(loading.with_adapter(start, adapter))

    # Center the logits and divide them by their size, so that every class is probable for some windows.
    logits = np.log(fitted().predict_proba(signals))
    bias = f'params/head/dense_{len(model.head)}/bias'
    target = trained if bias in trained else prepared.frozen
    target[bias] = target[bias] - logits.mean(axis=0)
    return fitted(temperature=float(logits.std(axis=0).mean()))

  return recognizer


@pytest.fixture(scope='session')
def recognizer(recognizer_of, tiny) -> Recognizer:
  return recognizer_of(tiny)


@pytest.fixture(scope='session')
def export_of(recognizer) -> Callable[..., export.Export]:
  """The recognizer in a format and a precision, exported once for all tests."""

  @functools.cache
  def made(name: str, precision: str = 'float32') -> export.Export:
    return export.make(recognizer, name, precision)

  return made
