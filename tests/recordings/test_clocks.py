"""Clocks of recordings and labels: units, time zones, noon and midnight."""

import numpy as np
import pandas as pd
import pytest
from user_files import EPOCH_S

from har_jax.errors import UserError
from har_jax.recordings import clocks, row_faults
from har_jax.recordings.infer import Findings

TIME_S = np.arange(3000) / 50


@pytest.mark.parametrize(
  ('local', 'utc'),
  [
    ('2026-10-25T02:30', '2026-10-25T00:30'),  # twice in that night, first in summer time
    ('2026-03-29T02:30', '2026-03-29T01:00'),  # skipped: clocks show 3:00 next
    ('2026-10-25T03:30', '2026-10-25T02:30'),
    ('NaT', 'NaT'),
  ],
)
def test_a_time_that_a_change_of_clocks_repeats_is_the_first(local, utc):
  ns, expected = (np.array([text], 'datetime64[ns]').astype(np.int64) for text in (local, utc))
  assert clocks.to_utc(ns, 'Europe/Berlin') == expected


@pytest.mark.parametrize(
  ('text', 'seconds'),
  [
    *(('12:30:00 AM', 1800), ('12:30:00 PM', 45_000), ('1:30:00 pm', 48_600), ('12:30 pm', 45_000)),
    *(('12:30:00:5', 45_000.005), ('12:30:00:125', 45_000.125), ('12:30:00.5', 45_000.5)),
    ('12:30:00.12345678999', 45_000.123456789),
    *(('5/28/2026 12:30:00 AM', 1800), ('5/28/2026 12:30:00 PM', 45_000), ('5/28/2026 1:30 PM', 48_600)),
  ],
)
def test_noon_midnight_and_milliseconds(text, seconds):
  (ns,) = clocks.parse(pd.Series([text]), 'time').orders.values()
  assert ns[0] % (86_400 * 10**9) == round(seconds * 1e9)


@pytest.mark.parametrize(
  ('values', 'named'),
  [
    (20.0 * np.arange(500), 's'),  # its name is wrong
    (1.78e9 + 20 * np.arange(500), ''),  # a count of seconds from 1970 would be 0.05 Hz
    (np.r_[0, 1, 2, 20.0 * np.arange(1, 500)], ''),  # rows count by one, but only the first
  ],
)
def test_numbers_have_the_unit_that_makes_the_rate_likely(values, named):
  sampled = np.ones(len(values), bool)
  time_s, clock, _ = clocks.count_numbers(values, sampled, named, '', 'time', Findings())
  assert (clock.unit, clock.kind) == ('ms', 'relative')
  assert np.diff(time_s)[-1] == pytest.approx(0.02)


@pytest.mark.parametrize(('strays', 'left_out'), [(2, 2), (200, 0)])
def test_a_few_times_before_a_clock_was_set_are_left_out_not_many(strays, left_out):
  times = np.r_[np.arange(strays), 1.78e9 + 0.02 * np.arange(500)]
  findings = Findings()
  assert np.isnan(clocks._without_strays(times, findings)).sum() == left_out
  assert len(findings.warnings) == bool(left_out)


@pytest.mark.parametrize(('name', 'hours'), [('UTC-02:30', -2.5), ('+05:30', 5.5), ('GMT+1400', 14)])
def test_an_offset_is_a_time_zone(name, hours):
  assert clocks.offset_s(name, 0) == hours * 3600
  with pytest.raises(UserError, match=r"time_zone is 'UTC\+25:00'; give a name"):
    clocks.zone('UTC+25:00')


MOMENTS = pd.to_datetime(['2026-05-29T10:30:00', '2026-05-29T10:30:01']).to_series()


