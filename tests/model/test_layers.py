"""Layers against their formulas in NumPy, for each collection of a dense layer alone."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from har_jax import config, nf4
from har_jax.model import layers
from har_jax.model.layers import Attention, Block, Dense
from har_jax.model.normalization import LayerNorm

Draw = Callable[[Callable[[jax.Array], Any]], Any]


def _normal(*shape: int, seed: int = 0) -> jax.Array:
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def _apply(module: nn.Module, variables: dict, x: jax.Array, **options: Any) -> Any:
  """As one program: op by op, each operation is a program of its own."""
  inputs = (x, x) if isinstance(module, Attention) else (x,)
  return jax.jit(functools.partial(module.apply, **options))(variables, *inputs)


def _dense_variables() -> dict:
  return {'params': {'kernel': _normal(6, 4), 'bias': _normal(4, seed=1)}}


def _pair() -> dict:
  return {
    'lora': {'a': _normal(6, 2, seed=2), 'b': _normal(2, 4, seed=3)},
    'lora_scale': {'value': jnp.float32(0.5)},
  }


def test_the_bias_of_a_dense_layer_in_bfloat16_is_not_rounded():
  bias = jnp.float32([1 + 2**-10])  # bfloat16 has seven bits after the first
  layer = Dense(1, config.Precision(dtype='bfloat16'))
  y = _apply(layer, {'params': {'kernel': jnp.zeros((2, 1)), 'bias': bias}}, jnp.ones((1, 2)))
  assert (y.dtype, y.item()) == (jnp.float32, 1 + 2**-10)


def _gelu(x: np.ndarray) -> np.ndarray:
  return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2  # arXiv:1606.08415, section 2


def _bottleneck(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, c: dict) -> np.ndarray:
  y = x @ kernel + bias
  return y + _gelu(y @ c['down'] + c['down_bias']) @ c['up'] + c['up_bias']


def _with_lengths(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, c: dict) -> np.ndarray:
  total = kernel + 0.5 * c['a'] @ c['b']
  return x @ (c['magnitude'] * total / np.linalg.norm(total, axis=0)) + bias


@pytest.mark.parametrize(
  ('collections', 'formula'),
  [
    ({}, lambda x, w, b, c: x @ w + b),
    ({'ia3': {'input': (6,), 'output': (4,)}}, lambda x, w, b, c: ((x * c['input']) @ w + b) * c['output']),
    ({'adapter': {'down': (4, 3), 'down_bias': (3,), 'up': (3, 4), 'up_bias': (4,)}}, _bottleneck),
    ({'lora': {'a': (6, 2), 'b': (2, 4)}}, lambda x, w, b, c: x @ (w + 0.5 * c['a'] @ c['b']) + b),
    (
      {'adalora': {'a': (6, 2), 'e': (2,), 'b': (2, 4)}},
      lambda x, w, b, c: x @ (w + 0.5 * c['a'] * c['e'] @ c['b']) + b,
    ),
    ({'lora': {'a': (6, 2), 'b': (2, 4)}, 'dora': {'magnitude': (4,)}}, _with_lengths),
  ],
  ids=['none', 'ia3', 'adapter', 'lora', 'adalora', 'dora'],
)
def test_dense_is_changed_as_each_method_says(collections, formula):
  shapes = {(name, leaf): shape for name, leaves in collections.items() for leaf, shape in leaves.items()}
  drawn = {path: _normal(*shape, seed=seed) for seed, (path, shape) in enumerate(shapes.items(), 5)}
  variables, x = _dense_variables(), _normal(3, 5, 6, seed=4)
  for (name, leaf), values in drawn.items():
    variables.setdefault(name, {})[leaf] = values
    if leaf == 'a':
      variables[f'{name}_scale'] = {'value': jnp.float32(0.5)}
  leaves = {leaf: np.asarray(values) for (_, leaf), values in drawn.items()}
  expected = formula(*map(np.asarray, (x, *variables['params'].values())), leaves)
  np.testing.assert_allclose(_apply(Dense(4), variables, x), expected, atol=1e-5)


def test_a_fused_kernel_has_the_pair_added_in_the_dtype_of_its_input(monkeypatch):
  monkeypatch.setattr(nf4, 'fused_kernels', lambda *args: True)
  monkeypatch.setattr(nf4, 'matmul', lambda x, packed, kernel: jnp.zeros((len(x), 4), x.dtype))
  left, right, x = _normal(6, 2), _normal(2, 4, seed=1), _normal(3, 6, seed=2).astype(jnp.bfloat16)
  packed, product = jax.eval_shape(nf4.quantize, _normal(6, 4)), layers.product

  def in_one_dtype(x: jax.Array, w: jax.Array) -> jax.Array:
    assert x.dtype == w.dtype == jnp.bfloat16
    return product(x, w)

  monkeypatch.setattr(layers, 'product', in_one_dtype)
  y = Dense(4).bind({})._packed_product(x, packed, (left, right))
  assert y.dtype == jnp.bfloat16
  np.testing.assert_allclose(y.astype(np.float32), x.astype(np.float32) @ left @ right, rtol=0.1, atol=0.1)


@pytest.mark.parametrize('adapted', [False, True])
def test_dense_uses_the_nf4_kernel_if_there_is_one(adapted):
  variables, x = _dense_variables() | (_pair() if adapted else {}), _normal(3, 6, seed=4)
  packed = jax.jit(nf4.quantize)(variables['params']['kernel'])
  kernel = jax.jit(nf4.dequantize)(packed)
  unpacked = variables | {'params': variables['params'] | {'kernel': kernel}}
  four_bit = variables | {
    'params': {'bias': variables['params']['bias']},
    'nf4': {'codes': packed.codes, 'scales': packed.scales},
  }
  np.testing.assert_array_equal(_apply(Dense(4), four_bit, x), _apply(Dense(4), unpacked, x))


def test_dense_starts_with_a_zero_bias_and_no_adapter():
  variables = Dense(4).init(jax.random.key(0), _normal(3, 6))
  assert {*variables} == {'params'}
  assert not variables['params']['bias'].any()


def test_attention_equals_its_definition(drawn):
  x = _normal(2, 5, 8)
  variables = drawn(lambda key: Attention(num_heads=2).init(key, x, x))
  dense = {
    name: np.asarray(x, np.float64) @ np.asarray(part['kernel']) + np.asarray(part['bias'])
    for name, part in variables['params'].items()
  }
  attended = np.zeros((2, 5, 8))
  for window in range(2):
    for head in range(2):
      columns = slice(4 * head, 4 * head + 4)
      q, k, v = (dense[name][window][:, columns] for name in ('query', 'key', 'value'))
      weights = np.exp(q @ k.T / np.sqrt(4))
      attended[window][:, columns] = weights / weights.sum(axis=1, keepdims=True) @ v
  last = variables['params']['output']
  expected = attended @ np.asarray(last['kernel']) + np.asarray(last['bias'])
  np.testing.assert_allclose(_apply(Attention(num_heads=2), variables, x), expected, atol=1e-5)


def test_attention_does_not_depend_on_the_order_of_tokens(drawn):
  x = _normal(2, 5, 8)
  variables = drawn(lambda key: Attention(num_heads=2).init(key, x, x))
  backwards = np.asarray(_apply(Attention(num_heads=2), variables, x[:, ::-1]))
  np.testing.assert_allclose(backwards[:, ::-1], _apply(Attention(num_heads=2), variables, x), atol=1e-5)


def test_layer_normalization_and_its_gradient_are_those_of_flax():
  x, dy, scale, bias = 2 + _normal(3, 5, 8), _normal(3, 5, 8), _normal(8), _normal(8)

  def results(module: nn.Module) -> tuple[jax.Array, tuple]:
    y, gradient = jax.vjp(
      lambda *a: module.apply({'params': {'scale': a[1], 'bias': a[2]}}, a[0]), x, scale, bias
    )
    return y, gradient(dy)

  (y, gradients), (expected, derived) = results(LayerNorm()), results(nn.LayerNorm())
  np.testing.assert_array_equal(y, expected)
  for gradient, other in zip(gradients, derived, strict=True):
    np.testing.assert_allclose(gradient, other, rtol=1e-5, atol=1e-5)


def test_a_block_is_pre_norm_with_residuals(drawn):
  x = _normal(2, 5, 8)
  block = Block(mlp_dim=12, num_heads=2, streams=1)
  variables = drawn(lambda key: block.init(key, x))

  def part(module: nn.Module, name: str, inputs: jax.Array) -> jax.Array:
    return _apply(module, {'params': variables['params'][name]}, inputs)

  mid = x + part(Attention(2), 'attention', part(nn.LayerNorm(), 'norm_attention', x))
  hidden = nn.gelu(part(Dense(12), 'up', part(nn.LayerNorm(), 'norm_ffn', mid)))
  np.testing.assert_allclose(_apply(block, variables, x), mid + part(Dense(8), 'down', hidden), atol=1e-5)


def test_a_block_attends_to_its_prompts_too(drawn):
  x, prompt = _normal(2, 5, 8), _normal(1, 3, 8, seed=1)
  block = Block(mlp_dim=12, num_heads=2, streams=1)
  variables = dict(drawn(lambda key: block.init(key, x)))
  _, captured = _apply(block, variables | {'prompt': {'tokens': prompt}}, x, capture_intermediates=True)
  (attended,) = captured['intermediates']['attention']['__call__']
  normed = _apply(
    nn.LayerNorm(),
    {'params': variables['params']['norm_attention']},
    jnp.concatenate([x, jnp.tile(prompt, (2, 1, 1))], axis=1),
  )
  # As if all eight were tokens; what is computed at the places of the prompts is left out.
  every = _apply(Attention(2), {'params': variables['params']['attention']}, normed)
  np.testing.assert_allclose(attended, every[:, :5], atol=1e-5)


def test_each_stream_attends_to_one_half_of_the_width(drawn):
  x = _normal(2, 5, 8)
  block = Block(mlp_dim=12, num_heads=2, streams=2)
  variables = drawn(lambda key: block.init(key, x))
  _, captured = _apply(block, variables, x, capture_intermediates=True)
  (normed,) = captured['intermediates']['norm_attention']['__call__']
  for name, half in (('attention_acc', normed[..., :4]), ('attention_gyro', normed[..., 4:])):
    (attended,) = captured['intermediates'][name]['__call__']
    alone = _apply(Attention(num_heads=1), {'params': variables['params'][name]}, half)
    np.testing.assert_array_equal(attended, alone)


def test_the_gradient_of_dora_takes_the_length_of_columns_as_constant():
  variables, x = (
    _dense_variables() | _pair() | {'dora': {'magnitude': _normal(4, seed=5)}},
    _normal(3, 6, seed=4),
  )
  kernel, bias = variables['params']['kernel'], variables['params']['bias']
  lengths = jnp.linalg.norm(kernel + 0.5 * variables['lora']['a'] @ variables['lora']['b'], axis=0)

  def by_hand(lora: dict) -> jax.Array:
    y = x @ (kernel + 0.5 * lora['a'] @ lora['b']) * (variables['dora']['magnitude'] / lengths)[None]
    return jnp.sum(jnp.sin(y + bias[None]))

  def loss(lora: dict) -> jax.Array:
    return jnp.sum(jnp.sin(Dense(4).apply(variables | {'lora': lora}, x)))

  found, expected = (jax.jit(jax.grad(function))(variables['lora']) for function in (loss, by_hand))
  for name in 'ab':
    np.testing.assert_allclose(found[name], expected[name], atol=1e-4)
