"""Operations are counted from the traced program."""

import types

import jax
import jax.numpy as jnp
import pytest

from har_jax import config
from launch.bench import running


def test_operations_of_products_are_those_counted_by_hand():
  x, w = jnp.ones((3, 5)), jnp.ones((5, 7))
  assert running.count_operations(jnp.matmul, x, w) == 2 * 3 * 5 * 7
  # Inside jit, and in batches; sums are not products.
  batched = jax.jit(lambda x, w: jnp.einsum('bij,jk->bik', x, w).sum())
  assert running.count_operations(batched, jnp.ones((4, 3, 5)), w) == 2 * 4 * 3 * 5 * 7
  # The product itself, and the gradient of each side.
  both = jax.grad(lambda x, w: (x @ w).sum() ** 2, argnums=(0, 1))
  assert running.count_operations(both, x, w) == 3 * 2 * 3 * 5 * 7


@pytest.mark.slow
def test_a_lora_step_has_the_operations_of_its_layers(monkeypatch):
  # Tracing is enough, and compiling a model of this size takes long.
  memory = types.SimpleNamespace(temp_size_in_bytes=0)
  compiled = types.SimpleNamespace(memory_analysis=lambda: memory)
  monkeypatch.setattr(running, '_compile', lambda *_: (compiled, 0.0))
  model = config.Model(patch_size=16)
  rows, d, f, r = 4 * model.tokens, model.width, model.mlp_dim, config.Lora().rank
  dense = [(d, d)] * 4 + [(d, f), (f, d)]
  # The adapter is added to its kernel, in both passes.
  forward = sum(2 * (rows * i * o + i * r * o) for i, o in dense) + 2 * 2 * rows * model.tokens * d
  # Backward: frozen products once, for the gradient of the input; adapters and attention for both factors.
  adapters = sum(2 * (i * r * o + 2 * rows * r * (i + o)) for i, o in dense)
  backward = sum(2 * rows * i * o for i, o in dense) + adapters + 4 * 2 * rows * model.tokens * d
  program = running.finetuning(config.Experiment(protocol=config.Protocol(), model=model), 'lora', 4)
  counted = program.operations * 4 / program.windows  # a call makes several steps
  # The rest: the embedding, and products of the first block's query, key and value that no gradient needs.
  assert abs(counted / (model.depth * (forward + backward)) - 1) < 0.03
