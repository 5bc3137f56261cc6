"""Steps, days, and bouts of sitting and of moderate movement, by hand."""

import dataclasses

import made_gait
import numpy as np
import pytest

from har_jax.recordings import Reading
from har_jax.signal import steps
from har_jax.signal.recording import ACTIVITIES, Recording, Samples
from har_jax.timeline import movement
from har_jax.timeline.bouts import Bout, Clock


def _walk(seconds: float, steps_per_minute: float, swing: float, rate_hz: float = 50.0) -> Samples:
  """A walk with a second frequency, of half a step: the swing of an arm or a leg. Turned at random."""
  rng = np.random.default_rng(0)
  time_s = 100.0 + np.arange(0, seconds, 1 / rate_hz)
  phase = np.pi * steps_per_minute / 60 * (time_s - 100)
  values = 0.3 * rng.standard_normal((len(time_s), 3)) + [0, 9.8, 0]
  values[:, 1] += 2 * np.sin(2 * phase) + swing * np.sin(phase)
  return Samples(time_s, (values @ made_gait.random_rotation(rng).T).astype(np.float32))


@pytest.mark.parametrize(
  ('rate', 'swing'), [(80, 0.0), (110, 0.0), (80, 3.0), (110, 3.0), (140, 1.0), (146, 0.0)]
)
def test_steps_are_counted_where_steps_or_strides_show(rate: int, swing: float):
  counted, cadence = steps.count_steps(_walk(30.0, rate, swing), (0.8, 1.6))
  assert counted == pytest.approx(rate / 2, abs=1)
  assert cadence == pytest.approx(rate, abs=1)


def test_the_rate_of_the_sensor_does_not_matter_and_short_walks_count():
  for seconds, rate_hz in ((30.0, 20.0), (30.0, 104.0), (2.6, 50.0)):
    counted, _ = steps.count_steps(_walk(seconds, 108, 1.0, rate_hz), (0.8, 1.6))
    assert counted == pytest.approx(seconds * 1.8, rel=0.05)
  two_strides = dataclasses.replace(_walk(1.61, 120, 3.0), time_s=np.arange(81) / 50)
  assert steps.count_steps(two_strides, (0.8, 1.6))[0] == pytest.approx(3.2, rel=0.05)


def test_a_vibration_is_no_step_and_a_piece_of_less_than_two_strides_has_none():
  walk = _walk(30.0, 108, 1.0)
  for amplitude, frequency_hz in ((4, 9), (8, 11.3)):
    shaking = amplitude * np.sin(2 * np.pi * frequency_hz * walk.time_s)[:, None].astype(np.float32)
    shaken = Samples(walk.time_s, walk.values + shaking)
    assert steps.count_steps(shaken, (0.8, 1.6))[0] == pytest.approx(54, abs=1)
  assert steps.count_steps(_walk(1.5, 140, 3.0), (0.8, 1.6))[0] == 0


def test_the_cadence_is_the_median_of_parts_and_steps_are_the_sum():
  slow, quick = _walk(24.0, 100, 1.0), _walk(6.0, 140, 1.0)
  values = np.concatenate([slow.values, quick.values])
  counted, cadence = steps.count_steps(Samples(np.arange(len(values)) / 50, values), (0.8, 1.6))
  assert counted == pytest.approx(40 + 14, abs=1.5)
  assert cadence == pytest.approx(100, abs=1)


def test_two_strides_that_fit_a_little_better_than_one_are_two():
  walk = _walk(30.0, 170, 3.0)
  every_other = 1 + 0.05 * np.sin(np.pi * 170 / 120 * (walk.time_s - 100))
  counted, _ = steps.count_steps(Samples(walk.time_s, walk.values * every_other[:, None]), (0.55, 1.6))
  assert counted == pytest.approx(85, abs=1)


def test_noise_has_no_steps():
  noise = Samples(np.arange(3000) / 50, np.random.default_rng(0).normal(0, 1, (3000, 3)).astype(np.float32))
  counted, _ = steps.count_steps(noise, (0.8, 1.6))
  assert counted < 20  # of 100 in a walk of this length
  assert np.isnan(steps.count_steps(_walk(1.0, 110, 0.0), (0.8, 1.6))[1])


def _measure(
  bouts: list[Bout], start: str = '', files: tuple[str, ...] = ('a', 'b'), zone: str = ''
) -> movement.Movement:
  walks = [_walk(120.0, rate, 1.0) for rate in (110, 90)]  # of each recording
  samples = [Samples(walk.time_s - 100, walk.values) for walk in walks]
  recordings = [Recording('', '', acc, acc, ()) for _, acc in zip(files, samples, strict=False)]
  reading = Reading(recordings, [], [], start, True, list(files), [0.0] * len(files), zone)
  return movement.measure(bouts, reading, Clock.from_reading(reading))


def _bouts(*parts: tuple[float, str], recording: int = 0, start_s: float = 0.0) -> list[Bout]:
  bouts = []
  for seconds, activity in parts:
    bouts.append(Bout(recording, start_s, start_s + seconds, activity, 0.9))
    start_s += seconds
  return bouts


