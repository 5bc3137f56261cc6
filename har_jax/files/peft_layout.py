"""Adapters in the layout of Hugging Face's peft, for the PyTorch model of `har_jax.bench.pytorch_baseline`.

<folder>/adapter_model.safetensors   base_model.model.blocks.0.query.lora_A.weight [r, i], lora_B [o, r], head
<folder>/adapter_config.json         peft's configuration
<folder>/har_jax.json                our card, which peft's configuration has no place for

The PyTorch model has no stem: what is written of an adapted stem, `read_peft` alone reads.
r rank, i in, o out.
"""

import json
from typing import Any

import numpy as np

from har_jax import schema, storage
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.files.adapter import FORMAT, Adapter, check_base, expected_shapes, make_adapter
from har_jax.files.base import Base
from har_jax.methods import METHODS, in_head
from har_jax.storage import Place
from har_jax.variables import Variables

_PREFIX = 'base_model.model.'
_LEAVES = {
  'a': 'lora_A.weight',
  'b': 'lora_B.weight',
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}
_COUNTER = 'num_batches_tracked'  # of PyTorch's BatchNorm, which uses it where no momentum is set


def write_peft(folder: str | Place, adapter: Adapter) -> None:
  """Writes the three files, all of them or none.

  QLoRA's adapters are written like LoRA's: the PyTorch model packs its kernels itself.
  Raises UserError for a method that peft does not have, and for a head that is itself adapted: peft saves it
  in full.
  """
  card = adapter.card
  if adapter.method.peft_type is None:
    known = [name for name, method in METHODS.items() if method.peft_type]
    raise UserError(f'peft has no layout for {card["method"]}; it has one for {", ".join(known)}')
  if any(path.startswith('lora/head/') for path in adapter.variables):
    raise UserError(
      "peft's layout holds the head in full, and this head is adapted; merge, or adapt without head"
    )
  tensors = {_key(path): _transposed(path, adapter.variables[path]) for path in _stored(adapter.variables)}
  for key in [key for key in tensors if key.endswith('.running_mean')]:
    tensors[key.replace('running_mean', _COUNTER)] = np.zeros((), np.int64)
  modules = sorted({_module(path) for path in adapter.variables if path.startswith('lora/')})
  last = {module.rpartition('.')[2] for module in modules}
  alpha = card['alpha']
  peft_config = {
    'peft_type': adapter.method.peft_type,
    'task_type': None,
    'base_model_name_or_path': None,
    'r': card['rank'],
    'lora_alpha': int(alpha) if alpha == int(alpha) else alpha,
    'lora_dropout': 0.0,
    'bias': 'none',
    'fan_in_fan_out': False,
    'inference_mode': True,
    # For peft a name stands for every module that ends in it. Where our targets mean others, list full names.
    'target_modules': sorted(last) if last == set(card['targets']) else modules,
    'modules_to_save': ['head'],
  }
  contents = {
    'adapter_model.safetensors': safetensors_io.to_bytes(tensors),
    'adapter_config.json': safetensors_io.to_text(peft_config),
    'har_jax.json': storage.card(card),  # without sums of the others, which peft may train further
  }
  safetensors_io.write_files(storage.place(str(folder)), contents)


def read_peft(folder: str | Place, base: Base) -> Adapter:
  """What `write_peft` wrote, bit for bit, or what peft trained further; rank and alpha must be the card's.

  Raises UserError for a missing file, a card of another base, and tensors that do not belong to this adapter,
  by name.
  """
  place = storage.place(str(folder))
  card, _ = safetensors_io.read_card(place / 'har_jax.json', FORMAT, schema.Adapter)
  described = Adapter({}, card)
  check_base(base, described)
  peft_config = storage.parse(place / 'adapter_config.json', to_do='write it again with peft')
  found = {'rank': peft_config.get('r'), 'alpha': peft_config.get('lora_alpha')}
  if other := [name for name, value in found.items() if value != card[name]]:
    differences = ', '.join(f'{name} {found[name]}, har_jax.json {card[name]}' for name in other)
    raise UserError(f'{place}: adapter_config.json has {differences}')
  shapes = expected_shapes(described.objective, described.method, described.settings)
  path = place / 'adapter_model.safetensors'
  tensors = safetensors_io.from_bytes(path, storage.read_bytes(path, to_do='write it again with peft'))
  expected = {_key(path): path for path in _stored(shapes)}
  keys = {key for key in tensors if not key.endswith(f'.{_COUNTER}')}
  if wrong := sorted(keys ^ expected.keys()):
    raise UserError(
      f'{place}: {len(wrong)} tensors of adapter_model.safetensors are missing or unknown: '
      f'{json.dumps(wrong[:5])}'
    )
  read = {path: _transposed(path, tensors[key]) for key, path in expected.items()}
  scales = {
    path: np.float32(card['alpha'] / card['rank']) for path in shapes if path.startswith('lora_scale/')
  }
  # Shapes stand for the base's leaves, which the adapter leaves out again.
  return make_adapter(base, shapes | read | scales, card)


def _stored(held: Variables) -> list[str]:
  """The paths in peft's file: all but the scales, which follow from its configuration."""
  return [path for path in held if path.startswith(('lora/', 'batch_stats/')) or in_head(path)]


def _transposed(path: str, leaf: Any) -> Any:
  """A matrix in the other layout: ours are [in, out], PyTorch's [out, in]."""
  return np.asarray(leaf).T if path.rpartition('/')[2] in ('a', 'b', 'kernel') else np.asarray(leaf)


def _key(path: str) -> str:
  """base_model.model.blocks.1.query.lora_A.weight of lora/encoder/block_1/attention/query/a."""
  return f'{_PREFIX}{_module(path)}.{_LEAVES[path.rpartition("/")[2]]}'


def _module(path: str) -> str:
  """blocks.1.query of lora/encoder/block_1/attention/query/a."""
  _, part, *modules, _ = path.split('/')
  if part == 'head':  # dense, norm, ReLU, dropout, and again
    kind, number = modules[0].split('_')
    return f'head.{4 * int(number) + (kind == "norm")}'
  first, *rest = modules
  if first.startswith('block_'):
    return '.'.join(
      ['blocks', first.removeprefix('block_'), *(module for module in rest if module != 'attention')]
    )
  return '.'.join(modules)
