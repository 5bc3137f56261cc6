"""Gaps split a sensor, and both sensors run where their segments overlap."""

import numpy as np
import pytest

from har_jax.signal import segments
from har_jax.signal.recording import Recording, Samples, Span


def _samples(*times_s: float) -> Samples:
  """Samples whose values are their times."""
  time_s = np.array(times_s, float)
  return Samples(time_s, np.stack([time_s] * 3, axis=1))


def test_a_repeated_time_is_found_after_its_first_sample():
  assert segments.repeats(np.array([0.0, 0, 1, 2, 2, 2])).tolist() == [False, True, False, False, True, True]
  assert not len(segments.repeats(np.zeros(0)))


def test_segments_end_at_gaps_longer_than_the_limit():
  time_s = np.array([0.0, 0.5, 1.0, 2.0, 2.25, 9.0])
  assert segments.unbroken(time_s, 0.5) == [(0.0, 1.0), (2.0, 2.25), (9.0, 9.0)]
  assert segments.unbroken(time_s, 1.0) == [(0.0, 2.25), (9.0, 9.0)]
  assert segments.unbroken(time_s[:0], 1.0) == []


@pytest.mark.parametrize('moments', [False, True])
def test_overlaps_are_in_order_of_time_and_may_be_single_moments(moments):
  a = [(0.0, 4.0), (5.0, 6.0), (8.0, 8.0), (9.0, 12.0)]
  b = [(1.0, 2.0), (3.0, 5.0), (5.5, 8.0), (12.0, 13.0)]
  found = list(segments.overlaps(a, b, moments=moments))
  assert found == list(segments.overlaps(b, a, moments=moments))
  single = [(5, 5), (8, 8), (12, 12)] if moments else []
  assert found == sorted([(1, 2), (3, 4), (5.5, 6), *single])


def test_an_extract_includes_both_ends_and_its_time_starts_at_zero():
  spans = (Span(0.0, 2.5, 'a'), Span(2.5, 9.0, 'b'), Span(9.0, 10.0, 'c'))
  recording = Recording('1', 'waist', _samples(1, 2, 3, 4), _samples(1.5, 2.5, 3.5), spans)
  part = segments.extract(recording, 2.0, 3.5, last_s=1.0)
  assert part.acc.time_s.tolist() == [0.0, 1.0]
  assert part.acc.values[:, 0].tolist() == [2.0, 3.0]
  assert part.gyro.time_s.tolist() == [0.5, 1.5]
  assert part.spans == (Span(0.0, 0.5, 'a'), Span(0.5, 2.5, 'b'))


def test_an_extract_around_reaches_the_samples_on_both_sides():
  samples = _samples(0, 1, 2, 3, 4)
  assert segments.extract_around(samples, 1.5, 2.5).time_s.tolist() == [1, 2, 3]
  assert segments.extract_around(samples, 1.0, 3.0).time_s.tolist() == [1, 2, 3]
  assert segments.extract_around(samples, -1.0, 9.0).time_s.tolist() == [0, 1, 2, 3, 4]
