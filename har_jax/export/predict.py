"""Recognizes the activities of a recording with NumPy and ONNX Runtime alone.

pip install numpy onnxruntime
python predict.py day.csv --time=ns --acc=g --gyro=deg/s --out=windows.csv

The recording has a header and seven columns, in this order: time, acceleration x, y, z with gravity, angular
velocity x, y, z. `har-jax export` writes this file next to model.onnx and model.json.
n samples, w windows, y classes.
"""

import argparse
import csv
import functools
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

_UNITS = {
  'time': {'s': 1.0, 'ms': 1e-3, 'us': 1e-6, 'ns': 1e-9},
  'acc': {'m/s2': 1.0, 'g': 9.80665},
  'gyro': {'rad/s': 1.0, 'deg/s': np.pi / 180},
}
_COVERAGE = 0.9  # of prediction sets
_LOBES, _KAISER_BETA = 10, 5.0  # of the filter, as in scipy.signal.resample_poly
_MAX_BURST, _TOO_SLOW, _HOLE_STEPS = 10.0, 0.01, 2.0  # as in har_jax/signal/cutting.py
_ITERATIONS, _PRIOR_WINDOWS, _TINY = 5, 3.0, 1e-30  # as in har_jax/recognizer/recording_adaptation.py


def read(path: str, scales: list[float]) -> np.ndarray:
  """[n, 7]: rising seconds, m/s² and rad/s. Ends with a sentence if the recording cannot be used."""
  try:
    with open(path, encoding='utf-8-sig') as file:
      if (count := file.readline().count(',') + 1) != len(scales):
        sys.exit(f'{path} has {count} columns; give time, acceleration x, y, z, angular velocity x, y, z')
      rows = np.loadtxt(file, delimiter=',', ndmin=2) * scales
  except (OSError, ValueError) as error:
    sys.exit(f'{path}: {error}; give a CSV of numbers, with a header')
  rows = rows[np.isfinite(rows).all(axis=1)]
  if (np.diff(rows[:, 0]) < 0).any():
    sys.exit(f'{path}: time falls after {rows[np.argmax(np.diff(rows[:, 0]) < 0), 0]} s; sort the rows')
  rows = rows[np.diff(rows[:, 0], prepend=-np.inf) > 0]  # the first of each time
  if len(rows) < 2:
    sys.exit(f'{path} has fewer than two rows of numbers at different times')
  lengths = np.linalg.norm(rows[:, 1:].reshape(-1, 2, 3), axis=2)
  acc, gyro = np.median(lengths[:, 0]), np.quantile(lengths[:, 1], 0.95)  # at rest, the median is 0
  if not 7 < acc < 13:
    sys.exit(f'{path}: acceleration is {acc:.1f} m/s² long; gravity alone is 9.8. Is --acc its unit?')
  if gyro > 30:
    sys.exit(f'{path}: angular velocity is {gyro:.0f} rad/s, too fast for people. Is --gyro its unit?')
  return rows - [rows[0, 0], 0, 0, 0, 0, 0, 0]


def windows(rows: np.ndarray, card: dict[str, Any]) -> Iterator[tuple[float, np.ndarray]]:
  """Start and samples [samples, 6] of windows without a gap, resampled to the model's rate."""
  to_hz, samples, stream = card['input']['rate_hz'], card['input']['window'], card['stream']
  for piece in np.split(rows, np.flatnonzero(np.diff(rows[:, 0]) > stream['max_gap_s']) + 1):
    last = (piece[-1, 0] - piece[0, 0]) * to_hz + 1e-3 - (samples - 1)  # the latest window's first sample
    if last >= 0:
      from_hz, even = _even(piece)
      for begin in range(0, int(last) + 1, round(stream['hop_s'] * to_hz)):
        first, phase = divmod(begin * from_hz, to_hz)
        grid, weights = _resampling(from_hz, to_hz, samples, phase)
        inside = (first + grid).clip(0, len(even) - 1)
        beyond = (first + grid - inside)[:, None] * (even[-1] - even[0]) / (len(even) - 1)  # along a line
        yield piece[0, 0] + begin / to_hz, weights @ (even[inside] + beyond)


