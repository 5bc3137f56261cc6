"""An adapter as a file: what the method trained, head, statistics, and what a prediction needs besides.

The base is referred to by its checksum, so that an adapter is never put on another one.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import msgspec
import numpy as np

import har_jax
from har_jax import config, config_fields, methods, records, storage, variables
from har_jax.baselines import BASELINES, Baseline
from har_jax.datasets.normalization import PHYSICAL, Normalizer
from har_jax.errors import UserError
from har_jax.files import baseline_adapter, safetensors_io
from har_jax.files.base import Base
from har_jax.methods import Method, Settings
from har_jax.storage import Place
from har_jax.train.objective import Classify, initial_shapes
from har_jax.variables import Variables, collection

_REQUIRED = [field.name for field in msgspec.structs.fields(records.Adapter) if field.required]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Adapter:
  """The leaves that differ from the base, and a card.

  baseline: what answers instead of a network. The leaves are then its training windows (`baseline_adapter`).
  """

  variables: Variables
  card: records.Adapter
  baseline: Baseline | None = None

  @property
  def method(self) -> Method:
    """Raises UserError where the card names another, or a baseline."""
    self.refuse_baseline()
    return methods.find(self.card.method)

  def refuse_baseline(self) -> None:
    """Raises UserError if the adapter is that of a baseline."""
    if self.card.method in BASELINES:
      raise UserError(
        f'{self.card.method} is a baseline: it has no weights to export, to correct or to train further, and '
        'no features by which to refuse unknown activities. Adapt with the method linear, or another one'
      )

  @property
  def settings(self) -> Settings:
    card = self.card
    return Settings(card.lora, card.precision, card.methods, card.model.depth)

  @property
  def objective(self) -> Classify:
    """The model that predicts.

    Adapters with equal model, classes and precision share one compiled program.
    """
    return Classify(self.card.model, len(self.card.classes), self.card.precision)

  @property
  def normalizer(self) -> Normalizer:
    return Normalizer(np.array(self.card.normalizer.mean), np.array(self.card.normalizer.deviation))

  @property
  def is_fitted_at_once(self) -> bool:
    """Returns whether its head, or its baseline, was fitted to all windows at once, rather than in steps."""
    return self.baseline is not None or not self.card.model.head

  def with_card(self, **entries: Any) -> 'Adapter':
    """The same adapter, with these entries of its card replaced."""
    return dataclasses.replace(self, card=msgspec.structs.replace(self.card, **entries))

  def __repr__(self) -> str:
    return f'Adapter({self.card.method}, {", ".join(map(str, self.card.classes))})'


def leaves_of(method: Method, settings: Settings, adapted: Variables) -> Variables:
  """Variables of an adapted model that the base cannot reproduce.

  These are the method's collections (except for those that it rebuilds from the base), the head and the
  statistics. Every other leaf that the method trains is one, too.
  """
  stored = {*method.collections, 'batch_stats'}.difference(method.rebuilt)
  return {
    path: leaf
    for path, leaf in adapted.items()
    if collection(path) in stored or methods.in_head(path) or method.trains(path, settings)
  }


def make_adapter(base: Base | None, adapted: Variables, card: Mapping[str, Any] | records.Adapter) -> Adapter:
  """The adapter of an adapted model: the `leaves_of` it.

  base: None for a method that starts from scratch.
  adapted: of a baseline, the leaves of `baseline_adapter`.
  card: another adapter's, or entries: method, rank, alpha, targets, model, precision, classes and normalizer
    are required.
  Raises UserError for an entry that is missing or not valid, for variables that do not fit the method, and
  for a missing base.
  """
  entries = records.to_json(card)
  if missing := [name for name in _REQUIRED if name not in entries]:
    raise UserError(f'the card lacks {", ".join(missing)}')
  is_baseline = entries['method'] in BASELINES
  has_base = is_baseline or methods.find(entries['method']).pretrained
  if has_base and base is None:
    raise UserError(f'{entries["method"]} adapts a base; give the one it was trained on')
  checksum = base.checksum if base is not None and has_base else None
  filled = {'base': checksum, 'har_jax': har_jax.__version__}
  adapter = Adapter({}, records.check(entries | filled, records.Adapter, 'the card', to_do='give others'))
  if is_baseline:
    leaves = adapted
  else:
    _check_variables(adapter, adapted)
    leaves = leaves_of(adapter.method, adapter.settings, adapted)
  inputs = safetensors_io.input_entries(adapter.card.model.windowing)
  complete = adapter.with_card(checksum=safetensors_io.checksum(leaves), **inputs)
  return _complete(jax.device_put(leaves), complete.card)


def method_entries(method: str, settings: Settings, model: config.Model) -> dict[str, object]:
  """A card's entries on method and model."""
  return {
    'method': method,
    **config_fields.to_json(settings.lora),
    'methods': config_fields.to_json(settings.methods),
    'model': config_fields.to_json(model),
    'precision': config_fields.to_json(settings.precision),
  }


