"""What a fine-tuning method is: two functions on variables, in the sense of `har_jax.variables`."""

import dataclasses
from collections.abc import Callable

import jax

from har_jax import config
from har_jax.variables import Variables


@dataclasses.dataclass(frozen=True)
class Method:
  """`adapt` says what to add or replace, `trains` which leaves may move; nothing else says so."""

  name: str
  summary: str
  adapt: Callable[[Variables, config.Experiment, jax.Array], Variables]
  trains: Callable[[str, config.Experiment], bool]
  pretrained: bool = True  # False: the encoder starts as drawn, not as pretrained


def in_head(path: str) -> bool:
  return path.startswith('params/head/')