def _even(piece: np.ndarray) -> tuple[int, np.ndarray]:
  """A whole rate near the piece's, and its six axes at it: the curve of modified Akima, lines over holes."""
  time_s, values = piece[:, 0], piece[:, 1:]
  median_hz, mean_hz = 1 / np.median(np.diff(time_s)), (len(time_s) - 1) / (time_s[-1] - time_s[0])
  if median_hz > _MAX_BURST * mean_hz:
    time_s, median_hz = np.linspace(time_s[0], time_s[-1], len(time_s)), mean_hz
  rate_hz = max(round(median_hz), int(np.ceil((1 - _TOO_SLOW) * median_hz)))
  grid_s = time_s[0] + np.arange(int((time_s[-1] - time_s[0]) * rate_hz + 1e-3) + 1) / rate_hz
  grid_s = grid_s.clip(time_s[0], time_s[-1])
  step_s = np.diff(time_s)[:, None]
  steep = np.diff(values, axis=0) / step_s
  ends = [2 * steep[:1] - steep[1:2], 2 * steep[-1:] - steep[-2:-1]]
  ends = [2 * ends[0] - steep[:1], *ends, 2 * ends[1] - steep[-1:]]
  steep = np.concatenate([*ends[:2], steep, *ends[2:]])
  turns = np.abs(np.diff(steep, axis=0)) + np.abs(steep[1:] + steep[:-1]) / 2
  sums = turns[2:] + turns[:-2]
  mixed = (turns[2:] * steep[1:-2] + turns[:-2] * steep[2:-1]) / np.maximum(sums, _TINY)
  slopes = np.where(sums > 1e-9 * sums.max(axis=0), mixed, (steep[3:] + steep[:-3]) / 2)
  left = np.searchsorted(time_s, grid_s, side='right').clip(1, len(step_s)) - 1
  width = step_s[left]
  part = (grid_s - time_s[left])[:, None] / width
  line = values[left] + part * (values[left + 1] - values[left])
  chord = values[left + 1] - values[left]
  bend = (1 - part) * (width * slopes[left] - chord) - part * (width * slopes[left + 1] - chord)
  return rate_hz, np.where(width > _HOLE_STEPS * np.median(step_s), line, line + part * (1 - part) * bend)


@functools.cache
def _resampling(from_hz: int, to_hz: int, samples: int, phase: int) -> tuple[np.ndarray, np.ndarray]:
  """The places around a window at the recording's rate, and the low-pass filter from them to its samples.

  phase: of the window after the first place, in samples of both rates.
  """
  low_hz = min(from_hz, to_hz)
  reach = int(np.ceil(_LOBES * from_hz / low_hz))
  grid = np.arange(-reach, int(np.ceil((samples * from_hz + phase) / to_hz)) + reach)
  lobes = ((np.arange(samples)[:, None] * from_hz + phase) / to_hz - grid) * low_hz / from_hz
  weights = np.sinc(lobes) * np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (lobes / _LOBES) ** 2, 0, 1)))
  weights[np.abs(lobes) > _LOBES] = 0
  return grid, weights / weights.sum(axis=1, keepdims=True)


def adapt_to_recording(probabilities: np.ndarray, class_logits: np.ndarray) -> np.ndarray:
  """[w, y]: answers after the recording's own windows have moved the logits of each class."""
  logits = np.log(np.maximum(probabilities, _TINY))
  adapted = probabilities / probabilities.sum(axis=1, keepdims=True)
  for _ in range(_ITERATIONS):
    counts = adapted.sum(axis=0)
    shares = np.maximum(counts / counts.sum(), _TINY)
    prior = _PRIOR_WINDOWS * (len(counts) / np.exp(-(shares * np.log(shares)).sum())) ** 2
    moves = (adapted.T @ logits - counts[:, None] * class_logits) / (prior + counts)[:, None]
    moved = logits - adapted @ moves
    adapted = np.exp(moved - moved.max(axis=1, keepdims=True))
    adapted /= adapted.sum(axis=1, keepdims=True)
  return adapted


