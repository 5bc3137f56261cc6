"""Begins a run, in the one way that there is: draw the model, add the base, adapt, split the variables."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from har_jax.errors import UserError
from har_jax.methods.method import Method, Settings, check_collections, in_side_encoder
from har_jax.variables import Variables, difference, split, split_statistics


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A model's variables before the first step, in three disjoint parts."""

  trainable: Variables
  statistics: Variables  # running statistics of BatchNorm
  frozen: Variables

  @property
  def variables(self) -> Variables:
    return self.trainable | self.statistics | self.frozen


def prepare(
  init: Callable[[jax.Array], Variables],
  method: Method,
  settings: Settings,
  seed: int,
  *,
  shapes: Variables | None = None,
  init_new: Callable[[jax.Array], Variables] | None = None,
  pretrained: Variables | None = None,
  head: Callable[[Variables], Variables] | None = None,
) -> Prepared:
  """The variables of an adapted model, before training.

  init: draws the plain model from a key, as `train.objective.Classify.init` does.
  shapes: of the encoder's leaves, if they are known. To trace the model for them takes a third of a second.
  init_new: draws the head and the side encoder alone, as `init` does; used where the base has the others.
  pretrained: the base's leaves, `params/encoder/...`.
  head: from the drawn variables to the leaves of a pretrained head.
  A method that starts from scratch uses neither of the two, one with other inputs of the head no head.
  Raises UserError as the method's `adapt` does. Also where it adds a collection that it does not own, and
  where the pretrained leaves do not fit the model.
  """
  # Op by op, not under jit. One program that draws every weight takes 5 to 11 s to compile, per method and
  # head. Single draws are compiled once for all of them, in 0.4 to 0.8 s.
  head_key, adapter_key = jax.random.split(jax.random.key(seed))
  base = pretrained if method.pretrained and pretrained else {}
  shapes = (shapes or jax.eval_shape(init, head_key)) if base else {}
  shared = {path: leaf for path, leaf in shapes.items() if path in base}
  if lines := difference(shared, {path: base[path] for path in shared}):
    raise UserError(f'the base is of another model than its card says:\n{lines}')
  if init_new is not None and base and all(map(_is_new, shapes.keys() - base.keys())):
    init = init_new
  drawn = init(head_key) | base
  if method.pretrained and not method.fits_head and head is not None:
    drawn |= head(drawn)
  adapted = method.adapt(drawn, settings, adapter_key)
  check_collections(method, adapted)
  statistics, weights = split_statistics(adapted)
  trainable, frozen = split(jax.device_put(weights), lambda path: method.trains(path, settings))
  return Prepared(trainable, statistics, frozen)


def _is_new(path: str) -> bool:
  return '/head/' in path or in_side_encoder(path)


def arrange_head(
  head: Variables, drawn: Variables, head_classes: Sequence[str], classes: Sequence[Any]
) -> Variables:
  """A head for `classes`, from one that was trained on `head_classes`.

  The output weights of a class that the head lacks stay as drawn. Names are compared without case.
  """
  output = output_layer(drawn) + '/'
  numbers = {name.casefold(): number for number, name in enumerate(head_classes)}
  shared = [n for n, name in enumerate(classes) if str(name).casefold() in numbers]
  to, source = np.array(shared, int), np.array([numbers[str(classes[n]).casefold()] for n in shared], int)

  def arranged(path: str, leaf: Any) -> np.ndarray:  # by NumPy, which compiles nothing
    values = np.array(drawn[path])
    values[..., to] = np.asarray(leaf)[..., source]
    return values

  return {path: arranged(path, leaf) if path.startswith(output) else leaf for path, leaf in head.items()}


def output_layer(variables: Variables) -> str:
  """The path of a head's last dense layer, such as params/head/dense_1."""
  layers = {path.split('/')[2] for path in variables if path.startswith('params/head/dense_')}
  return f'params/head/{max(layers, key=lambda name: int(name.removeprefix("dense_")))}'
