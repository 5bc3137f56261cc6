"""A fitted recognizer for other runtimes: python launch/export.py --adapter=<folder or seed0.json> --format=onnx --windows=windows/hapt.

--adapter is a folder of Recognizer.save, or the result file of a run of launch/lodo.py.
"""

import io
import sys

from absl import flags

from har_jax.cli import command
from har_jax.errors import UserError

_ADAPTER = flags.DEFINE_string(
  'adapter', None, "what to export: a folder with adapter.json, or a run's seed<k>.json"
)
_BASE = flags.DEFINE_string(
  'base', None, 'folder of the base that it adapts, where it does not lie beside it'
)
_FORMAT = flags.DEFINE_list('format', ['onnx'], 'one or more of litert, onnx, stablehlo')
_PRECISION = flags.DEFINE_list('precision', ['float32'], 'how weights are held: float32, int8 or both')
_WINDOWS = flags.DEFINE_string(
  'windows',
  None,
  "an archive's folder of windows to compare on: of a run, those of its test subjects (default: size and latency alone)",
)
_OUT = flags.DEFINE_string(
  'out', 'exports', 'folder or bucket for <format>-<precision>/, each with a model file and model.json'
)


def main() -> None:
  if _ADAPTER.value is None:
    raise UserError("what to export? --adapter= a folder with adapter.json, or a run's seed<k>.json")
  from har_jax import export, storage
  from har_jax.data import windows as store
  from har_jax.export import compare
  from har_jax.inference.recognizer import Recognizer

  for name in _FORMAT.value:
    if name not in export.FORMATS:
      raise UserError(f'--format={name}: one or more of {", ".join(export.FORMATS)}')
    export.refuse_without(name)  # now, not after the first export
  for precision in _PRECISION.value:
    if precision not in export.PRECISIONS:
      raise UserError(f'--precision={precision}: one or both of {", ".join(export.PRECISIONS)}')
  recognizer = Recognizer.load(_ADAPTER.value, base=_BASE.value)
  if not hasattr(recognizer, 'classes_'):
    raise UserError(
      f'{_ADAPTER.value} is a base, which tells nothing yet: fit a Recognizer on it, and save that'
    )
  recognizer.set_params(tta_shifts=1)  # as what is exported: compared alike
  windows = None
  if _WINDOWS.value:
    place = store.local(storage.place(_WINDOWS.value))
    windows = compare.labeled(place, recognizer.classes_.tolist(), _test_subjects(_ADAPTER.value))
  made = [
    export.make(recognizer, name, precision) for name in _FORMAT.value for precision in _PRECISION.value
  ]
  rows = compare.measure(recognizer, made, windows)
  folders = [storage.place(_OUT.value) / f'{each.card["runtime"]}-{each.card["precision"]}' for each in made]
  for folder, each, row in zip(folders, made, rows, strict=True):
    export.write(folder, each, measured=row)
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='replace')  # a terminal without Δ still gets its table
  if windows is not None:
    score, count = rows[0]['macro_f1_unexported'], rows[0]['windows']
    print(f'Before export: macro-F1 {score:.4f} on {count} windows of {_WINDOWS.value}.')
  print(compare.table(rows))
  print(*folders, sep='\n')


def _test_subjects(adapter: str) -> list[str] | None:
  """Whom a run was tested on. An adapter's folder names nobody."""
  from har_jax import storage

  if not adapter.endswith('.json'):
    return None
  return storage.read(storage.place(adapter))['data']['subjects']['test']


if __name__ == '__main__':
  command.run(main)
