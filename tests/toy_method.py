"""A method as a developer would add one: its own collection `gain`, a factor per output of each block's
layers.

Its file is this one and its line is the entry in METHODS that `installed` makes. The forward pass needs one
branch, which a Flax interceptor stands in for.   o out.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from har_jax import methods
from har_jax.methods import Method, Settings, in_head
from har_jax.model.layers import Dense
from har_jax.variables import Variables

NAME = 'gain'


def _modules(variables: Variables) -> list[str]:
  paths = (
    path for path in variables if path.startswith('params/encoder/block_') and path.endswith('/kernel')
  )
  return [path.removeprefix('params/').removesuffix('/kernel') for path in paths]


def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
  added = {
    f'gain/{module}/value': jnp.ones_like(variables[f'params/{module}/bias'])
    for module in _modules(variables)
  }
  return variables | added


def merge(variables: Variables) -> Variables:
  merged = {path: leaf for path, leaf in variables.items() if not path.startswith('gain/')}
  for module in _modules(variables):
    for leaf in ('kernel', 'bias'):
      merged[f'params/{module}/{leaf}'] = variables[f'params/{module}/{leaf}'] * _row(variables, module, leaf)
  return merged


def _row(variables: Variables, module: str, leaf: str) -> jax.Array:
  gain = variables[f'gain/{module}/value']
  return gain[None] if leaf == 'kernel' else gain


METHOD = Method(
  name=NAME,
  summary='trains one factor per output of each layer, and the head',
  adapt=adapt,
  trains=lambda path, settings: path.startswith('gain/') or in_head(path),
  collections=('gain',),
  merge=merge,
)


def _scale_outputs(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
  y, module = call(*args, **kwargs), context.module
  if isinstance(module, Dense) and context.method_name == '__call__' and module.has_variable('gain', 'value'):
    gain = module.get_variable('gain', 'value')
    y = y * gain.reshape((1,) * (y.ndim - 1) + gain.shape)
  return y


@contextlib.contextmanager
def installed() -> Iterator[None]:
  with pytest.MonkeyPatch.context() as patched, nn.intercept_methods(_scale_outputs):
    patched.setitem(methods.METHODS, NAME, METHOD)
    yield
