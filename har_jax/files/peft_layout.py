"""Adapters in the layout of Hugging Face's peft, for the PyTorch model of `launch.bench.pytorch_baseline`.

<folder>/adapter_model.safetensors   base_model.model.blocks.0.query.lora_A.weight [r, i], lora_B [o, r], head
<folder>/adapter_config.json         peft's configuration
<folder>/har_jax.json                our card, which peft's configuration has no place for

The names of an adapter's tensors are its method's (`methods.PeftLayout`).
The PyTorch model has no stem: what is written of an adapted stem, `read_peft` alone reads.
r rank, i in, o out.
"""

import json
from typing import Any

import jax
import numpy as np

from har_jax import records, storage
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.files.adapter import Adapter, check_base, expected_shapes, make_adapter
from har_jax.files.base import Base
from har_jax.methods import METHODS, MODEL_COLLECTIONS, PeftLayout, in_head
from har_jax.storage import Place
from har_jax.train.objective import initial_shapes
from har_jax.variables import Variables, collection

_PREFIX = 'base_model.model.'
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}
_COUNTER = 'num_batches_tracked'  # of PyTorch's BatchNorm, which uses it where no momentum is set


def write_peft(folder: str | Place, adapter: Adapter, base: Base | None = None) -> None:
  """Writes the three files, all of them or none.

  An adapter over four bits belongs to kernels that are not the base's own, least of all with `start` pissa or
  loftq. Give the PyTorch model those of `methods.unpack(files.attach(base, adapter))`.
  base: needed for LoRA that starts at singular values (PiSSA), which is written as LoRA of twice its rank.
  Raises UserError for a method that peft does not have, and for a base that is missing. Also for a head that
  is itself adapted, since peft saves the head in full.
  """
  layout = _layout(adapter)
  if adapter.settings.lora.start == 'pissa' and layout.plain is not None:
    check_base(base, adapter)
    encoder = {} if base is None else base.encoder
    lora, plain = layout.plain(encoder, adapter.variables, adapter.settings)
    adapter = Adapter(plain, adapter.with_card(rank=lora.rank, alpha=lora.alpha, start=lora.start).card)
  card, settings = adapter.card, adapter.settings
  variables = adapter.variables | _rebuilt(adapter, layout)
  modules = sorted({_module(path) for path in variables if _is_adapter(path, layout) and path.count('/') > 2})
  if any(module.startswith('head') for module in modules):
    raise UserError(
      "peft's layout holds the head in full, and this head is adapted; merge, or adapt without head"
    )
  tensors = {
    _key(path, layout): _written(path, variables[path], layout)
    for path in variables
    if _is_stored(path, layout)
  }
  for key in [key for key in tensors if key.endswith('.running_mean')]:
    tensors[key.replace('running_mean', _COUNTER)] = np.zeros((), np.int64)
  last = {module.rpartition('.')[2] for module in modules}
  peft_config = {
    'task_type': None,
    'base_model_name_or_path': None,
    'inference_mode': True,
    # For peft a name stands for every module that ends in it. Where our targets mean others, list full names.
    'target_modules': sorted(last) if last == set(card.targets) else modules,
    'modules_to_save': ['head'],
  } | layout.config(settings)
  contents = {
    'adapter_model.safetensors': safetensors_io.to_bytes(tensors),
    'adapter_config.json': safetensors_io.to_text(peft_config),
    # Without checksums of the others, which peft may train further.
    'har_jax.json': storage.card(records.to_json(card)),
  }
  safetensors_io.write_files(folder, contents)


