"""Fine-tuning methods: one file and one line each."""

from har_jax.methods import full, lora, probe, qlora, scratch
from har_jax.methods.method import MODEL_COLLECTIONS, Method, Settings, check_collections, in_head, merge
from har_jax.methods.packing import pack, unpack
from har_jax.methods.preparation import Prepared, arrange_head, output_layer, prepare

METHODS: dict[str, Method] = {
  method.name: method for method in (full.METHOD, probe.METHOD, lora.METHOD, qlora.METHOD, scratch.METHOD)
}

__all__ = [
  'METHODS',
  'MODEL_COLLECTIONS',
  'Method',
  'Prepared',
  'Settings',
  'arrange_head',
  'check_collections',
  'in_head',
  'merge',
  'output_layer',
  'pack',
  'prepare',
  'unpack',
]
