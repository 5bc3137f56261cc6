"""Borders at which signals may be cut: unbroken segments of a sensor, overlaps of two, labeled spans.

The rule: a sensor breaks off where two samples are more than `max_gap_s` apart. Both sensors run where a
segment of one overlaps a segment of the other. Callers differ in `max_gap_s`, and give the reason there.

n samples.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from har_jax.signal.recording import Recording, Samples, Span

Segment = tuple[float, float]  # times of the first and the last sample


def repeats(time_s: Float[np.ndarray, 'n']) -> Bool[np.ndarray, 'n']:
  """True: the sample has the time of the one before. Time must not fall."""
  return np.diff(time_s, prepend=-np.inf) == 0


def runs(flags: Bool[np.ndarray, 'n']) -> Int[np.ndarray, 'k 2']:
  """First index of each run of True, and the one after its last."""
  return np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8))).reshape(-1, 2)


def equal_runs(codes: Shaped[np.ndarray, 'n']) -> Int[np.ndarray, 'k 2']:
  """First index of each run of equal codes, and the one after its last. There must be a code."""
  bounds = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1], True])
  return np.stack([bounds[:-1], bounds[1:]], axis=1)


def unbroken(time_s: Float[np.ndarray, 'n'], max_gap_s: float) -> list[Segment]:
  """Segments without a gap, in order of time. Time must not fall."""
  if not len(time_s):
    return []
  last = np.flatnonzero(np.diff(time_s) > max_gap_s)  # before each gap
  starts_s, stops_s = time_s[np.r_[0, last + 1]], time_s[np.r_[last, -1]]
  return list(zip(starts_s.tolist(), stops_s.tolist(), strict=True))


def overlaps(a: Sequence[Segment], b: Sequence[Segment], *, moments: bool = False) -> Iterator[Segment]:
  """Segments where both sensors run, in order of time; with `moments` also single times that they share."""
  i = j = 0
  while i < len(a) and j < len(b):
    start_s, stop_s = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
    if start_s < stop_s or (moments and start_s == stop_s):
      yield start_s, stop_s
    if a[i][1] < b[j][1]:
      i += 1
    else:
      j += 1


def extract(recording: Recording, start_s: float, stop_s: float, *, last_s: float = 0.0) -> Recording:
  """Samples from `start_s` to `stop_s`, both included, with time counted from `start_s`.

  Spans may last `last_s` longer: a last sample lasts a step.
  """
  acc, gyro = (_between(samples, start_s, stop_s) for samples in (recording.acc, recording.gyro))
  spans = tuple(
    dataclasses.replace(span, start_s=span.start_s - start_s, stop_s=span.stop_s - start_s)
    for span in clip(recording.spans, start_s, stop_s + last_s)
  )
  return dataclasses.replace(recording, acc=acc, gyro=gyro, spans=spans)


def labeled_spans(
  time_s: Float[np.ndarray, 'n'], labels: Integer[np.ndarray, 'n'], words: Mapping[int, str]
) -> list[Span]:
  """A span for each run of one label; labels that `words` lacks are no activity.

  A span ends where the next label begins, the last one a median step after its last row. Time must rise.
  """
  if len(time_s) < 2:
    return []
  starts = equal_runs(labels)[:, 0]
  edges = np.append(time_s[starts], time_s[-1] + np.median(np.diff(time_s)))
  return [
    Span(float(start), float(stop), words[int(label)])
    for start, stop, label in zip(edges[:-1], edges[1:], labels[starts], strict=True)
    if int(label) in words
  ]


def clip(spans: Sequence[Span], start_s: float, stop_s: float) -> tuple[Span, ...]:
  """Parts of the spans that lie between `start_s` and `stop_s`; spans outside are left out."""
  return tuple(
    dataclasses.replace(span, start_s=max(span.start_s, start_s), stop_s=min(span.stop_s, stop_s))
    for span in spans
    if max(span.start_s, start_s) < min(span.stop_s, stop_s)
  )


def extract_around(samples: Samples, start_s: float, stop_s: float) -> Samples:
  """Samples from the last at or before `start_s` to the first at or after `stop_s`, for interpolation."""
  first = max(int(np.searchsorted(samples.time_s, start_s, side='right')) - 1, 0)
  stop = int(np.searchsorted(samples.time_s, stop_s)) + 1
  return Samples(samples.time_s[first:stop], samples.values[first:stop])


def _between(samples: Samples, start_s: float, stop_s: float) -> Samples:
  first = np.searchsorted(samples.time_s, start_s)
  stop = np.searchsorted(samples.time_s, stop_s, side='right')
  time_s = samples.time_s[first:stop]  # not copied if it counts from there, as a day's without a gap
  return Samples(time_s - start_s if start_s else time_s, samples.values[first:stop])
