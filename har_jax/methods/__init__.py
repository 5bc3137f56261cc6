"""Fine-tuning methods: one file and one line each."""

from har_jax.errors import UserError
from har_jax.methods import (
  adalora,
  adapter,
  bitfit,
  dora,
  full,
  ia3,
  linear,
  lora,
  norm,
  partial,
  probe,
  prompt,
  scratch,
  side,
  vera,
)
from har_jax.methods.method import (
  MODEL_COLLECTIONS,
  Method,
  PeftLayout,
  Settings,
  Wrapped,
  in_encoder,
  in_head,
  merge,
  with_linear_head,
  without,
)
from har_jax.methods.packing import pack, unpack, unpack_on_host
from har_jax.methods.preparation import Prepared, arrange_head, output_layer, prepare
from har_jax.methods.quantized import quantized

_FROZEN = (
  probe.METHOD,
  linear.METHOD,
  side.METHOD,
  bitfit.METHOD,
  norm.METHOD,
  partial.METHOD,
  ia3.METHOD,
  prompt.METHOD,
  adapter.HOULSBY,
  adapter.PFEIFFER,
  vera.METHOD,
  lora.METHOD,
  adalora.METHOD,
  dora.METHOD,
)
METHODS: dict[str, Method] = {
  method.name: method for method in (full.METHOD, scratch.METHOD, *_FROZEN, *map(quantized, _FROZEN))
}


def find(name: str) -> Method:
  """The method of this name. Raises UserError if there is none."""
  if name not in METHODS:
    raise UserError(f'unknown method {name!r}; one of {", ".join(METHODS)}')
  return METHODS[name]
