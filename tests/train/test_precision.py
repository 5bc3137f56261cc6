"""Under --dtype=bfloat16 products are made in bfloat16, and nothing else is."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config, methods
from har_jax.train.objective import Classify, Objective, Reconstruct
from har_jax.variables import Variables

Draw = Callable[[Callable[[jax.Array], Any]], Any]
_HALF = config.Precision(dtype='bfloat16')


def _batch() -> dict:
  signal = np.random.default_rng(0).standard_normal((6, config.WINDOW_SAMPLES, config.CHANNELS))
  return {'signal': jnp.float32(signal), 'label': jnp.arange(6) % 3, 'weight': jnp.ones(6)}


def _loss(objective: Objective, held: Variables) -> Callable[[Variables], jax.Array]:
  return lambda moving: jnp.sum(objective.losses(held | moving, _batch(), jax.random.key(1))[0])


@pytest.mark.parametrize('name', ['full', 'lora', 'qlora', 'pretraining'])
def test_every_product_of_a_step_is_in_bfloat16_and_gradients_are_float32(
  name: str, tiny: config.Model, drawn: Draw
):
  if name == 'pretraining':
    objective: Objective = Reconstruct(tiny, _HALF)
    held = moving = drawn(objective.init)
  else:
    objective = Classify(tiny, 3, _HALF)
    held = methods.METHODS[name].adapt(drawn(objective.init), config.Experiment(), jax.random.key(0))
    moving = {
      path: leaf for path, leaf in held.items() if methods.METHODS[name].trains(path, config.Experiment())
    }
  gradient = jax.grad(_loss(objective, held))
  traced = str(jax.make_jaxpr(gradient)(moving))
  products = re.findall(r':(\w+)\[[0-9,]*\] = dot_general', traced)
  assert len(products) > 20
  # Of the model's weights none: spectra alone, given and in pretraining wanted, a real and an imaginary part each.
  assert products.count('f32') == (4 if name == 'pretraining' else 2)
  assert set(products) <= {'bf16', 'f32'}
  assert not re.search(r':bf16\[[0-9,]*\] = (exp|rsqrt|tanh|erf|log)', traced)  # softmax, norms, GELU
  given = jax.jit(gradient)(moving)
  assert {leaf.dtype for leaf in given.values()} == {jnp.dtype('float32')}
  assert all(bool(jnp.isfinite(leaf).all()) for leaf in given.values())


def test_logits_differ_from_those_in_float32_by_bfloat16s_rounding(tiny: config.Model, drawn: Draw):
  held = drawn(Classify(tiny, 3).init)
  half, whole = (
    np.asarray(jax.jit(Classify(tiny, 3, precision).predict)(held, _batch(), jax.random.key(0)))
    for precision in (_HALF, config.Precision())
  )
  assert half.dtype == np.float32
  # Some thirty rounded products one after the other, 2⁻⁹ each: √30 · 2⁻⁹ ≈ 1 % of the largest logit, and room.
  assert 0 < np.abs(half - whole).max() <= 0.05 * np.abs(whole).max()
