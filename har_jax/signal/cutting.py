"""Cutting recordings into labeled windows.   n samples."""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from har_jax.errors import UserError
from har_jax.signal import Windowing, segments
from har_jax.signal.recording import Recording, Span
from har_jax.signal.resample import Piece

_SLACK = 1e-3  # samples: tolerance for rounding of a span's edge


@dataclasses.dataclass(frozen=True)
class Window:
  """One window and its origin."""

  signal: Float32[np.ndarray, 'n 6']
  activity: str
  subject: str
  recording: int
  start_s: float
  position: str = ''


def cut(
  recording: Recording,
  pieces: Sequence[Piece],
  dropped: collections.Counter[str],
  windowing: Windowing,
  *,
  number: int = 0,
  majority_label: bool = False,
) -> Iterator[Window]:
  """Windows that lie within one labeled span and one piece, span after span; `number` is the recording's.

  The first window starts with the span or the piece, whichever is later; each next one half a window after.
  With `majority_label`, spans that follow one another count as one, and a window has the label of the
  activity that lasts longest in it.
  Raises UserError if a value is NaN or infinite.
  """
  rate_hz, samples = windowing.rate_hz, windowing.samples
  for spans in _chains(recording.spans, rate_hz) if majority_label else [(span,) for span in recording.spans]:
    count = 0
    span_start_s, span_stop_s = spans[0].start_s, spans[-1].stop_s
    for piece in pieces:
      # Samples at or after the start, before the stop.
      first = max(math.ceil((span_start_s - piece.start_s) * rate_hz - _SLACK), 0)
      end = min(math.ceil((span_stop_s - piece.start_s) * rate_hz - _SLACK), len(piece.signal))
      for begin in range(first, end - samples + 1, windowing.step_samples):
        signal = piece.signal[begin : begin + samples]
        start_s = piece.start_s + begin / rate_hz
        lasts_s: dict[str, float] = collections.defaultdict(float)
        for span in segments.clip(spans, start_s, start_s + windowing.seconds) if len(spans) > 1 else spans:
          lasts_s[span.activity] += span.stop_s - span.start_s
        activity = max(lasts_s, key=lasts_s.__getitem__)
        if not np.isfinite(signal).all():
          raise UserError(
            f'recording {number} (subject {recording.subject}, {activity}) has a NaN or infinite value '
            f'in the {windowing.seconds:g} s from {start_s:.2f} s: is the archive damaged?'
          )
        yield Window(signal, activity, recording.subject, number, start_s, recording.position)
        count += 1
    if not count:
      is_short = span_stop_s - span_start_s < windowing.seconds - _SLACK / rate_hz
      dropped['spans shorter than a window' if is_short else 'spans without a window free of gaps'] += 1


def _chains(spans: Sequence[Span], rate_hz: int) -> list[tuple[Span, ...]]:
  """The spans, each with those that begin where it stops."""
  chains: list[tuple[Span, ...]] = []
  for span in spans:
    if chains and abs(chains[-1][-1].stop_s - span.start_s) * rate_hz < _SLACK:
      chains[-1] += (span,)
    else:
      chains.append((span,))
  return chains