def test_steps_are_those_of_walking_in_any_language(monkeypatch):
  measured = _measure(_bouts((60, 'Gehen'), (30, 'sitting'), (30, 'walking')))
  assert measured.steps == pytest.approx([110, np.nan, 55], abs=1.5, nan_ok=True)
  assert measured.summary['steps'] == pytest.approx(165, abs=2)
  assert measured.summary['walking_cadence'] == pytest.approx(110, abs=1)
  assert measured.summary['moderate']['minutes'] == 1.5  # 100 steps a minute or more
  (slow,) = _measure(_bouts((60, 'walking'), recording=1)).cadence
  assert slow == pytest.approx(90, abs=1)
  counted = {3000: (90.0, 90.0), 1500: (60.0, 120.0)}  # a minute, and half of one
  monkeypatch.setattr(steps, 'count_steps', lambda acc, _: counted[len(acc.time_s)])
  summary = _measure(_bouts((60, 'walking'), (30, 'walking'))).summary
  assert summary['walking_cadence'] == 100.0
  assert summary['moderate']['minutes'] == 0.5  # the quick one


def test_strides_are_sought_from_slow_to_quick_gait(monkeypatch):
  """Steps a minute are 120 by the seconds of a stride."""
  sought = []
  monkeypatch.setattr(steps, 'count_steps', lambda _, stride_s: sought.append(stride_s) or (0.0, np.nan))
  _measure(_bouts((10, 'nordic_walking'), (10, 'running'), (10, 'cycling')))
  assert np.divide(120, sought) == pytest.approx(np.array([[150, 75], [218, 126]]), abs=0.5)


def test_breaks_of_a_minute_do_not_end_a_bout_unless_they_are_many():
  summary = _measure(_bouts((1200, 'sitting'), (50, 'standing'), (1200, 'sitting'))).summary
  (sentence,) = movement.sentences(summary)
  assert sentence.startswith('40.0 minutes of sitting, 40.8 in the longest bout, breaks included; 1 bout of ')
  assert summary['sitting'] == {
    **{'minutes': 40.0, 'longest_minutes': 40.83, 'bout_minutes': 30.0, 'bouts': 1},
    'activities': ['sitting'],
  }
  apart = _measure(_bouts((1200, 'sitting'), (61, 'standing'), (1200, 'sitting'))).summary['sitting']
  assert (apart['longest_minutes'], apart['bouts']) == (20.0, 0)
  # A fifth of the time may be a break, not a third.
  for break_s, bouts in ((20, 1), (45, 0)):
    parts = [(90.0, 'cycling'), (break_s, 'standing')] * 8
    assert _measure(_bouts(*parts)).summary['moderate']['bouts'] == bouts
  files = _bouts((1000, 'sitting')) + _bouts((1000, 'sitting'), recording=1, start_s=1010)
  assert _measure(files).summary['sitting']['longest_minutes'] == pytest.approx(16.67)
  assert _measure(files, files=('a', 'a')).summary['sitting']['longest_minutes'] == 33.5  # of one file


def test_days_have_hours_worn_and_their_part_of_the_steps():
  bouts = _bouts((60, 'walking'), (7140, 'not_worn'), (1800, 'lying'))
  first, second = _measure(bouts, '2026-05-28T23:59:30', ('a',)).days
  assert (first['day'], first['minutes'], first['worn_hours']) == ('2026-05-28', {'walking': 0.5}, 0.01)
  assert second['minutes'] == {'lying': 30.0, 'not_worn': 119.0, 'walking': 0.5}
  assert second['worn_hours'] == 0.51
  assert first['steps'] == second['steps'] == pytest.approx(55, abs=1)


@pytest.mark.parametrize('start', ['2026-03-29T00:59:30+00:00', '2026-10-25T00:59:30+00:00'])
def test_a_change_of_clocks_adds_no_hour_and_takes_none(start):
  # At 01:00 UTC clocks in Berlin are put forward by an hour, or back.
  bouts = _bouts((60, 'walking'), (100_000, 'lying'))
  measured = _measure(bouts, start, ('a',), zone='Europe/Berlin')
  days = measured.days
  assert [day['steps'] for day in days] == [pytest.approx(110, abs=2), 0]
  assert days[0]['minutes']['walking'] == 1.0
  # The day has 23 or 25 hours, and starts at 1:59:30 or 2:59:30.
  hours = 23 - 1 if start.startswith('2026-03') else 25 - 2
  assert days[0]['minutes']['lying'] == pytest.approx(60 * hours - 60.5, abs=0.01)
  assert sum(day['minutes']['lying'] for day in days) == pytest.approx(100_000 / 60, abs=0.02)


def test_sitting_of_several_activities_names_them():
  alone, both = (
    movement.sentences(_measure(_bouts((600, 'Sitzen'), *more)).summary)[0]
    for more in ([], [(600, 'typing')])
  )
  assert alone.startswith('10.0 minutes of sitting, 10.0 in the longest bout; ')
  assert both.startswith('20.0 minutes of sitting (Sitzen, typing), 20.0 in')
  assert {*ACTIVITIES, 'jogging'} >= movement._SITTING | movement._MODERATE


def test_a_day_without_movement_has_its_hours_and_no_sentence():
  measured = _measure(_bouts((86_000, 'lying')), '2026-05-28T00:00:00', ('a',))
  assert [day['worn_hours'] for day in measured.days] == [23.89]
  assert movement.sentences(measured.summary) == []
