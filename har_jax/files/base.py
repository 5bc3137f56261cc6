"""A pretrained encoder as a file."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

import har_jax
from har_jax import config, config_fields, storage, variables
from har_jax.config import SCHEMA_VERSION
from har_jax.data.archives import ARCHIVES
from har_jax.errors import UserError
from har_jax.files import safetensors_io
from har_jax.methods import pack, unpack
from har_jax.storage import Place
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.objective import Classify, Contrastive, Objective, Reconstruct
from har_jax.variables import Variables

FORMAT = f'har_jax base {SCHEMA_VERSION}'
_BUNDLED = pathlib.Path(har_jax.__file__).parent / 'assets' / 'motionsense'
_NORMALIZATION = (
  'each dataset by its own training part: one mean and one standard deviation per sensor, over its three axes'
)
_PHYSICAL = 'acceleration in g, rotation in rad/s; no statistics of a dataset'  # what a stem takes


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Base:
  """A pretrained encoder's leaves, params/encoder/..., and its card.

  Immutable: adapters refer to its checksum.
  """

  variables: Variables
  card: dict[str, Any]

  @property
  def checksum(self) -> str:
    return self.card['checksum']

  @property
  def model(self) -> config.Model:
    """The encoder's model. Its head is the default one, since pretraining has none."""
    return config_fields.from_json(config.Model, self.card['model'])

  @property
  def precision(self) -> config.Precision:
    return config.Precision(dtype=self.card['dtype'])

  def __repr__(self) -> str:
    return f'Base({self.checksum[:12]}, {variables.count(self.variables)} weights)'

  def __deepcopy__(self, _: Any) -> 'Base':
    return self  # scikit-learn copies the parameters of an estimator for each fold


def make_base(held: Variables, card: Mapping[str, Any]) -> Base:
  """A base of the encoder among some variables.

  card: `model` is required, as `config_fields.to_json` gives it; `dtype`, `sources`, `normalization` and
    `pretraining` are optional. Checksum, format and version are filled in.
  Raises UserError where the encoder does not fit the model, and lists the leaves.
  """
  encoder, _ = variables.split(held, lambda path: path.startswith('params/encoder/'))
  model = config_fields.from_json(config.Model, dict(card['model']))
  shapes = jax.eval_shape(Classify(model, 2).init, jax.random.key(0))
  expected, _ = variables.split(shapes, lambda path: path.startswith('params/encoder/'))
  if lines := variables.difference(expected, encoder):
    raise UserError(f"these are not the leaves of the card's model:\n{lines}")
  filled = {
    'format': FORMAT,
    'checksum': safetensors_io.checksum(encoder),
    'har_jax': har_jax.__version__,
    **safetensors_io.INPUT,
  }
  defaults = {'dtype': 'float32', 'normalization': _PHYSICAL if model.stem else _NORMALIZATION}
  return Base({path: jnp.asarray(leaf) for path, leaf in encoder.items()}, {**defaults, **card, **filled})


def save_base(
  folder: str | Place, held: Variables, card: Mapping[str, Any], *, four_bits: bool = False
) -> Base:
  """Writes `make_base`'s base, completely or not at all, and returns it.

  four_bits: round the kernels of its stem and blocks to NF4, for a seventh of the bytes. The base returned
    has the rounded kernels.
  Raises UserError as `make_base` does, and where the files cannot be written.
  """
  base = make_base(held, card)
  written = base.variables
  if four_bits:
    # Without double quantization: a product of two floats is the same on every machine, and so is the
    # checksum.
    written = pack(base.variables)
    base = make_base(unpack(written), base.card)
  safetensors_io.write(storage.place(str(folder)), 'base', written, base.card)
  return base


def load_base(folder: str | Place) -> Base:
  """The base in a folder of `save_base`, or in the folder of a pretraining stage, .../<target>/pretrain.

  Raises UserError where there is neither, or where a base's leaves do not match its card.
  """
  place = storage.place(str(folder))
  if (place / 'base.json').exists():
    return Base(*safetensors_io.read(place, 'base', FORMAT, decode=unpack))
  if (place / 'pretrained.json').exists():
    return _of_pretraining(place)
  raise UserError(
    f'{place} holds no base: neither base.json nor the pretrained.json of a finished pretraining; '
    'launch/lodo.py --stage=pretrain makes <out>/<target>/pretrain'
  )


def bundled_base() -> Base:
  """The base that comes with the package, pretrained on MotionSense, whose license allows redistribution."""
  return load_base(str(_BUNDLED))


def _of_pretraining(folder: Place) -> Base:
  """The base that a stage of `experiments.stages` left in its folder."""
  done = storage.read(folder / 'pretrained.json')
  if not {'identity', 'step', 'history'} <= done.keys():
    raise UserError(
      f'{folder / "pretrained.json"} does not describe a pretraining; delete its folder and run again'
    )
  identity, step = done['identity'], done['step']
  if 'stage' not in identity:
    raise UserError(
      f'{folder / "pretrained.json"} has an older schema than version {SCHEMA_VERSION}; '
      'delete its folder and run again'
    )
  sources = dict(identity['windows'])
  first = identity
  while 'from' in first:  # the stages before it
    first = first['from']
    sources = first['windows'] | sources
  model = config_fields.from_json(config.Model, identity.get('model', first['model']))
  objective = _objective(identity, model)
  (last,) = (entry for entry in done['history'] if entry['step'] == step)
  pretraining: dict[str, Any] = {'stage': identity['stage'], 'steps': step}
  if isinstance(objective, Classify):
    pretraining |= {'validation_macro_f1': last['macro_f1'], 'classes': identity['classes']}
  else:
    pretraining |= {'validation_loss': last['loss']}
  shapes = jax.eval_shape(objective.init, jax.random.key(0))
  card = {
    'model': first['model'],
    'dtype': first['dtype'],
    'sources': [
      {'archive': name, 'license': ARCHIVES[name].license if name in ARCHIVES else 'unknown'}
      | {'checksum': windows['checksum'], 'windows': windows['windows']}
      for name, windows in sources.items()
    ],
    'pretraining': pretraining | {name: identity[name] for name in ('training', 'from') if name in identity},
  }
  return make_base(Checkpoints(folder / 'checkpoints').variables(step, shapes), card)


def _objective(identity: Mapping[str, Any], model: config.Model) -> Objective:
  """The objective of the stage that an identity names."""
  if identity['stage'] == 'supervised':
    return Classify(model, len(identity['classes']))
  return Contrastive(model) if identity['stage'] == 'contrastive' else Reconstruct(model)
