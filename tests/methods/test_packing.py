"""Kernels in four bits: which are packed, and what unpacking and merging give."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config, methods, variables
from har_jax.errors import UserError
from har_jax.methods import unpack
from har_jax.train.objective import Classify
from har_jax.variables import Variables

_MATRICES = {f'attention/{name}' for name in ('query', 'key', 'value', 'output')} | {'up', 'down'}
_SETTINGS = methods.Settings(config.Lora(rank=4, alpha=8.0))


def _adapt(name: str, base: Variables, settings: methods.Settings = _SETTINGS) -> Variables:
  return methods.METHODS[name].adapt(base, settings, jax.random.key(1))


@pytest.fixture(scope='module')
def with_stem(tiny, drawn) -> tuple[Classify, Variables]:
  """A model with a stem. No kernel of it is a whole number of blocks of 64, and some are odd."""
  objective = Classify(dataclasses.replace(tiny, patch_size=8, stem=(5, 5, 5)), 3)
  return objective, drawn(objective.init)


@pytest.mark.parametrize(
  ('has_stem', 'name', 'targets'),
  [
    (False, 'qlora', ('up',)),  # kernels without an adapter are unpacked, too
    pytest.param(True, 'lora', config.Lora().targets, marks=pytest.mark.slow),
    pytest.param(True, 'qlora', config.Lora().targets, marks=pytest.mark.slow),
  ],
)
def test_merging_folds_pairs_and_packed_kernels_into_the_base(
  objective, base, with_stem, batch, has_stem, name, targets
):
  objective, base = with_stem if has_stem else (objective, base)
  adapted, rng = _adapt(name, base, methods.Settings(config.Lora(targets=targets))), np.random.default_rng(1)
  pairs = {path: leaf for path, leaf in adapted.items() if path.startswith('lora/') and path.endswith('/b')}
  trained = adapted | {
    path: jnp.asarray(0.1 * rng.standard_normal(leaf.shape), jnp.float32) for path, leaf in pairs.items()
  }
  assert has_stem == ('lora/encoder/embed/down_2/b' in pairs)
  merged = methods.merge(methods.METHODS[name], trained)
  assert variables.difference(base, merged) == ''
  predict = jax.jit(objective.predict)
  found, expected, before = (predict(held, batch, jax.random.key(0)) for held in (merged, trained, adapted))
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
  assert not np.allclose(found, before, atol=1e-2)


@pytest.mark.parametrize('has_stem', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_qlora_packs_the_matrices_of_blocks_and_stem_and_nothing_else(base, with_stem, has_stem):
  base = with_stem[1] if has_stem else base
  adapted = _adapt('qlora', base)
  packed = {path.removeprefix('nf4/').rsplit('/', 1)[0] for path in adapted if path.startswith('nf4/')}
  stages = {f'encoder/embed/{name}_{i}' for name in ('down', 'conv', 'shortcut') for i in range(3)}
  stem = stages | {'encoder/embed/project'} if has_stem else set()
  assert packed == {f'encoder/block_{i}/{name}' for i in (0, 1) for name in _MATRICES} | stem
  assert not packed & {path.removeprefix('params/').removesuffix('/kernel') for path in adapted}
  sizes = [base[f'params/{module}/kernel'].size for module in packed]
  assert any(size % 2 for size in sizes) == has_stem
  # Half a byte each, and four bytes a block of 64.
  assert variables.bytes_held(adapted)['nf4'] == sum(-(-size // 2) + 4 * -(-size // 64) for size in sizes)
  unpacked = unpack(adapted)
  for path, leaf in base.items():
    assert unpacked[path].shape == leaf.shape
    is_packed = path.endswith('/kernel') and path.removeprefix('params/').removesuffix('/kernel') in packed
    # Half the widest step between levels, times the largest weight.
    assert np.abs(unpacked[path] - leaf).max() <= (0.152 * np.abs(leaf).max() if is_packed else 0)
  again = _adapt('qlora', unpacked)
  assert all(np.array_equal(again[path], leaf) for path, leaf in adapted.items() if path.endswith('/codes'))


def test_double_quantization_packs_the_same_codes_and_eight_bit_scales(base):
  doubled = dataclasses.replace(_SETTINGS, precision=config.Precision(nf4_double=True))
  plain, double = (_adapt('qlora', base, settings) for settings in (_SETTINGS, doubled))
  for path, leaf in plain.items():
    if path.endswith('/codes'):
      np.testing.assert_array_equal(leaf, double[path])
    if path.startswith('nf4/') and path.endswith('/scales'):
      module = path.removesuffix('/scales')
      assert double[f'{module}/scale_codes'].shape == leaf.shape
      assert path not in double
  assert variables.bytes_held(double)['nf4'] < variables.bytes_held(plain)['nf4']


def test_blocks_with_two_digits_are_packed_too():
  kernels = [f'params/encoder/block_{number}/up' for number in (0, 9, 10, 11)]
  held = {f'{path}/kernel': jnp.ones((8, 8)) for path in kernels} | {
    f'{path}/bias': jnp.ones(8) for path in kernels
  }
  packed = methods.pack(held)
  assert not any(path.endswith('/kernel') for path in packed)
  assert variables.difference(held, methods.unpack(packed)) == ''


@pytest.mark.parametrize('bad', [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(base, bad):
  path = 'params/encoder/block_1/attention/value/kernel'
  broken = base | {path: base[path].at[3, 5].set(bad).at[0, 0].set(bad)}
  with pytest.raises(UserError, match=f'{path}: 2 of 576 weights are not finite'):
    _adapt('qlora', broken)
