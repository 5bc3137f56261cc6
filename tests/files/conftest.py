"""A base, and adapters of it, that tests of files share."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from adapters import CLASSES, LORA

from har_jax import config, config_fields, files, methods
from har_jax.train.objective import Classify
from har_jax.variables import Variables


@pytest.fixture(scope='module')
def objective(tiny) -> Classify:
  return Classify(tiny, len(CLASSES))


@pytest.fixture(scope='module')
def whole(objective, drawn) -> Variables:
  return drawn(objective.init)


@pytest.fixture(scope='module')
def base_card(tiny) -> dict[str, Any]:
  return {
    'model': config_fields.to_json(tiny),
    'sources': [{'archive': 'alpha', 'license': 'none', 'checksum': '0', 'windows': 7}],
    'pretraining': {'steps': 12, 'validation_loss': 0.5},
  }


@pytest.fixture(scope='module')
def base(whole, base_card) -> files.Base:
  return files.make_base(whole, base_card)


@pytest.fixture(scope='module')
def card_of(tiny) -> Callable[..., dict[str, Any]]:
  def card(method: str, lora: config.Lora = LORA) -> dict[str, Any]:
    return {
      **files.method_entries(method, methods.Settings(lora), tiny),
      'classes': list(CLASSES),
      'normalizer': {'mean': [0.1, 0.2], 'deviation': [3.0, 1.0]},
      'metrics': {'validation': {'macro_f1': 0.9, 'accuracy': 0.8}},
    }

  return card


@pytest.fixture(scope='module')
def adapted(tiny, whole) -> Callable[..., Variables]:
  """A method's variables as if trained: every leaf that it trains differs from the base's."""

  @functools.cache
  def adapt(name: str, seed: int = 1, lora: config.Lora = LORA) -> Variables:
    settings, method = methods.Settings(lora), methods.METHODS[name]
    rng = np.random.default_rng(seed)
    adapted = method.adapt(whole, settings, jax.random.key(seed))
    return {
      path: leaf + 0.1 * np.abs(rng.standard_normal(leaf.shape)).astype(np.float32)
      if path.startswith('batch_stats/') or method.trains(path, settings)
      else leaf
      for path, leaf in adapted.items()
    }

  return adapt


@pytest.fixture(scope='module')
def adapter_of(base, adapted, card_of) -> Callable[..., files.Adapter]:
  @functools.cache
  def adapter(name: str, seed: int = 1, lora: config.Lora = LORA) -> files.Adapter:
    return files.make_adapter(base, adapted(name, seed, lora), card_of(name, lora))

  return adapter
