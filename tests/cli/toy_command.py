"""A command that does nothing, or ends with an exception."""

import types
from typing import Any

from har_jax.cli import command


def toy_module(ends: BaseException | None = None) -> Any:
  module: Any = types.ModuleType('toy', 'Do nothing.\n\nhar-jax toy')

  def run() -> None:
    if ends is not None:
      raise ends

  module.main = run
  module.FLAGS, define = command.new_flags(with_json=True)
  define('size', 3, 'how large')
  define('progress', True)
  return module
