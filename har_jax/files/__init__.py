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
