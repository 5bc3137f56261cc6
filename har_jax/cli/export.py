"""Export a fitted model to ONNX, LiteRT or StableHLO, or as a page for a phone's browser.

har-jax export my_adapter --format=onnx --out=exports
har-jax export my_adapter --format=onnx,stablehlo --precision=float32,int8
har-jax export my_adapter --format=web --out=page
"""

import itertools

from har_jax.cli import command, user_files
from har_jax.errors import counted

POSITIONAL = ('adapter',)
FLAGS, _define = command.new_flags(with_json=True)
_adapter = user_files.define_adapter(FLAGS)
_FORMAT = _define('format', ['onnx'], 'one or more of litert, onnx, stablehlo, web')
_PRECISION = _define('precision', ['float32'], 'number format of the weights: float32, int8 or both')
_COMPARE_WINDOWS = _define(
  'compare_windows',
  None,
  "one dataset's prepared windows, to compare predictions before and after export. Of a run, only those of "
  'the test subjects are taken (default: compare size and latency only)',
)
_OUT = _define(
  'out', 'exports', 'folder or bucket for <format>-<precision>/, each with a model file and model.json'
)
_OVERWRITE = _define('overwrite', False)


def main() -> dict[str, object]:
  import msgspec

  from har_jax import export, records, storage
  from har_jax.datasets import windows as store
  from har_jax.export import compare
  from har_jax.timeline import recognition

  command.check_choices('format', _FORMAT.value, export.FORMATS)
  command.check_choices('precision', _PRECISION.value, export.PRECISIONS)
  for name in _FORMAT.value:
    export.check_installed(name)  # now, not after the first export
  pairs = list(itertools.product(_FORMAT.value, _PRECISION.value))
  folders = [storage.place(_OUT.value) / '-'.join(pair) for pair in pairs]
  for folder in folders:
    storage.refuse_used(folder, overwrite=_OVERWRITE.value)
  adapter, base = _adapter()
  recognizer = recognition.load(adapter, base)
  if adapter is None:
    print(f'No --adapter: the bundled base recognizes {", ".join(recognizer.classes_)}.')
  recognizer.set_params(tta_shifts=1)  # the exported program has no test-time augmentation
  windows = None
  if _COMPARE_WINDOWS.value:
    place = store.local(storage.place(_COMPARE_WINDOWS.value))
    subjects = None
    if adapter is not None and adapter.endswith('.json'):  # a run's result file
      subjects = storage.read_record(storage.place(adapter), records.Result).data.subjects.test
    windows = compare.labeled_windows(place, recognizer.classes_.tolist(), recognizer.windowing, subjects)
  made = [export.make(recognizer, *pair) for pair in pairs]
  rows = compare.measure(recognizer, made, windows)
  for folder, export_file, row in zip(folders, made, rows, strict=True):
    export.write(folder, export_file, measured=row)
  if windows is not None:
    score, count = rows[0].macro_f1_before, rows[0].windows
    print(
      f'Before export: macro-F1 {score:.4f} on {counted(count or 0, "window")} of {_COMPARE_WINDOWS.value}.'
    )
  print(compare.table(rows))
  print(*folders, sep='\n')
  return {
    'exports': [{'out': folder} | msgspec.to_builtins(row) for folder, row in zip(folders, rows, strict=True)]
  }
