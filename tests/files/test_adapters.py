"""Adapters as files: an adapter fits its own base and method only."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import trained_paths
from adapters import CLASSES, LORA, assert_equal, logits_of

from har_jax import files, methods, records, variables
from har_jax.errors import UserError
from har_jax.train import mesh
from har_jax.train.step import compiled_predict


def test_a_saved_adapter_restores_the_trained_model_bit_for_bit(
  base, adapted, adapter_of, method_name, tmp_path
):
  method = methods.METHODS[method_name]
  files.save_adapter(tmp_path, adapter_of(method_name))
  loaded = files.load_adapter(tmp_path)
  trained = adapted(method_name)
  assert_equal(files.attach(base, loaded), trained)
  assert loaded.card == adapter_of(method_name).card
  deeper = loaded.with_card(model=dataclasses.replace(loaded.card.model, depth=5))
  assert deeper.settings == methods.Settings(LORA, depth=5)
  assert loaded.card.base == (base.checksum if method.pretrained else None)
  assert (loaded.card.temperature, loaded.card.rate_hz, loaded.card.window) == (1.0, 50, 128)
  np.testing.assert_array_equal(loaded.normalizer.deviation, [3.0, 1.0])
  # Small: the file holds what trains, the head and the method's collections, and nothing that the base gives
  # again.
  stored = {variables.collection(path) for path in loaded.variables}
  assert stored == {'params', 'batch_stats'} | trained_paths.STORED.get(
    trained_paths.float_form(method_name), set()
  )
  encoder = {path for path in trained if path.startswith('params/encoder/')}
  assert encoder.intersection(loaded.variables) == trained_paths.select(method_name, encoder)


def test_methods_that_peft_lacks_are_refused_by_name(adapter_of, method_name, tmp_path):
  if methods.METHODS[method_name].peft:
    files.write_peft(tmp_path, adapter_of(method_name))
    assert (tmp_path / 'adapter_config.json').exists()
    return
  with pytest.raises(UserError, match=f'{method_name}; it has one for ia3, vera, lora'):
    files.write_peft(tmp_path, adapter_of(method_name))
  assert not list(tmp_path.iterdir())


def test_an_adapter_of_another_base_is_refused(base, whole, base_card, adapter_of, tmp_path):
  path = 'params/encoder/norm/bias'
  other = files.make_base(whole | {path: whole[path] + 1}, base_card)
  for name in [name for name, method in methods.METHODS.items() if method.pretrained]:
    with pytest.raises(UserError, match=base.checksum) as caught:
      files.attach(other, adapter_of(name))
    assert base.checksum in str(caught.value)
    assert other.checksum in str(caught.value)
  with pytest.raises(UserError, match=f'needs the base with checksum {base.checksum}; give it'):
    files.attach(None, adapter_of('lora'))
  files.write_peft(tmp_path, adapter_of('lora'))
  with pytest.raises(UserError, match=base.checksum):
    files.read_peft(tmp_path, other)
  assert files.attach(None, adapter_of('scratch')).keys() == whole.keys()


def test_an_incomplete_adapter_names_what_is_missing(base, adapter_of, adapted, card_of):
  lora = adapter_of('lora')
  kernel = 'params/encoder/block_0/up/kernel'  # which the base has
  for whole, path, shape in (
    (adapter_of('scratch'), kernel, '24, 48'),
    (lora, 'lora/encoder/block_0/up/a', '24, 4'),
  ):
    short = {name: leaf for name, leaf in whole.variables.items() if name != path}
    with pytest.raises(UserError, match=rf'{path}: expected float32\[{shape}\], found nothing'):
      files.attach(base, dataclasses.replace(whole, variables=short))
  with pytest.raises(UserError, match=r'head/dense_1/bias: expected float32\[5\], found float32\[6\]'):
    files.make_adapter(base, adapted('lora'), card_of('lora') | {'classes': list(CLASSES[:5])})
  left = {name: entry for name, entry in card_of('lora').items() if name not in ('alpha', 'classes')}
  with pytest.raises(UserError, match='the card lacks alpha, classes'):
    files.make_adapter(base, adapted('lora'), left)
  with pytest.raises(UserError, match="unknown method 'lroa'; one of full, scratch, probe"):
    files.make_adapter(base, adapted('lora'), card_of('lroa'))
  with pytest.raises(UserError, match="unknown method 'lroa'"):  # of a card that a file holds
    files.attach(base, lora.with_card(method='lroa'))
  with pytest.raises(UserError, match='lora adapts a base'):
    files.make_adapter(None, adapted('lora'), card_of('lora'))


def test_class_means_of_another_width_are_refused(base, adapter_of):
  adapter = adapter_of('lora')
  width = adapter.objective.hidden_width
  right, wrong = ([[0.0] * columns] * len(adapter.card.classes) for columns in (width, width + 1))
  files.attach(base, adapter.with_card(class_means=right))
  logits = [*([0.0] * 6 for _ in range(5)), [0.0] * 5]
  for uneven, message in (
    ({'class_means': right[1:] + wrong[:1]}, 'class_means is not 6 rows of one length'),
    ({'class_logits': logits}, 'class_logits is not 6 rows of 6 numbers'),
  ):
    with pytest.raises(UserError, match=message):
      files.make_adapter(base, adapter.variables, records.to_json(adapter.card) | uneven)
  with pytest.raises(UserError, match=f'rows of {width + 1} numbers; the output layer has {width} inputs'):
    files.attach(base, adapter.with_card(class_means=wrong))


@pytest.mark.slow
def test_adapters_of_one_shape_share_a_compiled_program(base, adapter_of, tmp_path):
  for seed in (1, 2):
    files.save_adapter(tmp_path / str(seed), adapter_of('lora', seed))
  adapters = [adapter_of('lora', 3), *(files.load_adapter(tmp_path / str(seed)) for seed in (1, 2))]
  compiled: Any = compiled_predict(adapters[0].objective, mesh.data_mesh())
  first = logits_of(adapters[0].objective, files.attach(base, adapters[0]))
  programs = compiled._cache_size()
  assert programs >= 1
  others = [
    logits_of(adapter.objective, files.attach(base, adapter)) for adapter in (*adapters[1:], adapters[0])
  ]
  assert compiled._cache_size() == programs
  assert not np.allclose(others[0], others[1], atol=1e-3)
  np.testing.assert_array_equal(others[2], first)
  # All are on the one base: its leaves are held once.
  attached = [files.attach(base, adapter) for adapter in adapters]
  assert all(adapter[path] is leaf for adapter in attached for path, leaf in base.variables.items())
