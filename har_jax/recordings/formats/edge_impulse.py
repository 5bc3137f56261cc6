"""Edge Impulse: one sample a file (CSV, JSON, CBOR), its label in the file's name or in info.labels."""

import dataclasses
import json

import numpy as np

from har_jax.errors import UserError, require, shorten
from har_jax.recordings import tables
from har_jax.recordings.files import File, Files
from har_jax.recordings.formats.export import Export, export_single
from har_jax.recordings.opening import is_table, open_table
from har_jax.recordings.tables import Table, border, printable

APP = 'Edge Impulse'
COLUMNS = 'timestamp, accX, accY, accZ, gyrX, gyrY, gyrZ'
SUFFIXES = ('.json', '.cbor')
_INFO = 'info.labels'
_MAX_SAMPLE = 256 << 20


def find(files: Files) -> list[Export]:
  """A sample, or all samples that a dataset's info.labels lists. Raises UserError for a damaged one."""
  labels = _labels(files.by_name[_INFO]) if _INFO in files.by_name else {}
  if files.single is not None:
    return _sample(files, labels)
  listed = [files.by_name[path] for path in labels if path in files.by_name]
  return [export for file in listed for export in _sample(files.only(file), labels)]


def _labels(file: File) -> dict[str, str]:
  """The label of each path; '' if it has none."""
  with border(file.path, f'list of labels of {APP}'):
    entries = json.loads(file.text(64 << 20))['files']
    labels = {str(entry['path']): entry.get('label') or '' for entry in entries}
    # A text, or {"type": "label", "label": "walk"}, or {"type": "unlabeled"}.
    return {
      path: str(label.get('label', '') if isinstance(label, dict) else label)
      for path, label in labels.items()
    }


def _sample(files: Files, labels: dict[str, str]) -> list[Export]:
  file = files.single
  assert file is not None
  parts = file.name.split('.')
  listed = next((text for path, text in labels.items() if files.by_name.get(path) == file), None)
  if file.suffix in SUFFIXES:
    table = _table(file)
  else:
    table = open_table(file) if is_table(file) else None
    if table is not None and (table.names[0].lower() != 'timestamp' or table.xyz('acc') is None):
      return []
  if table is None:
    return []
  # walk.2f3a.csv is a sample with a label; day.csv is any file.
  is_labeled = file.suffix in SUFFIXES or (len(parts) > 2 and parts[-1] == 'csv')
  activity = printable(listed if listed is not None else parts[0] if is_labeled else '')
  source = f"{APP}'s {_INFO}" if listed is not None else "the file's name, as in Edge Impulse"
  notes = (f'The label of the whole recording is {shorten(activity)}, from {source}.',) if activity else ()
  # Samples of one label differ after the first dot.
  files, table = dataclasses.replace(files, name=file.stem), dataclasses.replace(table, time=0)
  return export_single(files, table, APP, activity=activity, notes=notes)


def _table(file: File) -> Table | None:
  """None if it is other JSON or CBOR."""
  with border(file.path, f'{file.suffix[1:].upper()} file', (Exception,)):  # CBOR has its own
    data = file.bytes(_MAX_SAMPLE)
    if file.suffix == '.json':
      content = json.loads(data)
    else:
      install = "pip install 'har_jax[formats]', or export the samples as CSV or JSON"
      require('cbor2', f'{file.path} needs cbor2: {install}')
      import cbor2

      content = cbor2.loads(data)
    payload = content.get('payload') if isinstance(content, dict) else None
    if not isinstance(payload, dict) or 'sensors' not in payload:
      return None
  with border(file.path, f'sample of {APP}'):
    interval_ms = float(payload['interval_ms'])
    values = np.array(payload['values'], np.float64)
    units = [sensor.get('units', '') for sensor in payload['sensors']]
    names = [str(sensor['name']) for sensor in payload['sensors']]
    names = [f'{name} ({unit})' if unit else name for name, unit in zip(names, units, strict=True)]
    if values.ndim != 2 or values.shape[1] != len(names):
      raise ValueError(f'values of shape {values.shape} for {len(names)} sensors')
  if not 0.01 < interval_ms < 10_000:
    raise UserError(f'{file.path} has interval_ms {interval_ms:g}; it must be the milliseconds between rows')
  import pandas as pd

  frame = pd.DataFrame(values, columns=names)
  frame.insert(0, 'timestamp (ms)', np.arange(len(values)) * interval_ms, allow_duplicates=True)
  return tables.make_table(file.path, frame)
