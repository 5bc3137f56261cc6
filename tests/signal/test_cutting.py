"""Windows lie within one label and one piece; gaps split a sensor, and both run where segments overlap."""

import collections

import numpy as np
import pytest
from cut_pieces import cut as _cut
from cut_pieces import ramp as _ramp
from cut_pieces import recording as _recording
from cut_pieces import samples_at as _samples_at

from har_jax.config import DEFAULT_WINDOWING, Windowing
from har_jax.errors import UserError
from har_jax.signal import cutting, segments
from har_jax.signal.recording import Recording, Span


def _starts(cut) -> list[int]:
  return [int(window.signal[0, 0]) for window in cut]


@pytest.mark.parametrize(
  ('samples', 'count'),
  [(127, 0), (128, 1), (191, 1), (192, 2), (983, 14), (1024, 15), (126.5, 0), (127.5, 1), (191.5, 2)],
)
def test_a_span_of_n_samples_gives_windows_by_the_formula(samples, count):
  # floor((n - 128) / 64) + 1, and none below 128; a span that stops between two samples has the former
  first = 249
  span = Span(first / 50, (first + samples) / 50, 'walking')
  cut = _cut(_recording(5000, span), [_ramp(5000)])
  assert _starts(cut) == [first + 64 * index for index in range(count)]


def test_no_window_crosses_a_label_despite_rounding_of_its_edge():
  # Edges k / 50 are rounded up or down in binary.
  for first in range(0, 400):
    (window,) = _cut(_recording(1000, Span(first / 50, (first + 128) / 50, 'walking')), [_ramp(1000)])
    assert window.signal[0, 0] == first
    assert window.signal[-1, 0] == first + 127
    assert window.signal[0, 5] == first + 50_000


@pytest.mark.parametrize(
  ('spans', 'lengths', 'expected'),
  [
    # No window crosses a gap, and each piece starts anew.
    ([Span(0.5, 20.0, 'walking')], {0.0: 200, 5.0: 300}, dict.fromkeys((25, 250, 314, 378), 'walking')),
    ([Span(0.5, 9.0, 'walking')], {0.0: 200, 5.0: 300}, dict.fromkeys((25, 250, 314), 'walking')),
    ([Span(10.0, 13.0, 'sitting'), Span(0.0, 3.0, 'walking')], {0.0: 1000}, {500: 'sitting', 0: 'walking'}),
  ],
)  # fmt: skip
def test_windows_keep_the_order_of_spans_and_their_origin(spans, lengths, expected):
  pieces = [_ramp(samples, start_s=start_s) for start_s, samples in lengths.items()]
  cut = _cut(_recording(1000, *spans, subject='b'), pieces, number=4)
  assert list(zip(_starts(cut), (window.activity for window in cut), strict=True)) == [*expected.items()]
  assert [window.start_s for window in cut] == pytest.approx([sample / 50 for sample in expected])
  assert {(window.subject, window.recording) for window in cut} == {('b', 4)}


@pytest.mark.parametrize(
  ('spans', 'expected'),
  [
    # Windows cross labels and have the longest.
    ([Span(0.0, 1.2, 'sitting'), Span(1.2, 2.5, 'sit_to_stand'), Span(2.5, 6.4, 'walking')],
     {0: 'sit_to_stand', 64: 'walking', 128: 'walking', 192: 'walking'}),
    # The parts of an activity in a window add up.
    ([Span(0.0, 0.8, 'walking'), Span(0.8, 1.8, 'turning'), Span(1.8, 2.56, 'walking')], {0: 'walking'}),
    # No window crosses what has no label.
    ([Span(0.0, 2.0, 'walking'), Span(2.1, 4.7, 'sitting')], {105: 'sitting'}),
    ([Span(0.0, 2.0, 'walking'), Span(2.0005, 4.7, 'sitting')], {101: 'sitting'}),
  ],
)  # fmt: skip
def test_with_a_majority_label_windows_have_the_longest(spans, expected):
  counts: collections.Counter[str] = collections.Counter()
  given = (_recording(1000, *spans), [_ramp(1000)], counts, DEFAULT_WINDOWING)
  cut = cutting.cut(*given, number=0, majority_label=True)
  assert {int(window.signal[0, 0]): window.activity for window in cut} == expected