@pytest.mark.parametrize(
  ('times', 'zone'),
  [
    *(
      (MOMENTS.dt.strftime('%Y-%m-%d %H:%M:%S') + stated, zone)
      for stated, zone in (
        ('+02:00', 'UTC+02:00'),
        (' UTC-0330', 'UTC-03:30'),
        ('', ''),
      )
    ),
    *((MOMENTS.dt.tz_localize(zone), zone) for zone in ('Europe/Berlin', 'Europe/London', 'UTC+02:00', None)),
    *((MOMENTS.dt.tz_localize(zone), '') for zone in ('UTC', 'Etc/UTC', 'UTC+00:00')),
    (np.array([1.78e9, 1.78e9 + 1]), ''),
  ],
)
def test_a_time_zone_is_stated_by_the_times_unless_it_is_utc_which_phones_keep_anywhere(times, zone):
  assert clocks.join([clocks.parse(times, 'time')], 'time')[2] == (zone or '')


@pytest.mark.parametrize('stated', ['Z', ' UTC', ' GMT', 'GMT', '+00:00'])
def test_times_say_in_several_ways_that_they_are_in_utc(stated):
  written = clocks.parse(MOMENTS.dt.strftime('%Y-%m-%d %H:%M:%S') + stated, 'time')
  ns, kind, zone = clocks.join([written], 'time')
  assert (ns.tolist(), kind, zone) == (MOMENTS.to_numpy('datetime64[ns]').astype(int).tolist(), 'zoned', '')


def test_the_start_of_a_clock_keeps_its_fraction_of_a_second_and_its_kind():
  ns = 1_780_000_000_125_000_000
  starts = [clocks.Clock(kind, ns).start for kind in ('zoned', 'date', 'day', 'relative')]
  assert starts == ['2026-05-28T20:26:40.125000+00:00', '2026-05-28T20:26:40.125000', '', '']


def test_times_of_day_go_on_after_midnight():
  ns = (np.array([86_390, 86_399, 1, 11]) * 10**9).astype(np.int64)
  time_s, _ = clocks.count_dates(ns, 'day', '')
  np.testing.assert_allclose(time_s, [0, 9, 11, 21])


def test_the_unit_of_time_follows_from_rows_of_the_sensor_whose_rate_counts():
  values = np.sort(np.r_[0.02 * np.arange(500), 0.02 * np.arange(500) + 0.003])
  sampled = np.arange(1000) % 2 == 0
  _, _, reason = clocks.count_numbers(values, sampled, '', '', 'time', Findings())
  assert reason == 'as its step of 0.02 is then 50 Hz'


def test_seconds_and_clocks_begin_at_the_first_row_with_a_time():
  times, seconds = np.r_[np.nan, EPOCH_S + TIME_S], np.r_[np.nan, TIME_S]
  ns = np.r_[clocks.MISSING, ((EPOCH_S + TIME_S) * 1e9).round().astype(np.int64)]
  sampled = np.ones(len(times), bool)
  for time_s, clock, *_ in (
    clocks.count_dates(ns, 'zoned', ''),
    clocks.count_numbers(times, sampled, '', '', 'time', Findings()),
  ):
    np.testing.assert_allclose(time_s, seconds, atol=1e-6)
    assert clock.origin_ns == EPOCH_S * 10**9


@pytest.mark.parametrize(
  ('step_s', 'pause_s', 'count'), [(0.02, 0.02, 64), (0.02, 0.02, 100), (0.5, 2.0, 100), (1.0, 4.0, 100)]
)
def test_what_a_clock_that_was_set_back_times_follows_the_end_before_it(step_s, pause_s, count):
  """By a few seconds: after one step. By more it is a new recording: after two seconds, or four steps.

  The last row is of another sensor, whose rows are out of order.
  """
  time_s = np.r_[np.tile(np.arange(count) * step_s, 2), 0]
  values = np.random.default_rng(0).normal(np.repeat([[0.0], [9.0]], count, axis=0), 0.1, (2 * count, 3))
  values = np.r_[values, [3 * [np.nan]]].astype(np.float32)
  continued = row_faults.continue_restarts(time_s, np.isfinite(values[:, 0]), values, Findings())
  shift_s = (count - 1) * step_s + pause_s
  np.testing.assert_allclose(continued, time_s + np.repeat([0, shift_s], [count, count + 1]))
