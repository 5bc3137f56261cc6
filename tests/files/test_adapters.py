"""Adapters as files: nothing is put together that does not belong together."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from files_given import CLASSES, assert_equal, logits_of

from har_jax import files, methods, variables
from har_jax.errors import UserError
from har_jax.train import mesh
from har_jax.train.objective import Classify
from har_jax.train.step import compiled_predict
from har_jax.variables import Variables


@pytest.mark.parametrize('name', methods.METHODS)
def test_what_is_attached_is_what_was_trained_bit_for_bit(
  base: files.Base,
  adapted: Callable[..., Variables],
  adapter_of: Callable[..., files.Adapter],
  name: str,
  tmp_path: pathlib.Path,
):
  files.save_adapter(tmp_path, adapter_of(name))
  loaded = files.load_adapter(tmp_path)
  trained = adapted(name)
  assert_equal(files.attach(base, loaded), trained)
  assert loaded.card == adapter_of(name).card
  assert loaded.card['base'] == (base.checksum if name != 'scratch' else None)
  assert (loaded.card['temperature'], loaded.card['rate_hz'], loaded.card['window']) == (1.0, 50, 128)
  held = set(loaded.variables)
  of_encoder = {path for path in trained if path.startswith('params/encoder/')}
  assert held & of_encoder == (of_encoder if name in ('full', 'scratch') else set())
  assert not any(path.startswith('nf4/') for path in held)  # packed again from the base
  assert held >= {path for path in trained if path.startswith(('lora', 'params/head/', 'batch_stats/'))}
  np.testing.assert_array_equal(loaded.normalizer.deviation, [3.0, 1.0])


def test_an_adapter_of_another_base_is_refused_with_both_checksums(
  base: files.Base,
  whole: Variables,
  base_card: dict[str, Any],
  adapter_of: Callable[..., files.Adapter],
  tmp_path: pathlib.Path,
):
  path = 'params/encoder/norm/bias'
  other = files.make_base(whole | {path: whole[path] + 1}, base_card)
  for name in ('full', 'probe', 'lora', 'qlora'):
    with pytest.raises(UserError, match='trained on another base') as caught:
      files.attach(other, adapter_of(name))
    assert base.checksum in str(caught.value)
    assert other.checksum in str(caught.value)
  with pytest.raises(UserError, match=f'wants the base with checksum {base.checksum}, and there is none'):
    files.attach(None, adapter_of('lora'))
  files.write_peft(tmp_path, adapter_of('lora'))
  with pytest.raises(UserError, match='trained on another base'):
    files.read_peft(tmp_path, other)
  assert files.attach(None, adapter_of('scratch')).keys() == whole.keys()


def test_an_adapter_that_lacks_something_says_what(
  base: files.Base, adapter_of: Callable[..., files.Adapter], adapted: Callable[..., Variables], card_of: Any
):
  lora = adapter_of('lora')
  path = 'lora/encoder/block_0/up/a'
  short = {name: leaf for name, leaf in lora.variables.items() if name != path}
  with pytest.raises(UserError, match=rf'{path}: expected float32\[24, 4\], given nothing'):
    files.attach(base, dataclasses.replace(lora, variables=short))
  with pytest.raises(UserError, match=r'head/dense_1/bias: expected float32\[5\], given float32\[6\]'):
    files.make_adapter(base, adapted('lora'), card_of('lora') | {'classes': list(CLASSES[:5])})
  left = {name: entry for name, entry in card_of('lora').items() if name not in ('alpha', 'classes')}
  with pytest.raises(UserError, match='the card lacks alpha, classes'):
    files.make_adapter(base, adapted('lora'), left)
  with pytest.raises(UserError, match="unknown method 'lroa'; one of full, probe"):
    files.make_adapter(base, adapted('lora'), card_of('lroa'))
  with pytest.raises(UserError, match='lora adapts a base'):
    files.make_adapter(None, adapted('lora'), card_of('lora'))


@pytest.mark.parametrize('name', ['lora', 'qlora'])
def test_merged_predicts_the_same_and_attaching_again_unmerges(
  base: files.Base, adapter_of: Callable[..., files.Adapter], objective: Classify, name: str
):
  adapter = adapter_of(name)
  attached = files.attach(base, adapter)
  merged = methods.merge(attached)
  assert {variables.collection(path) for path in merged} == {'params', 'batch_stats'}
  expected = logits_of(objective, attached)
  np.testing.assert_allclose(
    logits_of(objective, merged), expected, rtol=0, atol=1e-4 * np.abs(expected).max()
  )
  assert_equal(files.attach(base, adapter), attached)


def test_adapters_of_one_shape_take_turns_without_compiling_again(
  base: files.Base, adapter_of: Callable[..., files.Adapter], tmp_path: pathlib.Path
):
  for seed in (1, 2):
    files.save_adapter(tmp_path / str(seed), adapter_of('lora', seed))
  adapters = [adapter_of('lora', 3), *(files.load_adapter(tmp_path / str(seed)) for seed in (1, 2))]
  compiled: Any = compiled_predict(adapters[0].objective, mesh.data_mesh())
  first = logits_of(adapters[0].objective, files.attach(base, adapters[0]))
  held = compiled._cache_size()
  assert held >= 1
  others = [logits_of(each.objective, files.attach(base, each)) for each in (*adapters[1:], adapters[0])]
  assert compiled._cache_size() == held
  assert not np.allclose(others[0], others[1], atol=1e-3)
  np.testing.assert_array_equal(others[2], first)
  # All are on the one base: its leaves are held once.
  attached = [files.attach(base, each) for each in adapters]
  assert all(each[path] is leaf for each in attached for path, leaf in base.variables.items())
