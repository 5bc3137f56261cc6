"""Recordings whose samples say where they lie, and their windows."""

import collections

import numpy as np

from har_jax.config import DEFAULT_WINDOWING
from har_jax.signal import cutting
from har_jax.signal.cutting import Piece, resample
from har_jax.signal.recording import Recording, Samples, Span, regular


def recording(samples: int, *spans: Span, subject: str = '7') -> Recording:
  sensor = regular(np.zeros((samples, 3), np.float32), 50.0)
  return Recording(subject, 'waist', sensor, sensor, spans)


def samples_at(*times_s: float) -> Samples:
  """Samples whose values are their times."""
  time_s = np.array(times_s, float)
  return Samples(time_s, np.stack([time_s] * 3, axis=1))


def ramp(samples: int, start_s: float = 0.0) -> Piece:
  """Channel c of sample i holds i + 10000 c, counted from the recording's zero."""
  first = round(start_s * 50)
  return Piece(
    start_s, (np.arange(first, first + samples)[:, None] + 10_000 * np.arange(6)).astype(np.float32)
  )


def cut(recorded, pieces, dropped=None, number=0):
  return list(
    cutting.cut(
      recorded,
      pieces,
      collections.Counter() if dropped is None else dropped,
      DEFAULT_WINDOWING,
      number=number,
    )
  )


def cut_all(recordings, dropped, **options):
  """Windows of recordings as an archive's reader gives them."""
  return [
    window
    for number, one in enumerate(recordings)
    for window in cutting.cut(
      one, resample(one, dropped, DEFAULT_WINDOWING), dropped, DEFAULT_WINDOWING, number=number, **options
    )
  ]