def head_adapter(base: Base) -> Adapter:
  """The base's own head as an adapter, so that it predicts without any label of the user."""
  card = {
    **method_entries('probe', Settings(depth=base.model.depth), base.model),
    'classes': list(base.classes),
    'normalizer': {'mean': PHYSICAL.mean.tolist(), 'deviation': PHYSICAL.deviation.tolist()},
    'signals': base.card.signals,
    'temperature': base.card.temperature,
    'class_logits': base.card.class_logits,
    'adaptation_temperature': base.card.temperature,
    'set_scores': base.card.set_scores,
  }
  return make_adapter(base, base.variables, card)


def attach(base: Base | None, adapter: Adapter) -> Variables:
  """The adapted model's variables, for the adapter's `objective`. Many adapters can share one base.

  Rebuilt collections, such as QLoRA's kernels, are computed from the base again, to the same bytes as in
  training. `methods.merge` folds the adapter into the kernels; to undo it, attach again.
  Raises UserError where the adapter belongs to another base (with both checksums), or where a leaf is
  missing.
  """
  check_base(base, adapter)
  if adapter.baseline is not None:
    return adapter.variables
  method = adapter.method
  pretrained = base.encoder if base is not None and method.pretrained else {}
  plain = {
    path: leaf for path, leaf in adapter.variables.items() if collection(path) in methods.MODEL_COLLECTIONS
  }
  adapted = method.adapt(pretrained | plain, adapter.settings, jax.random.key(0))
  # Not the leaves just drawn: one that is missing from the file must be an error.
  drawn = set(method.collections).difference(method.rebuilt)
  variables_before = {
    path: leaf for path, leaf in adapted.items() if collection(path) not in drawn
  } | adapter.variables
  _check_variables(adapter, variables_before)
  return variables_before


def save_adapter(folder: str | Place, adapter: Adapter, base: Base | None = None) -> None:
  """Writes it, and the base if one is given, completely or not at all; other files stay.

  Raises UserError where they cannot be written.
  """
  files = {} if base is None else safetensors_io.contents_of('base', base.variables, base.card)
  files |= safetensors_io.contents_of('adapter', adapter.variables, adapter.card)
  safetensors_io.write_files(folder, files)


def load_adapter(folder: str | Place) -> Adapter:
  """Raises UserError where there is none, and where it is damaged. `attach` compares leaves and model.

  A baseline is fitted, which takes a second, or some.
  """
  place = storage.place(folder)
  return _complete(*safetensors_io.read(place, 'adapter', records.Adapter))


def _complete(leaves: Variables, card: records.Adapter) -> Adapter:
  """The adapter with its baseline, if it is that of one."""
  is_baseline = card.method in BASELINES
  return Adapter(leaves, card, baseline_adapter.fit(card, leaves) if is_baseline else None)


def check_base(base: Base | None, adapter: Adapter) -> None:
  """Raises UserError where the adapter was trained on another base."""
  expected = adapter.card.base
  if expected is None:
    return
  if base is None or base.checksum != expected:
    given = 'give it' if base is None else f'the base given has checksum {base.checksum}'
    raise UserError(f'the adapter needs the base with checksum {expected}; {given}')


def _check_variables(adapter: Adapter, leaves: Variables) -> None:
  expected = expected_shapes(adapter.objective, adapter.method, adapter.settings)
  if lines := variables.difference(expected, leaves):
    raise UserError(f"these are not the variables of {adapter.method.name} for the card's model:\n{lines}")
  means, width = adapter.card.class_means, adapter.objective.hidden_width
  if means is not None and len(means[0]) != width:
    raise UserError(f'class_means has rows of {len(means[0])} numbers; the output layer has {width} inputs')


@functools.lru_cache(maxsize=32)
def expected_shapes(objective: Classify, method: Method, settings: Settings) -> Variables:
  """The shapes of an adapted model's variables."""

  def adapted(drawn: Variables) -> Variables:
    return methods.prepare(lambda _: drawn, method, settings, 0).variables

  return jax.eval_shape(adapted, initial_shapes(objective))
