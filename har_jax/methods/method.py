"""What a fine-tuning method is: functions on variables, in the sense of `har_jax.variables`."""

import dataclasses
from collections.abc import Callable

import jax

from har_jax import config
from har_jax.errors import UserError
from har_jax.variables import Variables, collection

# The collections of the plain model. Every other collection belongs to the method that adds it.
MODEL_COLLECTIONS = ('params', 'batch_stats')


@dataclasses.dataclass(frozen=True)
class Settings:
  """The hyperparameters that methods read."""

  lora: config.Lora = dataclasses.field(default_factory=config.Lora)
  precision: config.Precision = dataclasses.field(default_factory=config.Precision)

  @classmethod
  def of(cls, experiment: config.Experiment) -> 'Settings':
    return cls(experiment.lora, experiment.precision)


@dataclasses.dataclass(frozen=True)
class Method:
  """A method owns its variables: it says what it adds, what trains, and how to merge. Nothing else does.

  adapt: adds or replaces entries of a model's variables.
  trains: whether the leaf at a path is trained; all others are frozen.
  collections: the collections that `adapt` adds.
  rebuilt: those of them that `adapt` computes from the base alone, so that no adapter file needs them.
  merge: folds the collections into `params`; the result is a plain model.
  peft_type: the type of Hugging Face peft whose layout the adapter has; None: it has none.
  pretrained: False: the encoder starts from random weights.
  """

  name: str
  summary: str
  adapt: Callable[[Variables, Settings, jax.Array], Variables]
  trains: Callable[[str, Settings], bool]
  collections: tuple[str, ...] = ()
  rebuilt: tuple[str, ...] = ()
  merge: Callable[[Variables], Variables] = dict
  peft_type: str | None = None
  pretrained: bool = True


def in_head(path: str) -> bool:
  return path.startswith('params/head/')


def check_collections(method: Method, variables: Variables) -> None:
  """Raises UserError where a collection belongs neither to the plain model nor to the method."""
  known = {*MODEL_COLLECTIONS, *method.collections}
  if unknown := sorted({collection(path) for path in variables} - known):
    raise UserError(
      f'{method.name} does not own the collection {", ".join(unknown)}; it owns '
      f'{", ".join(method.collections) or "none"}. Name it in the `collections` of the method that adds it'
    )


def merge(method: Method, variables: Variables) -> Variables:
  """The adapted model as a plain model of `params` and `batch_stats`.

  Raises UserError where a collection has no owner, or is left over after merging.
  """
  check_collections(method, variables)
  merged = method.merge(variables)
  if left := sorted({collection(path) for path in merged}.difference(MODEL_COLLECTIONS)):
    raise UserError(
      f'{method.name}.merge leaves the collection {", ".join(left)}; it must fold it into params'
    )
  return merged
