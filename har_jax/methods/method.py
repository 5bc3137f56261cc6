"""What a fine-tuning method is: functions on variables, in the sense of `har_jax.variables`."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import jax
import optax

from har_jax import config
from har_jax.errors import UserError
from har_jax.variables import Variables, collection

# The collections of the plain model. Every other collection belongs to the method that adds it.
MODEL_COLLECTIONS = ('params', 'batch_stats')
Transform: TypeAlias = optax.GradientTransformationExtraArgs  # its update takes `step` and `total_steps`


@dataclasses.dataclass(frozen=True)
class Settings:
  """The hyperparameters that methods read."""

  lora: config.Lora = dataclasses.field(default_factory=config.Lora)
  precision: config.Precision = dataclasses.field(default_factory=config.Precision)
  methods: config.Methods = dataclasses.field(default_factory=config.Methods)
  depth: int = config.Experiment().model.depth  # encoder blocks
  four_bits: bool = False  # whether frozen kernels are then packed

  @classmethod
  def from_experiment(cls, experiment: config.Experiment) -> 'Settings':
    return cls(experiment.lora, experiment.precision, experiment.methods, experiment.model.depth)


@dataclasses.dataclass(frozen=True)
class Method:
  """A method owns its variables: it says what it adds, what trains, and how to merge. Nothing else does.

  trains: whether the leaf at a path is trained; all others are frozen.
  adapt: adds or replaces entries of a model's variables.
  collections: the collections that `adapt` adds.
  rebuilt: those of them that `adapt` computes from the base alone, so that no adapter file needs them.
  merge: folds the collections into `params`; the result is a plain model.
  unmerged: why no plain model gives the same outputs, for methods that cannot be merged.
  optimizer: wraps the optimizer, to change rates or to prune.
  pairs: the collection of LoRA's pairs, if it has them: leaves `a` [i, r] and `b` [r, o] of rank `lora.rank`,
    whose scaled product is added to a kernel.
  peft: the layout of Hugging Face's peft; None: it has none.
  pretrained: False: the encoder starts from random weights.
  fits_head: True: `train.output_layer` fits a linear head, after it has trained the side encoder, if any.
  side_width: token width of the small encoder that is trained next to the frozen one; 0: none.
  budget_place: its place among the methods that a budget tries, the best first; None: it is not tried.
  """

  name: str
  summary: str
  trains: Callable[[str, Settings], bool]
  adapt: Callable[[Variables, Settings, jax.Array], Variables] = lambda variables, settings, key: variables
  collections: tuple[str, ...] = ()
  rebuilt: tuple[str, ...] = ()
  merge: Callable[[Variables], Variables] = dict
  unmerged: str = ''
  optimizer: Callable[[Transform, Settings], Transform] = lambda transform, settings: transform
  pairs: str = ''
  peft: 'PeftLayout | None' = None
  pretrained: bool = True
  fits_head: bool = False
  side_width: int = 0
  budget_place: int | None = None

  @property
  def takes_steps(self) -> bool:
    """Returns whether weights are trained by gradients."""
    return self.side_width > 0 or not self.fits_head

  def model(self, model: config.Model) -> config.Model:
    """The model with the head, and the side encoder, that the method trains."""
    model = dataclasses.replace(model, side_width=self.side_width)
    return with_linear_head(model) if self.fits_head else model


@dataclasses.dataclass(frozen=True, eq=False)
class PeftLayout:
  """Layout in which Hugging Face's peft stores the method's adapters.

  keys: from 'collection/leaf' to the end of a tensor's name in peft.
  config: entries of peft's configuration, besides those that every method has.
  columns, rows: vectors that peft has as matrices of one column or one row, as 'collection/leaf'.
  scales: collections of `lora.scale`, which follows from peft's configuration.
  plain: turns an adapter into one of the base's own kernels; None: it is one. From the base's encoder, the
    adapter's variables and its settings to settings of LoRA and variables.
  """

  keys: Mapping[str, str]
  config: Callable[[Settings], dict[str, object]]
  columns: tuple[str, ...] = ()
  rows: tuple[str, ...] = ()
  scales: tuple[str, ...] = ()
  plain: 'PlainStart | None' = None


PlainStart = Callable[[Variables, Variables, Settings], tuple[config.Lora, Variables]]


@dataclasses.dataclass(frozen=True)
class Wrapped:
  """A method's `optimizer` with its settings; equal ones share a compiled step."""

  method: Method
  settings: Settings

  def __call__(self, transform: Transform) -> Transform:
    return self.method.optimizer(transform, self.settings)


def with_linear_head(model: config.Model) -> config.Model:
  """The model with a linear head, also on the window's statistics where its signals have physical units."""
  return dataclasses.replace(model, head=(), window_statistics=bool(model.stem))


def in_head(path: str) -> bool:
  """Returns whether the path is that of a weight of the head."""
  return path.startswith('params/head/')


def in_encoder(path: str) -> bool:
  """Returns whether the path is that of a leaf of the encoder, in any collection."""
  return '/encoder/' in path


def in_side_encoder(path: str) -> bool:
  """Returns whether the path is that of a weight of the side encoder."""
  return path.startswith('params/side_encoder/')


def target_modules(variables: Variables, targets: Sequence[str]) -> list[str]:
  """The dense layers under modules of these names, such as encoder/block_0/up, without repetition.

  With two streams, a target also stands for the module of each stream: `embed` for `embed_acc`, `embed_gyro`.
  Raises UserError if a target matches no kernel.
  """
  kernels = [path for path in variables if path.startswith('params/') and path.endswith('/kernel')]
  modules: dict[str, None] = {}
  for target in targets:
    names = {target, f'{target}_acc', f'{target}_gyro'}
    matching = [path for path in kernels if not names.isdisjoint(path.split('/')[1:-1])]
    if not matching:
      modules_there = sorted({part for path in kernels for part in path.split('/')[1:-1]})
      raise UserError(f'target {target!r} matches no kernel; the modules are {", ".join(modules_there)}')
    modules |= dict.fromkeys(path.removeprefix('params/').removesuffix('/kernel') for path in matching)
  return list(modules)


def module_key(module: str, key: jax.Array) -> jax.Array:
  """A module's own key, which does not depend on the other modules."""
  return jax.random.fold_in(key, zlib.crc32(module.encode()))


def without(variables: Variables, *collections: str) -> Variables:
  """The variables of all other collections."""
  return {path: leaf for path, leaf in variables.items() if collection(path) not in collections}


def check_collections(method: Method, variables: Variables) -> None:
  """Raises UserError if a collection belongs neither to the plain model nor to the method."""
  owned = {*MODEL_COLLECTIONS, *method.collections}
  if unknown := sorted({collection(path) for path in variables} - owned):
    raise UserError(
      f'{method.name} does not own the collection {", ".join(unknown)}; it owns '
      f'{", ".join(method.collections) or "none"}. Name it in the `collections` of the method that adds it'
    )


def merge(method: Method, variables: Variables) -> Variables:
  """The adapted model as a plain model of `params` and `batch_stats`.

  Raises UserError if the method cannot be merged, a collection has no owner, or one is left.
  """
  check_collections(method, variables)
  if method.unmerged:
    raise UserError(
      f'{method.name} cannot be merged into the kernels of its base, nor exported: {method.unmerged}; '
      'predict with it as it is, or adapt with lora'
    )
  merged = method.merge(variables)
  if left := sorted({collection(path) for path in merged}.difference(MODEL_COLLECTIONS)):
    raise UserError(
      f'{method.name}.merge leaves the collection {", ".join(left)}; it must fold it into params'
    )
  return merged