def read_peft(folder: str | Place, base: Base) -> Adapter:
  """What `write_peft` wrote, bit for bit, or what peft trained further; rank and alpha must be the card's.

  Raises UserError for a missing file, a card of another base, and tensors that do not belong to this adapter,
  by name.
  """
  place = storage.place(folder)
  card = storage.read_record(place / 'har_jax.json', records.Adapter, to_do=safetensors_io.MAKE_AGAIN)
  described = Adapter({}, card)
  check_base(base, described)
  settings, layout = described.settings, _layout(described)
  config = storage.parse(place / 'adapter_config.json', to_do='write it again with peft')
  expected_config = json.loads(json.dumps(layout.config(settings)))
  if other := [name for name, value in expected_config.items() if config.get(name) != value]:
    differences = ', '.join(
      f'{name} {config.get(name)}, har_jax.json {expected_config[name]}' for name in other
    )
    raise UserError(f'{place}: adapter_config.json has {differences}')
  shapes = expected_shapes(described.objective, described.method, described.settings)
  path = place / 'adapter_model.safetensors'
  tensors = safetensors_io.from_bytes(path, storage.read_bytes(path, to_do='write it again with peft'))
  rebuilt = {name for name in layout.keys if name.partition('/')[0] in described.method.rebuilt}
  expected = {
    _key(path, layout): path
    for path in shapes
    if _is_stored(path, layout) and _collection_and_leaf(path) not in rebuilt
  }
  ignored = tuple(layout.keys[name] for name in rebuilt)
  keys = {key for key in tensors if not key.endswith((f'.{_COUNTER}', *ignored))}
  if wrong := sorted(keys ^ expected.keys()):
    raise UserError(
      f'{place}: {len(wrong)} tensors of adapter_model.safetensors are missing or unknown: '
      f'{json.dumps(wrong[:5])}'
    )
  read: Variables = {}
  for key, leaf in expected.items():
    tensor, shape = np.asarray(tensors[key]), shapes[leaf].shape
    read[leaf] = tensor.T if len(shape) == 2 else tensor.reshape(shape)
  scales = {path: np.float32(settings.lora.scale) for path in shapes if collection(path) in layout.scales}
  # Shapes stand for the base's leaves, which the adapter leaves out again.
  return make_adapter(base, shapes | read | scales, card)


def _layout(adapter: Adapter) -> PeftLayout:
  if adapter.method.peft is None:
    names = ', '.join(name for name, method in METHODS.items() if method.peft)
    raise UserError(f'peft has no layout for {adapter.method.name}; it has one for {names}')
  return adapter.method.peft


def _rebuilt(adapter: Adapter, layout: PeftLayout) -> Variables:
  """What the method computes again from any base, and peft stores."""
  wanted = {name.partition('/')[0] for name in layout.keys}.intersection(adapter.method.rebuilt)
  if not wanted:
    return {}
  plain = initial_shapes(adapter.objective)
  zeros = {path: np.zeros(leaf.shape, np.float32) for path, leaf in plain.items()}
  adapted = adapter.method.adapt(zeros, adapter.settings, jax.random.key(0))
  return {path: leaf for path, leaf in adapted.items() if collection(path) in wanted}


def _collection_and_leaf(path: str) -> str:
  return f'{collection(path)}/{path.rpartition("/")[2]}'


def _is_adapter(path: str, layout: PeftLayout) -> bool:
  return _collection_and_leaf(path) in layout.keys


def _is_stored(path: str, layout: PeftLayout) -> bool:
  """Returns whether peft's file holds the leaf: all but the scales, which follow from its configuration."""
  return _is_adapter(path, layout) or path.startswith('batch_stats/') or in_head(path)


def _written(path: str, leaf: Any, layout: PeftLayout) -> np.ndarray:
  """A leaf as PyTorch has it: a matrix [in, out] as [out, in], some vectors as matrices."""
  leaf = np.asarray(leaf)
  if leaf.ndim == 2:
    return np.ascontiguousarray(leaf.T)
  name = _collection_and_leaf(path)
  if name in layout.columns:
    return leaf[:, None]
  return leaf[None] if name in layout.rows else leaf


def _key(path: str, layout: PeftLayout) -> str:
  """base_model.model.blocks.1.query.lora_A.weight of lora/encoder/block_1/attention/query/a."""
  name = _collection_and_leaf(path)
  if collection(path) not in MODEL_COLLECTIONS and path.count('/') == 2:  # shared by all layers
    return f'base_model.{layout.keys[name]}'
  return f'{_PREFIX}{_module(path)}.{layout.keys.get(name) or _LEAVES[path.rpartition("/")[2]]}'


def _module(path: str) -> str:
  """blocks.1.query of lora/encoder/block_1/attention/query/a."""
  _, part, *modules, _ = path.split('/')
  if part == 'head':  # dense, norm, ReLU, dropout, and again
    kind, number = modules[0].split('_')
    return f'head.{4 * int(number) + (kind == "norm")}'
  first, *names = modules
  if first.startswith('block_'):
    return '.'.join(
      ['blocks', first.removeprefix('block_'), *(module for module in names if module != 'attention')]
    )
  return '.'.join(modules)