def sets(probabilities: np.ndarray, scores: list[float]) -> np.ndarray | None:
  """[w, y], as by har_jax/recognizer/prediction_sets.py: what a window may be. None: too few scores."""
  number = int(np.ceil((len(scores) + 1) * _COVERAGE - 1e-9))
  if number > len(scores):
    return None
  made = 1 - probabilities <= scores[number - 1]
  made[np.arange(len(made)), probabilities.argmax(axis=1)] = True
  return made


def csv_cell(text: str) -> str:
  """A cell that no spreadsheet takes for a formula, as in har_jax/escaping.py."""
  if text.startswith(('=', '+', '-', '@', '\t', '\r')):
    try:
      float(text)
    except ValueError:
      return f"'{text}"
  return text


def main() -> int:
  parser = argparse.ArgumentParser(description='Recognizes the activities of a recording.')
  parser.add_argument('recording', help='CSV: time, acceleration x, y, z, angular velocity x, y, z')
  parser.add_argument('--out', default='windows.csv', help='CSV with an answer for each window')
  for name, units in _UNITS.items():
    parser.add_argument(f'--{name}', choices=units, default=next(iter(units)), help='unit in the recording')
  flags = vars(parser.parse_args())
  import onnxruntime

  folder = pathlib.Path(__file__).parent
  try:
    card = json.loads((folder / 'model.json').read_text(encoding='utf-8'))
    model = (folder / card['file']).read_bytes()
  except (OSError, ValueError) as error:
    sys.exit(f'{error}; copy the whole folder of the export: predict.py, model.json and model.onnx')
  run = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider']).run
  time, acc, gyro = (units[flags[name]] for name, units in _UNITS.items())
  recording = windows(read(flags['recording'], [time, acc, acc, acc, gyro, gyro, gyro]), card)
  answers = [(at_s, run(None, {'signal': signal[None].astype('f')})[0][0]) for at_s, signal in recording]
  if not answers:
    sys.exit(f'{flags["recording"]} has no window without a gap: is it too short, or is --time another unit?')
  probabilities = np.array([row for _, row in answers], np.float64)
  if card.get('class_logits'):
    temperature = card['adaptation_temperature']
    probabilities **= card['temperature'] / temperature
    probabilities = adapt_to_recording(probabilities, np.array(card['class_logits']) / temperature)
  classes = np.array([str(name) for name in card['classes']])  # they may be numbers
  names = classes[probabilities.argmax(axis=1)].tolist()
  made = sets(probabilities, card.get('set_scores') or [])
  in_set = [[]] * len(names) if made is None else [[csv_cell(' | '.join(classes[own]))] for own in made]
  out = pathlib.Path(flags['out'])
  partial = out.with_name(f'{out.name}.partial')
  try:
    with open(partial, 'w', encoding='utf-8', newline='') as file:
      table = csv.writer(file, lineterminator='\n')
      head = ['time_s', 'activity', 'confidence', *(['set'] if in_set[0] else [])]
      table.writerow([*head, *(f'p_{name}' for name in classes)])
      for (start_s, _), name, row, own in zip(answers, names, probabilities, in_set, strict=True):
        most, *others = (f'{value:.4f}' for value in (row.max(), *row))
        table.writerow([f'{start_s:.3f}', csv_cell(name), most, *own, *others])
    partial.replace(out)
  except OSError as error:
    partial.unlink(missing_ok=True)
    sys.exit(f'--out={out} cannot be written: {error.strerror}; give a file in a folder that exists')
  for name in sorted(set(names)):
    print(f'{name:20} {names.count(name) * card["stream"]["hop_s"] / 60:8.1f} minutes')
  return 0


if __name__ == '__main__':
  sys.exit(main())
