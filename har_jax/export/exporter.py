"""Exports: made, written and read."""

import dataclasses
import hashlib
import importlib.metadata
from typing import Any

import har_jax
from har_jax import config, storage
from har_jax.errors import UserError
from har_jax.export import litert, merged, onnx_graph, stablehlo
from har_jax.export.format import PRECISIONS, Format, Run
from har_jax.files import safetensors_io
from har_jax.inference.recognizer import Recognizer
from har_jax.storage import Place

FORMAT = 'har_jax export 1'
CARD = 'model.json'
FORMATS: dict[str, Format] = {
  each.name: each for each in (litert.LITERT, onnx_graph.ONNX, stablehlo.STABLEHLO)
}
_CHANNELS = tuple(f'{sensor}_{axis}' for sensor in ('acc', 'gyro') for axis in 'xyz')


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Export:
  """A model file's content, and its card."""

  content: bytes
  card: dict[str, Any]

  @property
  def format(self) -> Format:
    return FORMATS[self.card['runtime']]

  def start(self) -> Run:
    """The model in its own runtime, on one thread where that can be said: float32 windows in, probabilities out.

    A call takes as many windows as the card's input shape says. Raises UserError where the runtime is not installed.
    """
    refuse_without(self.format.name)
    return self.format.start(self.content)


def make(recognizer: Recognizer, name: str, precision: str = 'float32') -> Export:
  """An export of a fitted recognizer in the format `name`.

  Adapters are merged and products are float32's, so that a recognizer trained in bfloat16 differs by that rounding. With int8,
  LiteRT and ONNX quantize activations too, as they come; StableHLO holds kernels in int8 and multiplies in float32.
  Raises UserError: an unknown format or precision, a package that is not installed.
  """
  if name not in FORMATS:
    raise UserError(f'unknown format {name!r}; one of {", ".join(FORMATS)}')
  if precision not in PRECISIONS:
    raise UserError(f'unknown precision {precision!r}; one of {", ".join(PRECISIONS)}')
  refuse_without(name)
  model, chosen = merged.merge(recognizer), FORMATS[name]
  content, adapter = chosen.build(model, precision), recognizer.adapter_.card
  windows = 'any number' if precision in chosen.together else 1
  return Export(
    content,
    {
      'format': FORMAT,
      'runtime': name,
      'precision': precision,
      'file': chosen.file,
      'checksum': hashlib.sha256(content).hexdigest(),
      'classes': list(model.classes),
      'input': {
        'name': 'signal',
        'dtype': 'float32',
        'shape': [windows, config.WINDOW_SAMPLES, config.CHANNELS],
        'channels': list(_CHANNELS),
        **safetensors_io.INPUT,
        'gravity': 'included',
        'rotation': 'heeded' if recognizer.has_gyro else 'not heeded: any values do',
        'normalized': 'within the model',
      },
      'output': {
        'name': 'probabilities',
        'dtype': 'float32',
        'shape': [windows, len(model.classes)],
        'of': 'the classes, in their order',
      },
      'adapter': {entry: adapter.get(entry) for entry in ('checksum', 'base', 'method', 'metrics')},
      'model': adapter['model'],
      'temperature': model.temperature,
      'normalizer': adapter['normalizer'],
      'made_with': {'har_jax': har_jax.__version__}
      | {package: importlib.metadata.version(package) for package in ('jax', 'flax', *chosen.needs)},
    },
  )


def write(folder: str | Place, export: Export, **also: Any) -> None:
  """Model and card, both or neither; `also` goes into the card. Raises UserError where they cannot be written."""
  contents = {export.card['file']: export.content, CARD: safetensors_io.to_text(export.card | also)}
  safetensors_io.write_files(storage.place(str(folder)), contents)


def load(folder: str | Place) -> Export:
  """Raises UserError where there is none, and where the model is not the card's."""
  place = storage.place(str(folder))
  card = safetensors_io.read_card(place / CARD, FORMAT)
  path = place / card['file']
  try:
    content = path.read_bytes()
  except OSError as error:
    raise UserError(f'{path} cannot be read: {error.strerror or error}; export again') from error
  if (held := hashlib.sha256(content).hexdigest()) != card['checksum']:
    raise UserError(
      f'{path} is damaged, or not of the card beside it: its checksum is {held}, and the card says {card["checksum"]}; export again'
    )
  return Export(content, card)


def refuse_without(name: str) -> None:
  """Raises UserError where a package that the format needs is not installed."""
  if missing := [package for package in FORMATS[name].needs if not _is_installed(package)]:
    raise UserError(
      f"{name} needs {', '.join(missing)}: pip install 'har_jax[export-{name}]', or run make export-env"
    )


def _is_installed(package: str) -> bool:
  try:
    importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return False
  return True
