"""What an adaptation adds to a base, as a file: pairs, head and statistics, and all that a prediction needs to know.

The base is known by its checksum, so that an adapter is never put on another one.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import har_jax
from har_jax import config, config_fields, storage, variables
from har_jax.data.normalization import Normalizer
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.files.base import Base
from har_jax.methods import METHODS
from har_jax.methods.method import in_head
from har_jax.storage import Place
from har_jax.train.objective import Classify
from har_jax.variables import Variables

FORMAT = 'har_jax adapter 2'
# Of a card, without which no prediction can be made.
_NEEDED = ('method', 'rank', 'alpha', 'targets', 'model', 'precision', 'classes', 'normalizer')


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Adapter:
  """Leaves that its base does not have, or has otherwise, and its card."""

  variables: Variables
  card: dict[str, Any]

  @property
  def experiment(self) -> config.Experiment:
    """Of it the model, the adapters and the precision count."""
    card = self.card
    return config.Experiment(
      config_fields.from_json(config.Model, card['model']),
      config.Lora(card['rank'], card['alpha'], tuple(card['targets'])),
      config_fields.from_json(config.Precision, card['precision']),
    )

  @property
  def objective(self) -> Classify:
    """What predicts: adapters alike in model, classes and precision share one, and one compiled program."""
    experiment = self.experiment
    return Classify(experiment.model, len(self.card['classes']), experiment.precision)

  @property
  def normalizer(self) -> Normalizer:
    mean, deviation = (np.array(self.card['normalizer'][name]) for name in ('mean', 'deviation'))
    return Normalizer(mean, deviation)

  def __repr__(self) -> str:
    return f'Adapter({self.card["method"]}, {", ".join(map(str, self.card["classes"]))})'


def make_adapter(base: Base | None, held: Variables, card: Mapping[str, Any]) -> Adapter:
  """The adapter of a model that was adapted: of its variables those that the base cannot give again.

  These are pairs and their scales, the head, its statistics, and every other leaf that the method trains. Packed kernels are
  left out: they are packed again as the adapter is attached. `base` may be None for a method that starts without.
  Of the card method, rank, alpha, targets, model, precision, classes and normalizer must be given; temperature is 1 unless it is.
  Raises UserError: an entry that is missing, variables that are not the method's, a method that wants a base and has none.
  """
  if missing := [name for name in _NEEDED if name not in card]:
    raise UserError(f'the card lacks {", ".join(missing)}')
  if (name := card['method']) not in METHODS:
    raise UserError(f'unknown method {name!r}; one of {", ".join(METHODS)}')
  method = METHODS[name]
  if method.pretrained and base is None:
    raise UserError(f'{name} adapts a base; give the one that it was trained on')
  whose = base.checksum if base is not None and method.pretrained else None
  adapter = Adapter({}, {'temperature': 1.0, **card, 'base': whose})
  _refuse_other(adapter, held)
  kept = {
    path: jnp.asarray(leaf)
    for path, leaf in held.items()
    if path.startswith(('lora/', 'lora_scale/', 'batch_stats/'))
    or in_head(path)
    or method.trains(path, adapter.experiment)
  }
  filled = {
    'format': FORMAT,
    'checksum': safetensors_io.checksum(kept),
    'har_jax': har_jax.__version__,
    **safetensors_io.INPUT,
  }
  return Adapter(kept, adapter.card | filled)


def attach(base: Base | None, adapter: Adapter) -> Variables:
  """The adapted model's variables, for the adapter's `objective` to predict with. A second adapter needs no second base.

  QLoRA's kernels are packed from the base's again, to the very bytes that the adapter was trained on.
  `peft.merge` folds the pairs into the kernels; to take them out again, attach again.
  Raises UserError where the adapter is of another base, with both checksums, and where a leaf is missing.
  """
  method, experiment = METHODS[adapter.card['method']], adapter.experiment
  refuse_other_base(base, adapter)
  known = base.variables if base is not None and method.pretrained else {}
  own = {
    path: leaf for path, leaf in adapter.variables.items() if path.startswith(('params/', 'batch_stats/'))
  }
  adapted = method.adapt(known | own, experiment, jax.random.key(0))
  # Not the pairs just drawn: one that is missing from the file would be made up.
  given = {path: leaf for path, leaf in adapted.items() if not path.startswith(('lora/', 'lora_scale/'))}
  held = given | adapter.variables
  _refuse_other(adapter, held)
  return held


def save_adapter(folder: str | Place, adapter: Adapter) -> None:
  """Writes it, all of it or none, beside what the folder holds. Raises UserError where it cannot be written."""
  safetensors_io.write(storage.place(str(folder)), 'adapter', adapter.variables, adapter.card)


def load_adapter(folder: str | Place) -> Adapter:
  """Raises UserError where there is none, and where its leaves are not those that its card says."""
  return Adapter(*safetensors_io.read(storage.place(str(folder)), 'adapter', FORMAT))


def refuse_other_base(base: Base | None, adapter: Adapter) -> None:
  """Raises UserError where it is not the one that the adapter was trained on."""
  wanted = adapter.card['base']
  if wanted is None:
    return
  if base is None:
    raise UserError(f'the adapter wants the base with checksum {wanted}, and there is none; give it')
  if base.checksum != wanted:
    raise UserError(
      f'the adapter was trained on another base: it wants the one with checksum {wanted}, this one has {base.checksum}'
    )


def _refuse_other(adapter: Adapter, held: Variables) -> None:
  name = adapter.card['method']
  if lines := variables.difference(expected(adapter.objective, name, adapter.experiment.lora), held):
    raise UserError(f'these are not the variables of {name} for the model that the card says:\n{lines}')


@functools.lru_cache(maxsize=32)
def expected(objective: Classify, method: str, lora: config.Lora) -> Variables:
  """The shapes of an adapted model's variables."""
  experiment = config.Experiment(objective.model, lora, objective.precision)

  def adapted(key: jax.Array) -> Variables:
    return METHODS[method].adapt(objective.init(key), experiment, key)

  return jax.eval_shape(adapted, jax.random.key(0))
