"""A method over frozen kernels in four bits, as QLoRA is LoRA's.   Source: arXiv:2305.14314, section 3."""

import dataclasses

import jax

from har_jax.methods import packing
from har_jax.methods.method import Method, Settings
from har_jax.variables import Variables


def quantized(method: Method) -> Method:
  """The method with the frozen kernels of stem and blocks in four bits; its name begins with a q.

  Kernels that the method trains stay in float32. Merging gives the float32 values that the adapter was
  trained against: the quantization error (relative error of 0.09 for normal weights) stays.
  """

  def adapt(variables: Variables, settings: Settings, key: jax.Array) -> Variables:
    """Raises UserError as the method's own `adapt`, and as `packing.pack`."""
    adapted = method.adapt(variables, dataclasses.replace(settings, four_bits=True), key)
    trained = {path for path in adapted if method.trains(path, settings)}
    return packing.pack(adapted, double=settings.precision.nf4_double, kept=trained)

  return dataclasses.replace(
    method,
    name=f'q{method.name}',
    summary=f'like {method.name}, with the frozen kernels of stem and blocks in four bits',
    adapt=adapt,
    collections=(*method.collections, 'nf4'),
    rebuilt=(*method.rebuilt, 'nf4'),
    merge=lambda variables: method.merge(packing.unpack(variables)),
    # The adapter belongs to the rounded kernels: nothing turns it into one of the base's own.
    peft=method.peft and dataclasses.replace(method.peft, plain=None),
  )
