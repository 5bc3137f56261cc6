"""Adapters and pretrained bases as files: safetensors, each with a card in JSON.

<folder>/base.safetensors     base.json      a pretrained encoder
<folder>/adapter.safetensors  adapter.json   what an adaptation adds to it; may be in the same folder
"""

from har_jax.files.adapter import (
  Adapter,
  attach,
  head_adapter,
  leaves_of,
  load_adapter,
  make_adapter,
  method_entries,
  save_adapter,
)
from har_jax.files.base import BUNDLED, Base, bundled_base, load_base, make_base, prepare, save_base
from har_jax.files.peft_layout import read_peft, write_peft
from har_jax.files.runs import load_run

__all__ = [
  'BUNDLED',
  'Adapter',
  'Base',
  'attach',
  'bundled_base',
  'head_adapter',
  'leaves_of',
  'load_adapter',
  'load_base',
  'load_run',
  'make_adapter',
  'make_base',
  'method_entries',
  'prepare',
  'read_peft',
  'save_adapter',
  'save_base',
  'write_peft',
]
