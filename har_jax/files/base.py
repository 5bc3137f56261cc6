"""A pretrained encoder as a file."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import msgspec

import har_jax
from har_jax import config, config_fields, methods, records, storage, variables
from har_jax.archives import ARCHIVES
from har_jax.errors import UserError, shorten
from har_jax.files import safetensors_io
from har_jax.storage import Place
from har_jax.train.objective import Classify, Objective, Reconstruct, encoder_shapes, initial_shapes
from har_jax.variables import Variables

BUNDLED = pathlib.Path(har_jax.__file__).parent / 'assets' / 'base'
_NORMALIZATION = (
  'each dataset by its own training part: one mean and one standard deviation per sensor, over its three axes'
)
_PHYSICAL = 'acceleration in g, rotation in rad/s; no statistics of a dataset'  # what a stem takes


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Base:
  """A pretrained encoder's leaves, params/encoder/..., its head's if it has one, and a card.

  Immutable: adapters refer to its checksum.
  """

  variables: Variables
  card: records.Base

  @property
  def encoder(self) -> Variables:
    return variables.split(self.variables, _in_encoder)[0]

  @property
  def classes(self) -> tuple[str, ...]:
    """What its head predicts without adaptation; none: it has no head."""
    return tuple(self.card.classes)

  def head_for(self, classes: Sequence[Any]) -> Callable[[Variables], Variables] | None:
    """`methods.prepare`'s `head`: this base's head, arranged for other classes. None: it has no head."""
    if not self.classes:
      return None
    head = variables.split(self.variables, _in_encoder)[1]
    return lambda drawn: methods.arrange_head(head, drawn, self.classes, classes)

  @property
  def checksum(self) -> str:
    return self.card.checksum

  @property
  def model(self) -> config.Model:
    """The encoder's model. Its head is the default one where the card has no classes."""
    return self.card.model

  def __repr__(self) -> str:
    return f'Base({self.checksum[:12]}, {variables.count(self.variables)} weights)'

  def __deepcopy__(self, _: Any) -> 'Base':
    return self  # scikit-learn copies the parameters of an estimator for each fold


def make_base(leaves: Variables, card: Mapping[str, Any] | records.Base) -> Base:
  """A base of the encoder among some variables, and of the head if the card has classes.

  card: another base's, or entries: `model` is required; `classes`, `sources`, `normalization`, `signals` and
    `pretraining` are optional. Checksum, format and version are filled in.
  Raises UserError for an entry that is not valid, and if the leaves do not fit the model, and lists them.
  """
  filled = {**records.to_json(card), 'har_jax': har_jax.__version__}
  checked = records.check(filled, records.Base, 'the card', to_do='give others')
  shapes = initial_shapes(Classify(checked.model, len(checked.classes) or 2))
  stored, expected = (
    side if checked.classes else variables.split(side, _in_encoder)[0] for side in (dict(leaves), shapes)
  )
  if lines := variables.difference(expected, stored):
    raise UserError(f"these are not the leaves of the card's model:\n{lines}")
  made = safetensors_io.input_entries(checked.model.windowing) | {
    'checksum': safetensors_io.checksum(stored),
    'normalization': checked.normalization or (_PHYSICAL if checked.model.stem else _NORMALIZATION),
  }
  return Base(jax.device_put(stored), msgspec.structs.replace(checked, **made))


def prepare(
  base: Base | None,
  objective: Classify,
  method: methods.Method,
  settings: methods.Settings,
  seed: int,
  *,
  classes: Sequence[Any] | None = None,
) -> methods.Prepared:
  """`methods.prepare` on a base, or on none. classes: of a head that starts from the base's; None: drawn."""
  return methods.prepare(
    objective.init,
    method,
    settings,
    seed,
    shapes=encoder_shapes(objective.model),
    init_new=objective.init_new,
    pretrained=None if base is None else base.encoder,
    head=None if base is None or classes is None else base.head_for(classes),
  )


def save_base(
  folder: str | Place, leaves: Variables, card: Mapping[str, Any] | records.Base, *, four_bits: bool = False
) -> Base:
  """Writes `make_base`'s base, completely or not at all, and returns it.

  four_bits: round the kernels of its stem and blocks to NF4, for a seventh of the bytes. The base returned
    has the rounded kernels.
  Raises UserError as `make_base` does, and where the files cannot be written.
  """
  base = make_base(leaves, card)
  written = base.variables
  if four_bits:
    # Without double quantization: a product of two floats is the same on every machine, and so is the
    # checksum.
    written = methods.pack(base.variables)
    base = make_base(methods.unpack(written), base.card)
  safetensors_io.write(storage.place(folder), 'base', written, base.card)
  return base


def load_base(folder: str | Place) -> Base:
  """The base in a folder of `save_base`, or in the folder of a pretraining stage, .../<target>/pretrain.

  Raises UserError where there is neither, where leaves and card do not match, or the card is not valid.
  """
  place = storage.place(folder)
  if (place / 'base.json').exists():
    leaves, card = safetensors_io.read(place, 'base', records.Base)
    try:
      unpacked = methods.unpack_on_host(leaves)
    except Exception as error:  # of leaves that are missing or have other shapes and types
      raise UserError(
        f'{place}: its kernels in four bits cannot be unpacked ({shorten(error)}); '
        f'{safetensors_io.MAKE_AGAIN}'
      ) from error
    return Base(jax.device_put(unpacked), card)
  if (place / 'pretrained.json').exists():
    return _load_pretraining(place)
  raise UserError(
    f'{place} holds no base: neither base.json nor the pretrained.json of a finished pretraining; '
    'har-jax lodo --phase=pretrain makes <out>/<target>/pretrain'
  )


def bundled_base() -> Base:
  """The base that comes with the package, made of recordings whose licenses allow redistribution."""
  return load_base(str(BUNDLED))


def _in_encoder(path: str) -> bool:
  return path.startswith('params/encoder/')


def _load_pretraining(folder: Place) -> Base:
  """The base that a stage of `experiments.stages` left in its folder."""
  from har_jax.train.checkpoint import Checkpoints  # late: it imports Orbax

  path, to_do = folder / 'pretrained.json', 'delete its folder and run again'
  done = storage.read_record(path, records.Stage, to_do=to_do)
  identity, first = done.identity, done.identity.stages[0]
  if not isinstance(first, records.Pretraining):
    raise UserError(f'{path}: its first stage has no model; {to_do}')
  pretraining = {'stage': identity.name, 'steps': done.step, 'dtype': first.dtype}
  if isinstance(identity, records.Supervised):
    model, classes = identity.model, identity.classes
    objective: Objective = Classify(model, len(classes))
    pretraining['validation_macro_f1'] = done.validated.macro_f1
  else:
    model, classes = first.model.with_head, []
    objective = Reconstruct(model)
    pretraining['validation_loss'] = done.validated.loss
  # They say how the base was made, and nothing is computed from them.
  entries = msgspec.to_builtins(identity)
  pretraining |= {name: entries[name] for name in ('training', 'from') if name in entries}
  sources = {name: windows for stage in identity.stages for name, windows in stage.windows.items()}
  card = {
    'classes': classes,
    'model': config_fields.to_json(model),
    'sources': [
      {'archive': name, 'license': ARCHIVES[name].license if name in ARCHIVES else 'unknown'}
      | {'checksum': windows.checksum, 'windows': windows.windows}
      for name, windows in sources.items()
    ],
    'pretraining': pretraining,
  }
  shapes = initial_shapes(objective)
  return make_base(Checkpoints(folder / 'checkpoints').variables(done.step, shapes), card)
