"""LoRA and QLoRA on a model with a stem: its kernels are packed, adapted and merged."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config, methods, variables
from har_jax.methods import unpack
from har_jax.train.objective import Classify
from har_jax.variables import Variables

pytestmark = pytest.mark.slow

_SETTINGS = methods.Settings(config.Lora(rank=4, alpha=8.0))
_MATRICES = {f'attention/{name}' for name in ('query', 'key', 'value', 'output')} | {'up', 'down'}
_CLASSES = 3


@pytest.fixture(scope='module')
def stem_base(tiny, drawn) -> tuple[Classify, Variables]:
  """A model with a stem. No kernel of it is a whole number of blocks of 64, and some are odd."""
  objective = Classify(dataclasses.replace(tiny, patch_size=8, stem=(5, 5, 5)), _CLASSES)
  return objective, drawn(objective.init)


def test_qlora_packs_the_stems_kernels_and_unpacking_gives_them_back(stem_base):
  _, base = stem_base
  adapted = methods.METHODS['qlora'].adapt(base, _SETTINGS, jax.random.key(1))
  packed = {path.removeprefix('nf4/').rsplit('/', 1)[0] for path in adapted if path.startswith('nf4/')}
  stages = {f'encoder/embed/{name}_{i}' for name in ('down', 'conv', 'shortcut') for i in range(3)}
  assert packed == stages | {'encoder/embed/project'} | {
    f'encoder/block_{i}/{name}' for i in (0, 1) for name in _MATRICES
  }
  sizes = {base[f'params/{module}/kernel'].size for module in packed}
  assert any(size % 2 for size in sizes)
  assert any(size % 64 for size in sizes)
  unpacked = unpack(adapted)
  for path, leaf in base.items():
    assert unpacked[path].shape == leaf.shape
    if path.removeprefix('params/').removesuffix('/kernel') not in packed or not path.endswith('/kernel'):
      np.testing.assert_array_equal(unpacked[path], leaf)
    else:  # half the widest step between levels, times the largest weight
      assert np.abs(unpacked[path] - leaf).max() <= 0.152 * np.abs(leaf).max()
  again = methods.METHODS['qlora'].adapt(unpacked, _SETTINGS, jax.random.key(1))
  assert all(np.array_equal(again[path], leaf) for path, leaf in adapted.items() if path.endswith('/codes'))


@pytest.mark.parametrize('name', ['lora', 'qlora'])
def test_a_merged_stem_predicts_what_the_unmerged_predicts(stem_base, batch, name):
  objective, base = stem_base
  method = methods.METHODS[name]
  adapted = method.adapt(base, _SETTINGS, jax.random.key(1))
  rng = np.random.default_rng(1)
  trained = {
    path: jnp.asarray(0.1 * rng.standard_normal(leaf.shape), jnp.float32)
    for path, leaf in adapted.items()
    if path.startswith('lora/') and path.endswith('/b')
  }
  assert 'lora/encoder/embed/down_2/b' in trained
  predict = jax.jit(objective.predict)
  merged = methods.merge(method, adapted | trained)
  assert variables.difference(base, merged) == ''
  found, expected, before = (
    predict(held, batch, jax.random.key(0)) for held in (merged, adapted | trained, adapted)
  )
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
  assert not np.allclose(found, before, atol=1e-2)
