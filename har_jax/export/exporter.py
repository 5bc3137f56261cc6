"""Makes, writes and reads exports."""

import dataclasses
import importlib.metadata
from typing import Any

import msgspec

import har_jax
from har_jax import config, records, runtime, storage
from har_jax.errors import UserError
from har_jax.export import litert, merged, onnx_graph, stablehlo, web
from har_jax.export.format import PRECISIONS, Format, Run
from har_jax.files import Adapter, safetensors_io
from har_jax.recognizer.recognizer import Recognizer
from har_jax.signal.cutting import MAX_GAP_S
from har_jax.storage import Place
from har_jax.timeline.bouts import MEAN_BOUT_S

CARD = 'model.json'
FORMATS: dict[str, Format] = {
  export_format.name: export_format
  for export_format in (litert.LITERT, onnx_graph.ONNX, stablehlo.STABLEHLO, web.WEB)
}
_CHANNELS = tuple(f'{sensor}_{axis}' for sensor in ('acc', 'gyro') for axis in 'xyz')


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Export:
  """The content of a model file, and its card. adapter: None if it was loaded."""

  content: bytes
  card: records.Export
  adapter: Adapter | None = None

  @property
  def format(self) -> Format:
    return FORMATS[self.card.runtime]

  def start(self) -> Run:
    """The model as a function of float32 windows, loaded into its runtime; on one thread if that can be set.

    A call takes as many windows as the card's input shape says. Raises UserError without the runtime.
    """
    check_installed(self.format.name)
    return self.format.start(self.content)


def make(recognizer: Recognizer, name: str, precision: str = 'float32') -> Export:
  """Exports a fitted recognizer in the format `name`.

  Adapters are merged. Products are in float32: a recognizer trained in bfloat16 differs by rounding.
  int8: LiteRT and ONNX also quantize activations, dynamically. StableHLO multiplies in float32.
  Raises UserError on an unknown format or precision, and if a package is not installed.
  """
  if name not in FORMATS:
    raise UserError(f'unknown format {name!r}; one of {", ".join(FORMATS)}')
  if precision not in PRECISIONS:
    raise UserError(f'unknown precision {precision!r}; one of {", ".join(PRECISIONS)}')
  check_installed(name)
  model, target = merged.merge(recognizer), FORMATS[name]
  content, adapter = target.build(model, precision), recognizer.adapter_.card
  # Sets of a base's own answers cover too little (timeline.predictions).
  has_sets = recognizer.recording_head_ is None
  windows, windowing = 'any number' if precision in target.batched else 1, recognizer.windowing
  return Export(
    content,
    records.Export(
      runtime=name,
      precision=precision,
      file=target.file,
      classes=list(model.classes),
      input=records.ExportInput(
        name='signal',
        dtype='float32',
        shape=[windows, windowing.samples, config.CHANNELS],
        channels=list(_CHANNELS),
        rate_hz=windowing.rate_hz,
        window=windowing.samples,
        units=safetensors_io.UNITS,
        gravity='included',
        rotation='used' if recognizer.has_gyro else 'ignored',
        normalization='in the model',
      ),
      output=records.ExportOutput(
        name='probabilities',
        dtype='float32',
        shape=[windows, len(model.classes)],
        values='one per class, in the order of `classes`',
      ),
      stream={'hop_s': windowing.step_s, 'mean_bout_s': MEAN_BOUT_S, 'max_gap_s': MAX_GAP_S},
      signals=recognizer.signals,
      adapter=records.ExportedAdapter(
        checksum=adapter.checksum, base=adapter.base, method=adapter.method, metrics=adapter.metrics
      ),
      model=adapter.model,
      temperature=model.temperature,
      class_logits=adapter.class_logits,
      adaptation_temperature=adapter.adaptation_temperature,
      set_scores=adapter.set_scores if has_sets else None,
      normalizer=adapter.normalizer,
      made_with={'har_jax': har_jax.__version__}
      | {package: importlib.metadata.version(package) for package in ('jax', 'flax', *target.needs)},
    ),
    recognizer.adapter_ if has_sets else recognizer.adapter_.with_card(set_scores=None),
  )


def write(folder: str | Place, export: Export, **extra: Any) -> None:
  """Writes model, card and the extra files of its format, all or nothing, with `extra` in the card.

  Raises UserError if it cannot.
  """
  card = msgspec.structs.replace(export.card, **extra)
  files = {card.file: export.content}
  described = files | {CARD: safetensors_io.to_text(records.to_json(card))}
  if (adapter := export.adapter) is not None:
    described['adapter.safetensors'] = safetensors_io.to_bytes(adapter.variables)
    described['adapter.json'] = safetensors_io.to_text(records.to_json(adapter.card))
  extra_files = export.format.extra_files(described)
  safetensors_io.write_files(folder, safetensors_io.with_card({**extra_files, **files}, CARD, card))


def load(folder: str | Place) -> Export:
  """Loads an export. Raises UserError if there is none, or if it is damaged."""
  place = storage.place(folder)
  card, expected = storage.read_card(place / CARD, records.Export, to_do=safetensors_io.MAKE_AGAIN)
  file = card.file
  return Export(storage.read_file(place / file, expected.get(file), to_do='export again'), card)


def check_installed(name: str) -> None:
  """Raises UserError if a package or a page that the format needs is missing."""
  needs = FORMATS[name].needs
  if missing := [package for package in needs if runtime.version(package) is None]:
    extra = next(other for other in FORMATS if FORMATS[other].needs == needs)  # a page has an ONNX model
    raise UserError(
      f"{name} needs {', '.join(missing)}: pip install 'har_jax[export-{extra}]', or run make export-env"
    )
  FORMATS[name].extra_files({})