def test_windows_of_another_length_overlap_by_half_and_are_counted_by_it():
  dropped = collections.Counter()
  spans = Span(0.0, 4.0, 'walking'), Span(4.0, 5.9, 'sitting'), Span(19.0, 21.5, 'lying')
  given = (_recording(1000, *spans), [_ramp(1000)], dropped, Windowing(100, 50))
  assert _starts(cutting.cut(*given, number=0)) == [0, 50, 100]
  assert dropped == {'spans shorter than a window': 1, 'spans without a window free of gaps': 1}


def test_spans_without_windows_are_counted_by_reason():
  dropped = collections.Counter()
  _cut(
    _recording(900, Span(0.0, 2.5, 'walking'), Span(3.0, 9.0, 'sitting'), Span(9.0, 13.0, 'lying')),
    [_ramp(460)],
    dropped,
  )
  assert dropped == {'spans shorter than a window': 1, 'spans without a window free of gaps': 1}


def test_an_infinite_value_names_its_recording():
  piece = _ramp(500)
  piece.signal[200, 4] = np.inf
  with pytest.raises(UserError, match=r'recording 3 \(subject 7, walking\)'):
    _cut(_recording(500, Span(0.0, 10.0, 'walking')), [piece], number=3)


# --- segments


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
  options = {'moments': True} if moments else {}
  found = list(segments.overlaps(a, b, **options))
  assert found == list(segments.overlaps(b, a, **options))
  single = [(5, 5), (8, 8), (12, 12)] if moments else []
  assert found == sorted([(1, 2), (3, 4), (5.5, 6), *single])


def test_an_extract_includes_both_ends_and_its_time_starts_at_zero():
  spans = (Span(0.0, 2.5, 'a'), Span(2.5, 9.0, 'b'), Span(9.0, 10.0, 'c'))
  recording = Recording('1', 'waist', _samples_at(1, 2, 3, 4), _samples_at(1.5, 2.5, 3.5), spans)
  part = segments.extract(recording, 2.0, 3.5, last_s=1.0)
  assert part.acc.time_s.tolist() == [0.0, 1.0]
  assert part.acc.values[:, 0].tolist() == [2.0, 3.0]
  assert part.gyro.time_s.tolist() == [0.5, 1.5]
  assert part.spans == (Span(0.0, 0.5, 'a'), Span(0.5, 2.5, 'b'))


def test_an_extract_around_reaches_the_samples_on_both_sides():
  samples = _samples_at(0, 1, 2, 3, 4)
  assert segments.extract_around(samples, 1.5, 2.5).time_s.tolist() == [1, 2, 3]
  assert segments.extract_around(samples, 1.0, 3.0).time_s.tolist() == [1, 2, 3]
  assert segments.extract_around(samples, -1.0, 9.0).time_s.tolist() == [0, 1, 2, 3, 4]


def test_parts_of_spans_that_only_touch_the_ends_are_none():
  spans = Span(0.0, 1.0, 'a'), Span(1.0, 2.0, 'b'), Span(2.0, 3.0, 'c')
  assert segments.clip(spans, 1.0, 2.0) == (spans[1],)
  assert segments.clip(spans, 0.5, 1.5) == (Span(0.5, 1.0, 'a'), Span(1.0, 1.5, 'b'))


def test_a_run_of_one_label_lasts_to_the_next_and_the_last_one_a_median_step_longer():
  time_s, labels = np.array([0.0, 1.0, 2.0, 3.5, 5.0, 6.0]), np.array([4, 4, 7, 7, 9, 9])
  spans = segments.labeled_spans(time_s, labels, {4: 'a', 9: 'b'})
  assert spans == [Span(0.0, 2.0, 'a'), Span(5.0, 7.0, 'b')]
  time_s[-1] = 5.1
  assert segments.labeled_spans(time_s, labels, {9: 'b'}) == [Span(5.0, 6.1, 'b')]
