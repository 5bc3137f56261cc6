"""A pretrained encoder as a file."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

import har_jax
from har_jax import config, config_fields, storage, variables
from har_jax.data.archives import ARCHIVES
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.methods import unpack
from har_jax.methods.qlora import pack
from har_jax.storage import Place
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.objective import Classify, Contrastive, Objective, Reconstruct
from har_jax.variables import Variables

FORMAT = 'har_jax base 2'
_SHIPPED = pathlib.Path(har_jax.__file__).parent / 'assets' / 'motionsense'
_NORMALISATION = (
  'each data set by its own learning part: of each sensor one mean and one deviation, over its three axes'
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Base:
  """A pretrained encoder's leaves, params/encoder/..., and its card. Not to be changed: adapters know it by its checksum."""

  variables: Variables
  card: dict[str, Any]

  @property
  def checksum(self) -> str:
    return self.card['checksum']

  @property
  def model(self) -> config.Model:
    """The model that it is the encoder of. What pretraining does not decide, the head, is the default's."""
    return config_fields.from_json(config.Model, self.card['model'])

  @property
  def precision(self) -> config.Precision:
    return config.Precision(dtype=self.card['dtype'])

  def __repr__(self) -> str:
    return f'Base({self.checksum[:12]}, {variables.count(self.variables)} weights)'

  def __deepcopy__(self, _: Any) -> 'Base':
    return self  # scikit-learn copies an estimator's parameters for each fold


def make_base(held: Variables, card: Mapping[str, Any]) -> Base:
  """A base of any variables that have an encoder among them; the others are left out.

  Of the card `model` must be given, as `knobs.to_json` says it; `dtype`, `sources`, `normalization` and `pretraining` may be.
  Checksum, format and version are filled in. Raises UserError where the encoder is not the model's, leaf by leaf.
  """
  encoder, _ = variables.split(held, lambda path: path.startswith('params/encoder/'))
  model = config_fields.from_json(config.Model, dict(card['model']))
  whole = jax.eval_shape(Classify(model, 2).init, jax.random.key(0))
  expected, _ = variables.split(whole, lambda path: path.startswith('params/encoder/'))
  if lines := variables.difference(expected, encoder):
    raise UserError(f"these are not the leaves of the card's model:\n{lines}")
  filled = {
    'format': FORMAT,
    'checksum': safetensors_io.checksum(encoder),
    'har_jax': har_jax.__version__,
    **safetensors_io.INPUT,
  }
  rule = {'dtype': 'float32', 'normalization': _NORMALISATION}
  return Base({path: jnp.asarray(leaf) for path, leaf in encoder.items()}, {**rule, **card, **filled})


def save_base(
  folder: str | Place, held: Variables, card: Mapping[str, Any], *, four_bits: bool = False
) -> Base:
  """Writes `make_base`'s base, all of it or none. Raises UserError as that does, and where it cannot be written.

  With `four_bits` the matrices of its blocks are rounded to NF4 and held so, in a seventh of the bytes; what comes back, and is
  read again, are the rounded ones.
  """
  base = make_base(held, card)
  written = base.variables
  if four_bits:
    written = pack(
      base.variables
    )  # not doubly: a product of two floats is the same everywhere, so the checksum is
    base = make_base(unpack(written), base.card)
  safetensors_io.write(storage.place(str(folder)), 'base', written, base.card)
  return base


def load_base(folder: str | Place) -> Base:
  """The base of a folder: one of `save_base`, or one that a pretraining left, .../<target>/pretrain.

  Raises UserError where there is neither, and where a base's leaves are not those that its card says.
  """
  place = storage.place(str(folder))
  if (place / 'base.json').exists():
    return Base(*safetensors_io.read(place, 'base', FORMAT))
  if (place / 'pretrained.json').exists():
    return _of_pretraining(place)
  raise UserError(
    f'{place} holds no base: neither base.json nor the pretrained.json of a pretraining that is done; '
    'launch/lodo.py --stage=pretrain makes <out>/<target>/pretrain'
  )


def bundled_base() -> Base:
  """The base that comes with the package, pretrained on MotionSense alone: its license allows that, others' do not."""
  return load_base(str(_SHIPPED))


def _of_pretraining(folder: Place) -> Base:
  done = storage.read(folder / 'pretrained.json')
  if not {'identity', 'step', 'history'} <= done.keys():
    raise UserError(f'{folder / "pretrained.json"} does not say what was pretrained; pretrain again')
  identity, step = done['identity'], done['step']
  told: dict[str, Any] = {'steps': step}
  sources = dict(identity['windows'])
  first = identity
  while 'from' in first:  # what it went on from
    first = first['from']
    sources = first['windows'] | sources
  model = config_fields.from_json(config.Model, identity.get('model', first['model']))
  (last,) = (entry for entry in done['history'] if entry['step'] == step)
  if 'classes' in identity:
    objective: Objective = Classify(model, len(identity['classes']))
    told |= {'validation_macro_f1': last['macro_f1'], 'classes': identity['classes']}
  else:
    objective = Contrastive(model) if 'contrast' in identity else Reconstruct(model)
    told |= {'validation_loss': last['loss']}
  whole = Checkpoints(folder / 'checkpoints').variables(
    step, jax.eval_shape(objective.init, jax.random.key(0))
  )
  card = {
    'model': first['model'],
    'dtype': first['dtype'],
    'sources': [
      {'archive': name, 'license': ARCHIVES[name].license if name in ARCHIVES else 'unknown'}
      | {'checksum': windows['checksum'], 'windows': windows['windows']}
      for name, windows in sources.items()
    ],
    'pretraining': told | {name: identity[name] for name in ('training', 'from') if name in identity},
  }
  return make_base(whole, card)
