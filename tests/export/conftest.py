"""Windows and fitted recognizers to export."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import jax
import made_up
import numpy as np
import pytest

from har_jax import config, config_fields, files, methods
from har_jax.data.archives import ARCHIVES
from har_jax.inference.recognizer import Recognizer
from har_jax.train.objective import Classify


@pytest.fixture(scope='module')
def signals() -> np.ndarray:
  """Three people's made-up walking, lying and so on, in m/s² and rad/s."""
  recordings = ARCHIVES['synth_waist'].read(None, 'waist', collections.Counter())  # type: ignore[arg-type]
  return made_up.cut_from(recordings)


@pytest.fixture(scope='module')
def recognizer_of(
  drawn: Callable[[Callable[[jax.Array], Any]], Any], signals: np.ndarray
) -> Callable[..., Recognizer]:
  """As if it had been fitted: no weight and no statistic is what it was at the start, and windows are told apart."""

  def recognizer(
    model: config.Model,
    method: str = 'lora',
    lora: config.Lora = made_up.LORA,
    precision: config.Precision = made_up.FLOAT32,
    deviation: Sequence[float] = (5.5, 1.2),
  ) -> Recognizer:
    experiment = config.Experiment(model=model, lora=lora, precision=precision)
    whole = drawn(Classify(model, len(made_up.CLASSES)).init)
    base = files.make_base(whole, {'model': config_fields.to_json(model), 'dtype': precision.dtype})
    rng = np.random.default_rng(1)
    held = {
      path: leaf + 0.1 * np.abs(rng.standard_normal(leaf.shape)).astype(np.float32)
      if path.startswith('batch_stats/') or methods.METHODS[method].trains(path, experiment)
      else leaf
      for path, leaf in methods.METHODS[method].adapt(whole, experiment, jax.random.key(1)).items()
    }
    card = {
      'method': method,
      'rank': lora.rank,
      'alpha': lora.alpha,
      'targets': list(lora.targets),
      'model': config_fields.to_json(model),
      'precision': config_fields.to_json(precision),
      'classes': made_up.CLASSES,
      'normalizer': {'mean': [1.5, -0.2], 'deviation': list(deviation)},
    }
    start = base if methods.METHODS[method].pretrained else None
    rough = Recognizer._of(start, files.make_adapter(start, held, card))
    # Each class likely for some: logits around zero, and a temperature as large as they are.
    logits = np.log(rough.predict_proba(signals))
    bias = f'params/head/dense_{len(model.head)}/bias'
    held[bias] = held[bias] - logits.mean(axis=0)
    return Recognizer._of(
      start, files.make_adapter(start, held, card | {'temperature': float(logits.std(axis=0).mean())})
    )

  return recognizer


@pytest.fixture(scope='module')
def recognizer(recognizer_of: Callable[..., Recognizer], tiny: config.Model) -> Recognizer:
  return recognizer_of(tiny)
