"""A command that does nothing, or ends with an exception."""

import types

from absl import flags


def toy_module(ends: BaseException | None = None) -> types.ModuleType:
  """A command that ends with an exception."""
  module = types.ModuleType('toy', 'Do nothing.\n\nhar-jax toy')

  def run() -> None:
    if ends is not None:
      raise ends

  module.main = run  # type: ignore[attr-defined]
  module.FLAGS = flags.FlagValues()  # type: ignore[attr-defined]
  flags.DEFINE_integer('size', 3, 'how large', flag_values=module.FLAGS)
  flags.DEFINE_bool('progress', True, 'show progress bars', flag_values=module.FLAGS)
  return module
