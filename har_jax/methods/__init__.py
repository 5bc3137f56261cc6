"""Fine-tuning methods: one file and one line each."""

from har_jax.methods import full, lora, probe, qlora, scratch
from har_jax.methods.merge import merge, merge_and_pack, unpack
from har_jax.methods.method import Method

METHODS: dict[str, Method] = {
  method.name: method for method in (full.METHOD, probe.METHOD, lora.METHOD, qlora.METHOD, scratch.METHOD)
}

__all__ = ['METHODS', 'Method', 'merge', 'merge_and_pack', 'unpack']
