"""Adapters in the layout of the PyTorch library peft."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import trained_paths
from adapters import LORA, SIGNAL, assert_equal, logits_of

from har_jax import config, files, methods
from har_jax.errors import UserError
from har_jax.files import safetensors_io

# What peft knows, by the classes of its configurations and its layers.
_ENTRIES = {
  *('alpha_pattern', 'base_model_name_or_path', 'bias', 'fan_in_fan_out', 'feedforward_modules'),
  *('inference_mode', 'init_r', 'init_lora_weights', 'lora_alpha', 'lora_dropout', 'modules_to_save'),
  *('peft_type', 'r', 'save_projection', 'target_modules', 'target_r', 'task_type', 'tfinal', 'tinit'),
  *('total_step', 'use_dora', 'use_rslora', 'vera_dropout'),
}
_TENSORS = {
  *('lora_A.weight', 'lora_B.weight', 'lora_magnitude_vector', 'lora_A', 'lora_B', 'lora_E', 'ia3_l'),
  *('vera_lambda_d', 'vera_lambda_b', 'vera_A', 'vera_B'),
}


@pytest.mark.parametrize(
  ('name', 'targets'),
  [
    *((name, LORA.targets) for name, method in methods.METHODS.items() if method.peft and name[0] != 'q'),
    ('qlora', LORA.targets),
    ('lora', ('attention', 'embed')),
  ],
)
def test_pefts_layout_comes_back_bit_for_bit(base, adapter_of, name, targets, tmp_path):
  adapter = adapter_of(name, lora=config.Lora(4, 6.5, targets))
  files.write_peft(tmp_path, adapter)
  peft_config = json.loads((tmp_path / 'adapter_config.json').read_text())
  assert peft_config.get('bias', 'none') == 'none'
  assert peft_config['peft_type'] == trained_paths.peft_type(name)
  assert {*peft_config} <= _ENTRIES
  tensors = safetensors.numpy.load_file(tmp_path / 'adapter_model.safetensors')
  assert {found[0] for key in tensors if (found := re.search('(lora|ia3|vera)_.*', key))} <= _TENSORS
  if targets != LORA.targets:  # for peft, `embed` would be any module whose name ends so
    parts = ('key', 'output', 'query', 'value')
    assert peft_config['target_modules'] == [f'blocks.{n}.{part}' for n in (0, 1) for part in parts] + [
      'embed'
    ]
  again = files.read_peft(tmp_path, base)
  assert_equal(again.variables, adapter.variables)
  assert again.card == adapter.card


def test_an_adapter_of_rounded_kernels_is_written_as_it_is(base, adapter_of, tmp_path):
  adapter = adapter_of('qlora', lora=dataclasses.replace(LORA, start='pissa'))
  files.write_peft(tmp_path, adapter, base)
  assert_equal(files.read_peft(tmp_path, base).variables, adapter.variables)


def test_a_folder_without_a_card_is_to_be_made_again(base, tmp_path):
  with pytest.raises(UserError, match=r'har_jax\.json.* fetch or write it again'):
    files.read_peft(tmp_path, base)


def test_pefts_layout_has_pytorchs_names_and_shapes(adapter_of, tmp_path):
  adapter = adapter_of('lora')
  files.write_peft(tmp_path, adapter)
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    'adapter_config.json',
    'adapter_model.safetensors',
    'har_jax.json',
  ]
  tensors = safetensors.numpy.load_file(tmp_path / 'adapter_model.safetensors')
  up = {side: tensors[f'base_model.model.blocks.1.up.lora_{side}.weight'] for side in 'AB'}
  assert (up['A'].shape, up['B'].shape) == ((4, 24), (48, 4))
  np.testing.assert_array_equal(up['A'].T, adapter.variables['lora/encoder/block_1/up/a'])
  assert tensors['base_model.model.head.0.weight'].shape == (16, 24)
  assert tensors['base_model.model.head.4.weight'].shape == (6, 16)
  counter = tensors['base_model.model.head.1.num_batches_tracked']
  assert (counter.shape, counter.dtype) == ((), np.int64)
  np.testing.assert_array_equal(
    tensors['base_model.model.head.1.running_var'], adapter.variables['batch_stats/head/norm_0/var']
  )
  peft_config = json.loads((tmp_path / 'adapter_config.json').read_text())
  assert (peft_config['peft_type'], peft_config['r'], peft_config['lora_alpha']) == ('LORA', 4, 8)
  assert peft_config['target_modules'] == sorted(LORA.targets)
  assert (peft_config['modules_to_save'], peft_config['task_type']) == (['head'], None)


def test_pefts_vectors_are_matrices_of_one_row_or_column(adapter_of, tmp_path):
  block, expected = 'base_model.model.blocks.1', {}
  expected['ia3'] = {f'{block}.key.ia3_l': (24, 1), f'{block}.down.ia3_l': (1, 48)}
  # For the most inputs, those of the embedding, and the most outputs.
  expected['vera'] = {'base_model.vera_A': (256, 588), 'base_model.vera_B': (48, 256)}
  expected['adalora'] = {f'{block}.up.lora_E': (6, 1)}  # of rank 4 at the end, and 6 at the start
  for name, shapes in expected.items():
    files.write_peft(tmp_path / name, adapter_of(name))
    tensors = safetensors.numpy.load_file(tmp_path / name / 'adapter_model.safetensors')
    assert {key: tensors[key].shape for key in shapes} == shapes
  peft_config = json.loads((tmp_path / 'adalora' / 'adapter_config.json').read_text())
  names = ('r', 'init_r', 'target_r', 'lora_alpha')
  assert [peft_config[name] for name in names] == [6, 6, 4, 12]  # alpha over the rank is 2, as ours
  assert peft_config['tinit'] + peft_config['tfinal'] < peft_config['total_step']  # peft demands it
  peft_config = json.loads((tmp_path / 'ia3' / 'adapter_config.json').read_text())
  names = ('target_modules', 'feedforward_modules', 'fan_in_fan_out')
  assert [peft_config[name] for name in names] == [['down', 'key', 'value'], ['down'], False]


@pytest.mark.slow
@pytest.mark.parametrize(
  ('scaling', 'start', 'rank', 'alpha'), [('root', 'zero', 4, 8), ('root', 'pissa', 8, 8 * 2**0.5)]
)
def test_a_scale_over_the_root_of_the_rank_is_written_for_peft(
  base, adapter_of, tmp_path, scaling, start, rank, alpha
):
  adapter = adapter_of('lora', lora=dataclasses.replace(LORA, scaling=scaling, start=start))
  files.write_peft(tmp_path, adapter, base)
  written = json.loads((tmp_path / 'adapter_config.json').read_text())
  assert (written['use_rslora'], written['r'], written['lora_alpha']) == (True, rank, pytest.approx(alpha))
  before, after = (
    methods.merge(one.method, files.attach(base, one)) for one in (adapter, files.read_peft(tmp_path, base))
  )
  for path, leaf in before.items():
    np.testing.assert_allclose(after[path], leaf, atol=1e-5)


def test_what_pefts_layout_cannot_hold_is_refused(base, adapter_of, tmp_path):
  with pytest.raises(UserError, match='head'):
    files.write_peft(tmp_path, adapter_of('lora', lora=config.Lora(4, 8.0, ('up', 'head'))))
  with pytest.raises(UserError, match=r'har_jax\.json cannot be read'):
    files.read_peft(tmp_path, base)
  files.write_peft(tmp_path, adapter_of('lora'))
  tensors = safetensors.numpy.load_file(tmp_path / 'adapter_model.safetensors')
  gone = 'base_model.model.blocks.0.key.lora_A.weight'
  for changed, named in (({gone: None}, gone), ({'more.weight': tensors[gone]}, r'more\.weight')):
    left = {name: tensor for name, tensor in (tensors | changed).items() if tensor is not None}
    (tmp_path / 'adapter_model.safetensors').write_bytes(safetensors_io.to_bytes(left))
    with pytest.raises(UserError, match=f'1 tensors .*{named}'):
      files.read_peft(tmp_path, base)
  peft_config = json.loads((tmp_path / 'adapter_config.json').read_text()) | {'r': 8}
  del peft_config['lora_alpha']
  (tmp_path / 'adapter_config.json').write_text(json.dumps(peft_config))
  message = r'adapter_config\.json has r 8, har_jax\.json 4, lora_alpha None, har_jax\.json 8'
  with pytest.raises(UserError, match=message):
    files.read_peft(tmp_path, base)


def _torch_name(path: str) -> str:
  """A leaf of the encoder in PyTorch: blocks.1.query.weight of params/encoder/block_1/.../query/kernel."""
  _, _, *modules, leaf = path.split('/')
  if not modules:
    return leaf
  name = '.'.join(modules).replace('attention.', '').replace('block_', 'blocks.')
  return f'{name}.{"bias" if leaf == "bias" else "weight"}'


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
  ('name', 'start'),
  [
    *((name, 'zero') for name, method in methods.METHODS.items() if method.peft and name[0] != 'q'),
    ('qlora', 'zero'),
    ('qlora', 'loftq'),
    ('lora', 'pissa'),
  ],
)
def test_pytorchs_model_with_the_adapter_that_peft_loads_gives_our_logits(
  base, adapter_of, tiny, name, start, tmp_path
):
  torch = pytest.importorskip('torch')
  theirs: Any = pytest.importorskip('peft')
  peers = pytest.importorskip('launch.bench.pytorch_baseline')
  adapter = adapter_of(name, lora=dataclasses.replace(LORA, start=start))
  attached = files.attach(base, adapter)
  # QLoRA's pairs were trained on kernels that four bits hold: PyTorch's model is given these values.
  encoder = {
    path: np.array(leaf)
    for path, leaf in (base.variables if start == 'pissa' else methods.unpack(attached)).items()
    if path.startswith('params/encoder/') and not path.endswith('mask_token')
  }
  tensors = {
    _torch_name(path): torch.tensor(leaf.T if path.endswith('/kernel') else leaf)
    for path, leaf in encoder.items()
  }
  model = peers.Classifier(tiny)
  entries = model.load_state_dict(tensors, strict=False)
  assert not entries.unexpected_keys
  assert all(key.startswith('head.') for key in entries.missing_keys)
  files.write_peft(tmp_path, adapter, base)
  loaded = theirs.PeftModel.from_pretrained(model, str(tmp_path)).eval()
  with torch.inference_mode():
    logits = loaded(torch.tensor(SIGNAL)).numpy()
  np.testing.assert_allclose(logits, logits_of(adapter.objective, attached), rtol=1e-4, atol=1e-4)
