"""Fill the generated tables of docs/formats.md: python docs/formats.py.

Writes one made-up recording as every app exports it, reads each without a flag, and compares them.
"""

import pathlib
import sys
import tempfile

import numpy as np

from har_jax import recordings
from har_jax.config import DEFAULT_WINDOWING
from har_jax.recordings import formats
from har_jax.report import markdown

_ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT / 'tests' / 'recordings'))

import export_base  # noqa: E402
import exports  # noqa: E402  # the writers of the tests

_PAGE = _ROOT / 'docs' / 'formats.md'
_HEADERS = (
  *('export', 'samples', 'largest difference, m/s²', 'rad/s', 'labels'),
  'largest difference, answers',
)


def formats_table() -> str:
  """A row for each format that is read."""
  from tabulate import tabulate

  rows = [(app_format.app, app_format.give) for app_format in formats.FORMATS]
  return tabulate(rows, headers=('app', 'what to give'), tablefmt='github')


def compared_table() -> str:
  """A row for each export: what was read, compared with the recording, and answers with those of the CSV."""
  from tabulate import tabulate

  one = export_base.recording()
  rows, windows = [], {}
  for name, write in exports.WRITERS.items():
    with tempfile.TemporaryDirectory() as folder:
      written = write(pathlib.Path(folder), one)
      reading = recordings.read(written.path)
    (recording,) = reading.recordings
    cut = recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
    windows[name] = np.stack([window.signal for window in cut])
    spans = [(round(span.start_s, 3), round(span.stop_s, 3), span.activity) for span in recording.spans]
    labels = 'none' if written.labels is None else 'found' if spans == list(written.labels) else 'wrong'
    acc = f'{np.abs(recording.acc.values - one.acc).max():.0e}'
    gyro = f'{np.abs(recording.gyro.values - one.gyro).max():.0e}' if reading.has_gyro else 'none'
    rows.append([name, len(recording.acc.time_s), acc, gyro, labels])
  for row, difference in zip(rows, _differences(windows), strict=True):
    row.append(f'{difference:.0e}')
  return tabulate(rows, headers=_HEADERS, tablefmt='github', disable_numparse=True)


def _differences(windows: dict[str, np.ndarray]) -> list[float]:
  """Largest differences to the probabilities of the plain CSV, with a gyroscope only if an export has one."""
  from har_jax import Recognizer

  recognizer = Recognizer.load()
  plain = windows['CSV']
  without = plain.copy()
  without[..., 3:] = 0.0
  signals = np.concatenate([plain, without, *windows.values()])
  all_six, three, *others = np.split(recognizer.predict_proba(signals), len(windows) + 2)
  return [
    float(np.abs(values - (all_six if signal[..., 3:].any() else three)).max())
    for values, signal in zip(others, windows.values(), strict=True)
  ]


if __name__ == '__main__':
  page = _PAGE.read_text(encoding='utf-8')
  for name, table in (('formats', formats_table()), ('compared', compared_table())):
    page = markdown.fill(page, f'python docs/formats.py -->\n<!-- {name}', table)  # a block of each name
  _PAGE.write_text(page, encoding='utf-8')
