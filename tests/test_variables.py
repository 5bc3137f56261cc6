"""The flat dict of variables: nesting, splitting, counts, bytes and differences."""

import jax
import jax.numpy as jnp

from har_jax import variables

_FLAT = {
  'params/encoder/kernel': jnp.zeros((3, 4)),
  'params/encoder/bias': jnp.zeros(4),
  'nf4/encoder/codes': jnp.zeros(6, jnp.uint8),
  'lora_scale/encoder/value': jnp.float32(2),
}


def test_flattening_inverts_nesting():
  nested = variables.nest(_FLAT)
  assert nested.keys() == {'params', 'nf4', 'lora_scale'}
  assert nested['params']['encoder']['kernel'] is _FLAT['params/encoder/kernel']
  assert variables.flatten(nested) == _FLAT


def test_a_split_keeps_every_entry_once():
  params, others = variables.split(_FLAT, lambda path: path.startswith('params/'))
  assert params.keys() == {'params/encoder/kernel', 'params/encoder/bias'}
  assert params | others == _FLAT
  assert not params.keys() & others.keys()


def test_parameter_and_byte_counts_by_hand():
  assert variables.count(_FLAT) == 12 + 4 + 6 + 1
  assert variables.bytes_held(_FLAT) == {'params': 64, 'nf4': 6, 'lora_scale': 4}


def test_shapes_count_as_arrays_do():
  shapes = jax.eval_shape(lambda: _FLAT)
  assert variables.count(shapes) == variables.count(_FLAT)
  assert variables.bytes_held(shapes) == variables.bytes_held(_FLAT)
  assert variables.difference(_FLAT, shapes) == ''


def test_a_difference_names_each_entry_and_both_sides():
  actual = dict(_FLAT) | {
    'params/encoder/bias': jnp.zeros(5),
    'lora/encoder/a': jnp.zeros((2, 2), jnp.bfloat16),
  }
  del actual['nf4/encoder/codes']
  assert variables.difference(_FLAT, actual).splitlines() == [
    '  lora/encoder/a: expected nothing, found bfloat16[2, 2]',
    '  nf4/encoder/codes: expected uint8[6], found nothing',
    '  params/encoder/bias: expected float32[4], found float32[5]',
  ]
