"""Adapters as Hugging Face's peft lays them out, for the PyTorch model of `har_jax.bench.pytorch_baseline`.

<folder>/adapter_model.safetensors   base_model.model.blocks.0.query.lora_A.weight [r, i], ...lora_B.weight [o, r], the head
<folder>/adapter_config.json         peft's own
<folder>/har_jax.json                our card, for which peft's has no room

r rank, i in, o out.
"""

import json
from typing import Any

import numpy as np

from har_jax import storage
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.files.adapter import FORMAT, Adapter, expected, make_adapter, refuse_other_base
from har_jax.files.base import Base
from har_jax.methods.method import in_head
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
_COUNTER = 'num_batches_tracked'  # of PyTorch's BatchNorm, which heeds it where no momentum is set


def write_peft(folder: str | Place, adapter: Adapter) -> None:
  """Writes the three files, all of them or none.

  QLoRA's pairs are LoRA's here: PyTorch's model is given whole kernels or packs them itself.
  Raises UserError: a method without pairs; a head that is itself adapted, as peft saves the head whole.
  """
  card = adapter.card
  if not any(path.startswith('lora/') for path in adapter.variables):
    raise UserError(f"{card['method']} has no low-rank pairs for peft's layout; lora and qlora have")
  if any(path.startswith('lora/head/') for path in adapter.variables):
    raise UserError(
      "the head is adapted by pairs, and peft's layout holds it whole; merge, or train without head"
    )
  tensors = {_key(path): _turned(path, adapter.variables[path]) for path in _listed(adapter.variables)}
  for key in [key for key in tensors if key.endswith('.running_mean')]:
    tensors[key.replace('running_mean', _COUNTER)] = np.zeros((), np.int64)
  modules = sorted({_module(path) for path in adapter.variables if path.startswith('lora/')})
  last = {module.rpartition('.')[2] for module in modules}
  alpha = card['alpha']
  peft_config = {
    'peft_type': 'LORA',
    'task_type': None,
    'base_model_name_or_path': None,
    'r': card['rank'],
    'lora_alpha': int(alpha) if alpha == int(alpha) else alpha,
    'lora_dropout': 0.0,
    'bias': 'none',
    'fan_in_fan_out': False,
    'inference_mode': True,
    # peft takes a name for every module that ends in it; where ours says less or more than that, each by its whole name.
    'target_modules': sorted(last) if last == set(card['targets']) else modules,
    'modules_to_save': ['head'],
  }
  contents = {
    'adapter_model.safetensors': safetensors_io.to_bytes(tensors),
    'adapter_config.json': safetensors_io.to_text(peft_config),
    'har_jax.json': safetensors_io.to_text(card),
  }
  safetensors_io.write_files(storage.place(str(folder)), contents)


def read_peft(folder: str | Place, base: Base) -> Adapter:
  """What `write_peft` wrote, bit for bit; also after peft trained it on, whose rank and alpha must then be the card's.

  Raises UserError: a file that is missing, a card of another base, tensors that are not this adapter's, by name.
  """
  place = storage.place(str(folder))
  card = safetensors_io.read_card(place / 'har_jax.json', FORMAT)
  described = Adapter({}, card)
  refuse_other_base(base, described)
  peft_config = storage.read(place / 'adapter_config.json')
  given = {'rank': peft_config.get('r'), 'alpha': peft_config.get('lora_alpha')}
  if other := [name for name, value in given.items() if value != card[name]]:
    told = ', '.join(f'{name} {given[name]}, and har_jax.json {card[name]}' for name in other)
    raise UserError(f'{place}: adapter_config.json says {told}')
  shapes = expected(described.objective, card['method'], described.experiment.lora)
  tensors = safetensors_io.from_file(place / 'adapter_model.safetensors')
  wanted = {_key(path): path for path in _listed(shapes)}
  found = {key for key in tensors if not key.endswith(f'.{_COUNTER}')}
  if wrong := sorted(found ^ wanted.keys()):
    raise UserError(
      f'{place}: {len(wrong)} tensors are missing from adapter_model.safetensors or none of this adapter: '
      f'{json.dumps(wrong[:5])}'
    )
  read = {path: _turned(path, tensors[key]) for key, path in wanted.items()}
  scales = {
    path: np.float32(card['alpha'] / card['rank']) for path in shapes if path.startswith('lora_scale/')
  }
  # The base's leaves are left out of the adapter again, packed or not: their shapes stand for them.
  return make_adapter(base, shapes | read | scales, card)


def _listed(held: Variables) -> list[str]:
  """The paths that peft's file holds: all but the scales, which follow from its config."""
  return [path for path in held if path.startswith(('lora/', 'batch_stats/')) or in_head(path)]


def _turned(path: str, leaf: Any) -> Any:
  """A matrix as the other side has it: ours are [in, out], PyTorch's [out, in]."""
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
