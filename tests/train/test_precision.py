"""--dtype=bfloat16 applies to matrix products and to nothing else."""

import collections
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.methods import METHODS, Settings, prepare
from har_jax.train.objective import Classify, Objective, Reconstruct
from har_jax.variables import Variables, modules_with
from launch.bench import running

pytestmark = pytest.mark.slow

Draw = Callable[[Callable[[jax.Array], Any]], Any]
_HALF = config.Precision(dtype='bfloat16')


def _batch(windows: int = 6) -> dict:
  signal = np.random.default_rng(0).standard_normal((windows, config.Windowing.samples, config.CHANNELS))
  return {'signal': jnp.float32(signal), 'label': jnp.arange(windows) % 3, 'weight': jnp.ones(windows)}


def _loss(objective: Objective, variables: Variables, windows: int = 6) -> Callable[[Variables], jax.Array]:
  return lambda trainable: jnp.sum(
    objective.losses(variables | trainable, _batch(windows), jax.random.key(1), config.Training())[0]
  )


@pytest.mark.parametrize('name', ['full', 'lora', 'qlora', 'pretraining'])
def test_products_of_a_step_are_bfloat16_and_gradients_float32(name, tiny, drawn):
  if name == 'pretraining':
    objective: Objective = Reconstruct(tiny, _HALF)
    variables = trainable = drawn(objective.init)
  else:
    objective = Classify(tiny, 3, _HALF)
    settings = Settings(config.Lora(rank=4))
    prepared = prepare(lambda _: drawn(objective.init), METHODS[name], settings, seed=0)
    variables, trainable = prepared.variables, prepared.trainable
  gradient = jax.jit(jax.grad(_loss(objective, variables))).trace(trainable)
  assert {leaf.dtype for leaf in gradient.jaxpr.out_avals} == {jnp.dtype('float32')}
  traced = str(gradient.jaxpr)
  products = [
    tuple(str(operand.aval.dtype) for operand in equation.invars)
    for equation in running.products(gradient.jaxpr.jaxpr)
  ]
  assert len(products) > 20
  assert set(products) == {('bfloat16', 'bfloat16'), ('float32', 'float32')}
  # Of the input: the spectra of signal and reconstruction target, a real and an imaginary part each. Of the
  # weights: each adapter's sum with its kernel, forward and backward.
  spectra = 4 if name == 'pretraining' else 2
  assert products.count(('float32', 'float32')) == spectra + 2 * len(modules_with(variables, 'lora', 'a'))
  assert not re.search(r':bf16\[[0-9,]*\] = (exp|rsqrt|tanh|erf|log)', traced)  # softmax, norms, GELU
  gradients = gradient.lower().compile()(trainable)
  assert all(np.isfinite(leaf).all() for leaf in gradients.values())


def test_bfloat16_logits_differ_from_float32_ones_by_rounding(tiny, drawn):
  variables = drawn(Classify(tiny, 3).init)
  half, full = (
    np.asarray(jax.jit(Classify(tiny, 3, precision).predict)(variables, _batch(), jax.random.key(0)))
    for precision in (_HALF, config.Precision())
  )
  assert half.dtype == np.float32
  # About 30 products in sequence, each rounded by 2⁻⁹: √30 · 2⁻⁹ ≈ 1 % of the largest logit.
  assert 0 < np.abs(half - full).max() <= 0.05 * np.abs(full).max()


@pytest.mark.parametrize('name', ['full', 'lora', 'qlora'])
def test_only_full_fine_tuning_computes_gradients_of_the_encoders_kernels(
  name: str, tiny: config.Model, drawn: Draw
):
  objective = Classify(tiny, 3)
  settings = Settings(config.Lora(rank=1, targets=('query', 'down')))
  prepared = prepare(lambda _: drawn(objective.init), METHODS[name], settings, seed=0)
  windows = 11  # sums over windows are then the only ones with a multiple of 11 terms
  gradient = jax.grad(_loss(objective, prepared.variables, windows))
  # The narrower side comes first: it is the one that XLA transposes.
  sums = collections.Counter(
    equation.outvars[0].aval.shape
    for equation in running.used_products(gradient, prepared.trainable)
    if running.contracted_size(equation) % windows == 0
  )
  trained = collections.Counter(
    tuple(sorted(leaf.shape))
    for path, leaf in prepared.trainable.items()
    if '/encoder/block' in path and leaf.ndim == 2
  )
  width, hidden = tiny.width, tiny.mlp_dim
  kernels, pairs = {(width, width), (width, hidden)}, {(1, width), (1, hidden)}
  assert {*trained} == (kernels if name == 'full' else pairs)
  assert {shape: count for shape, count in sums.items() if shape in kernels | pairs} == trained
