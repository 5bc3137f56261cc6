"""Loading and saving of a recognizer: a base with its own head, or a base and an adapter."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from har_jax import files, storage
from har_jax.errors import UserError
from har_jax.recognizer import parameters, recording_head
from har_jax.recognizer.recording_head import RecordingHead


class Stored(NamedTuple):
  """What a recognizer answers with. adapter: None if a base has no head. options: its parameters."""

  base: files.Base | None
  adapter: files.Adapter | None
  recording_head: RecordingHead | None
  options: Mapping[str, Any]


def load(path: str | os.PathLike[str] | None, base: parameters.Base) -> Stored:
  """Loads what `Recognizer.load` takes. Raises UserError as that does."""
  place = files.BUNDLED if path is None else storage.place(path)
  if not place.exists():
    raise UserError(f'no such folder or file: {path}')
  base = None if base is None else parameters.load_base(base)
  if place.name.endswith('.json'):
    return with_adapter(*files.load_run(place, base))
  if not (place / 'adapter.json').exists():
    if (place / 'continual.json').exists():
      raise UserError(
        f'{place} has no adapter of all domains: give one, such as {place / "domain0"}; '
        'where there is none, run the same `har-jax continual` command to its end'
      )
    if not any((place / name).exists() for name in ('base.json', 'pretrained.json')):
      raise UserError(
        f'{place} has neither an adapter (adapter.json) nor a base (base.json or pretrained.json); give the '
        '--out of har-jax adapt, or the folder of Recognizer.save or har-jax pretrain'
      )
    if base is not None:
      raise UserError(
        'a base goes with an adapter, and none is given: give the folder of the base as the adapter'
      )
    return with_own_head(parameters.load_base(path), place)
  adapter = files.load_adapter(place)
  if base is None and adapter.card.base is not None:
    if (place / 'base.json').exists():
      base = files.load_base(place)
    elif (bundled := files.bundled_base()).checksum == adapter.card.base:
      base = bundled
  return with_adapter(base, adapter)


def with_own_head(base: files.Base, folder: storage.Place | None) -> Stored:
  """A base that answers with its head, if it has one. folder: where its recording head may be."""
  if not (base.classes and base.model.stem):  # a linear embedding needs statistics of the user's windows
    return Stored(base, None, None, {})
  head = None if folder is None else recording_head.load(folder, base)
  return Stored(base, files.head_adapter(base), head, {})


def with_adapter(base: files.Base | None, adapter: files.Adapter) -> Stored:
  card = adapter.card
  options = {name: getattr(card, name) for name in ('method', 'rank', 'alpha')}
  training = {name: getattr(card.training, name) for name in parameters.IN_CARD}
  options |= {name: value for name, value in training.items() if value is not None}
  return Stored(base, adapter, None, options)
