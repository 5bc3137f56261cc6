"""A sample of real recordings that comes with the package: excerpts of eight people of four archives.

assets/sample/README.md has licenses, authors, what was changed, and the command that made it. A zip holds
signals.npy (int16: acceleration in 1/200 m/s², angular velocity in 1/900 rad/s) and recordings.json.
"""

import collections
import dataclasses
import io
import pathlib
from collections.abc import Iterator

import msgspec
import numpy as np

import har_jax
from har_jax.archives import dsads, motionsense, sp_sw_har, wisdm
from har_jax.archives.source import Source
from har_jax.signal.recording import Recording, Span, regular

FOLDER = pathlib.Path(har_jax.__file__).parent / 'assets' / 'sample'
STEPS_PER_UNIT = np.repeat([200, 900], 3)  # of m/s² and rad/s: up to 16 g and 2,000 °/s


class Excerpt(msgspec.Struct):
  """One recording: who, its number of samples, and start, end (s) and activity of each span."""

  subject: str
  samples: int
  spans: tuple[tuple[float, float, str], ...]


class Contents(msgspec.Struct):
  """The content of recordings.json; signals.npy has the recordings one after another."""

  rate_hz: int
  position: str
  recordings: tuple[Excerpt, ...]


def _read(source: Source, position: str, dropped: collections.Counter) -> Iterator[Recording]:
  del dropped
  with source.open('recordings.json') as file:
    contents = msgspec.json.decode(file.read(), type=Contents)
  with source.open('signals.npy') as file:
    signals = np.load(io.BytesIO(file.read()), allow_pickle=False) / STEPS_PER_UNIT
  stops = np.cumsum([excerpt.samples for excerpt in contents.recordings])
  for excerpt, rows in zip(contents.recordings, np.split(signals, stops[:-1]), strict=True):
    acc, gyro = (regular(rows[:, axes], contents.rate_hz) for axes in (slice(3), slice(3, None)))
    yield Recording(excerpt.subject, position, acc, gyro, tuple(Span(*span) for span in excerpt.spans))


SAMPLE = tuple(
  dataclasses.replace(
    archive,
    name=f'sample_{archive.name}',
    title=f'{archive.title}: excerpts of eight people',
    marker='',
    positions=archive.positions[:1],
    read=_read,
    url='',
    bundled=FOLDER / f'{archive.name}.zip',
  )
  for archive in (motionsense.ARCHIVE, sp_sw_har.ARCHIVE, wisdm.ARCHIVE, dsads.ARCHIVE)
)
