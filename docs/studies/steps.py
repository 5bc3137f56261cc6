"""Compare the steps that `predict` counts with counts by other means.

python docs/studies/steps.py --archives=<folder with the archives>
python docs/studies/steps.py --nomeasure

The command fills results/steps.csv and docs/results/steps.md. Takes some minutes.
"""

import collections
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import study
from scipy import signal

from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.report import csv_table, markdown
from har_jax.signal import segments, steps
from har_jax.signal.recording import Samples

FLAGS, _define = study.new_flags()
_ARCHIVES = _define('archives', None, 'folder with a folder of each archive')
TABLE, PAGE = study.places('steps')
_STRIDE_S = {'walking': (0.8, 1.6), 'running': (0.55, 0.95)}  # of timeline/movement.py
_HAND, _LEGS, _PHONE = 'swings counted by hand', 'swings of both legs', 'steps of the phone'
# Seconds from the recording's start, and the strides between the first and the last swing in a picture of
# angular velocity, by hand: archive, position, subject, from, to, strides.
_BY_HAND = (
  ('hapt', 'waist', '4', 158.02, 171.19, 13),
  ('hapt', 'waist', '10', 32.58, 44.90, 11),
  ('hapt', 'waist', '19', 200.08, 212.18, 12),
  ('motionsense', 'pocket', '3', 20.47, 33.28, 13),
  ('motionsense', 'pocket', '15', 20.27, 33.87, 13),
  ('motionsense', 'pocket', '22', 20.77, 33.87, 12),
)


class Walk(NamedTuple):
  """A labeled span of walking or running."""

  subject: str
  activity: str
  start_s: float
  acc: Samples
  gyro: Samples


def rows(walks) -> Iterator[dict[str, Any]]:
  """A row per walk and place. walks: of an archive and position."""
  legs = [walks('dsads', 'right_leg'), walks('dsads', 'left_leg')]
  references = [sum(_swings(leg.gyro) for leg in pair) for pair in zip(*legs, strict=True)]
  for position in ('torso', 'right_arm', 'left_arm'):
    for walk, reference in zip(walks('dsads', position), references, strict=True):
      yield _row('dsads', position, walk, _LEGS, reference)
  phones = {(walk.subject, index): walk for index, walk in _numbered(walks('sp_sw_har', 'pocket'))}
  for index, watch in _numbered(walks('sp_sw_har', 'wrist')):
    if (phone := phones.get((watch.subject, index))) is not None:
      yield _row('sp_sw_har', 'wrist', watch, _PHONE, steps.count_steps(phone.acc, _STRIDE_S['walking'])[0])
  for archive, position, subject, start_s, stop_s, strides in _BY_HAND:
    for walk in walks(archive, position):
      begin_s, end_s = walk.acc.time_s[[0, -1]]
      if walk.subject.lstrip('0') == subject and begin_s <= start_s and stop_s <= end_s:
        part = (walk.acc.time_s >= start_s) & (walk.acc.time_s <= stop_s)
        acc = Samples(walk.acc.time_s[part], walk.acc.values[part])
        yield _row(archive, position, walk._replace(acc=acc), _HAND, 2.0 * strides)
        break


def _row(archive: str, position: str, walk: Walk, by: str, reference: float) -> dict[str, Any]:
  counted, _ = steps.count_steps(walk.acc, _STRIDE_S[walk.activity])
  return {
    'archive': archive,
    'position': position,
    'activity': walk.activity,
    'subject': walk.subject,
    'by': by,
    'seconds': round(float(np.ptp(walk.acc.time_s)), 2),
    'reference': round(float(reference), 1),
    'counted': round(counted, 1),
  }


def _walks(name: str, position: str) -> Iterator[Walk]:
  for path in sorted(pathlib.Path(str(_ARCHIVES.value), name).glob('*.zip')):
    for recording in ARCHIVES[name].read(Source(path), position, collections.Counter()):
      for span in recording.spans:
        if span.activity in _STRIDE_S:
          acc, gyro = (
            segments.extract_around(samples, span.start_s, span.stop_s)
            for samples in (recording.acc, recording.gyro)
          )
          yield Walk(recording.subject, span.activity, span.start_s, acc, gyro)


def _numbered(walks: list[Walk]) -> Iterator[tuple[int, Walk]]:
  """Walks of both ways, some two seconds each, with their number within the subject."""
  numbers: collections.Counter[str] = collections.Counter()
  for walk in walks:
    numbers[walk.subject] += 1
    yield numbers[walk.subject], walk


def _swings(gyro: Samples) -> int:
  """Swings of a leg: peaks of angular velocity about the axis about which it turns most, below 2 Hz.

  Source: mid-swing peaks, as in Salarian et al., IEEE Trans Biomed Eng 51:1434, 2004.
  """
  values = gyro.values - gyro.values.mean(axis=0)
  rate_hz = 1 / gyro.step_s
  swing = values @ np.linalg.svd(values, full_matrices=False)[2][0]
  swing = signal.sosfiltfilt(signal.butter(2, 2.0, fs=rate_hz, output='sos'), swing - np.median(swing))
  low, high = np.quantile(swing, [0.02, 0.98])
  peaks, _ = signal.find_peaks(
    swing if high > -low else -swing, distance=0.6 * rate_hz, prominence=0.4 * (high - low)
  )
  return len(peaks)


def block() -> str:
  """Steps by both means, and the mean difference of a walk, by archive, position and activity."""
  table = csv_table.read(TABLE)
  table['off'] = (table['counted'] - table['reference']).abs() / table['reference'].clip(lower=1)
  lines = []
  for (by, archive, position, activity), part in table.groupby(['by', 'archive', 'position', 'activity']):
    lines.append(
      {
        'compared with': by,
        'archive': archive,
        'position': position,
        'activity': activity,
        'walks': len(part),
        'minutes': f'{part["seconds"].sum() / 60:.1f}',
        'steps': f'{part["reference"].sum():.0f}',
        'counted': f'{part["counted"].sum():.0f}',
        'mean difference of a walk': f'{part["off"].mean():.1%}',
      }
    )
  return markdown.tabulated(pd.DataFrame(lines).astype(str))


if __name__ == '__main__':
  study.run(__name__, lambda: study.write(TABLE, rows(lambda *place: list(_walks(*place)))))
