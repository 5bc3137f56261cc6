"""A recording in another frame or unit than in training is corrected, warned of or refused."""

import copy
import dataclasses

import numpy as np
import pytest
import worn_device

from har_jax import files
from har_jax.config import DEFAULT_WINDOWING
from har_jax.errors import UserError
from har_jax.recognizer import frame_check
from har_jax.signal import frames, gyro_agreement
from har_jax.signal.recording import Samples
from har_jax.signal.summary import SignalSummary, summarize
from har_jax.timeline import rate_check

TRAINED, LABELS = worn_device.windows(0)
SUMMARY = summarize(TRAINED, LABELS.tolist(), 50)
SIGNALS, ACTIVITIES = worn_device.windows(1)  # of another person
G = np.float32([9.80665] * 3 + [1] * 3)
LINEAR = SIGNALS - SIGNALS.mean(axis=1, keepdims=True) * np.float32([1, 1, 1, 0, 0, 0])


def _check(signals: np.ndarray, frame: str = 'auto') -> frame_check.Finding:
  return frame_check.check(SUMMARY, signals, frame, 50)


def _check_files(expected: SignalSummary | None = None, frame: str = 'auto', **files: np.ndarray):
  return rate_check.check(expected, worn_device.reading(**files), frame, DEFAULT_WINDOWING)


SWAPPED = SIGNALS[..., [1, 0, 2, 4, 3, 5]]
ONE_SENSOR = (  # axes as measured, and those that put them right by gyroscope and gravity
  ('x,y,z,-x,-y,-z', 'x,y,z,-x,-y,-z'),
  ('x,y,z,z,x,y', 'x,y,z,y,z,x'),
  ('y,x,z,x,y,z', 'y,x,z,x,y,z'),
  ('z,x,y,x,y,z', 'y,z,x,x,y,z'),
  ('-x,-y,-z,-x,-y,-z', '-x,-y,-z,-x,-y,-z'),
)


@pytest.mark.parametrize(
  ('signals', 'frame', 'corrected', 'note', 'warning'),
  [
    (SIGNALS, 'auto', 'x,y,z', '', ''),
    (SIGNALS[:5], 'auto', 'x,y,z', '', ''),
    (frames.FLIP(SIGNALS), 'auto', '-x,-y,-z', 'opposite', ''),
    (frames.FLIP(SIGNALS[:5]), 'auto', 'x,y,z', '', ''),  # a few windows decide nothing
    (frames.FLIP(SIGNALS), 'as_is', 'x,y,z', '', 'opposite'),
    (SIGNALS / G, 'auto', 'x,y,z', 'was converted', ''),
    (SIGNALS * G, 'auto', 'x,y,z', 'was converted', ''),
    (SIGNALS / G, 'as_is', 'x,y,z', '', 'in g'),
    (frames.FLIP(SIGNALS) / G, 'auto', '-x,-y,-z', 'was converted', ''),
    (LINEAR, 'as_is', 'x,y,z', '', 'worthless'),
    (SIGNALS / G * np.float32([1.4] * 3 + [1] * 3), 'as_is', 'x,y,z', '', 'worthless'),  # too long for g
    # Some 1 m/s² without gravity, now more and now less, is no gravity in g.
    (
      SIGNALS / G * np.geomspace(0.5, 2, len(SIGNALS), dtype=np.float32)[:, None, None],
      'as_is',
      'x,y,z',
      '',
      'worthless',
    ),
    (frames.parse('-x,-y,z')(SIGNALS), '-x,-y,z', '-x,-y,z', 'as requested', ''),
    (SIGNALS, 'flip', '-x,-y,-z', 'as requested', 'frame=x,y,z would correct it'),
    (SWAPPED, 'auto', 'x,y,z', '', 'frame=y,x,z,y,x,z fits best'),
    *(
      (frames.parse(measured)(SIGNALS), 'auto', back, 'as the gyroscope says', '')
      for measured, back in ONE_SENSOR
    ),
  ],
)
def test_what_is_certain_is_corrected_and_what_is_not_is_warned_of(signals, frame, corrected, note, warning):
  finding = _check(signals, frame)
  assert str(finding.frame) == corrected
  assert note in finding.notes[0] if note else finding.notes == []
  assert [warning in sentence for sentence in finding.warnings] == [True] * bool(warning)
  if not warning:
    np.testing.assert_allclose(finding(signals), SIGNALS[: len(signals)] if note else signals, rtol=1e-5)
  is_as_is = corrected == 'x,y,z' and not note
  assert finding.is_as_is == is_as_is
  assert (finding(signals) is signals) == is_as_is


@pytest.mark.parametrize(('late_s', 'words'), [(0.42, '0.4 s late'), (-1.3, '1.3 s early')])
def test_a_gyroscope_at_another_time_is_named(monkeypatch, late_s, words):
  monkeypatch.setattr(gyro_agreement, 'check', lambda *args: gyro_agreement.Agreement(late_s=late_s))
  assert f'The gyroscope is {words}' in ' '.join(_check(SIGNALS).warnings)


def test_a_model_of_acceleration_without_gravity_refuses_gravity():
  trained = summarize(LINEAR, ACTIVITIES.tolist(), 50)
  assert not frame_check.check(trained, LINEAR, 'auto', 50).warnings
  with pytest.raises(UserError, match=r'has gravity.*without gravity'):
    frame_check.check(trained, SIGNALS, 'auto', 50)


def test_a_few_windows_of_other_gravity_do_not_decide_whether_a_recording_has_it():
  signals = LINEAR.copy()
  signals[::10, :, 2] += 98.0  # a sensor that was stuck: ten g in a tenth of the windows
  with pytest.raises(UserError, match=r'lacks gravity'):
    _check(signals)


def test_a_gyroscope_is_compared_with_the_axes_that_it_had_in_training():
  negated = frames.parse('x,y,z,-x,-y,-z')(SIGNALS)
  trained = dataclasses.replace(SUMMARY, gyro_axes='-x,-y,-z')
  assert not frame_check.check(trained, negated, 'auto', 50).warnings
  assert not frame_check.check(trained, negated, 'auto', 50).notes
  assert _check(negated).warnings or _check(negated).notes


@pytest.mark.parametrize('rate_hz', [25, 50])
def test_windows_have_their_own_times_and_a_gap_between_them_where_units_are_looked_for(monkeypatch, rate_hz):
  def find(acc: Samples, gyro: Samples) -> str:
    starts_s = acc.time_s.reshape(-1, 128)[:, 0]
    assert np.diff(acc.time_s[:128]) == pytest.approx(1 / rate_hz)
    assert np.diff(starts_s).min() >= 128 / rate_hz + 1
    return ''

  monkeypatch.setattr(frame_check.infer, 'evident_gyro_unit', find)
  assert not frame_check.unit_warnings(SIGNALS, rate_hz)


@pytest.mark.parametrize(('frame', 'given'), [('-x,-y,z', 'auto'), ('y,z,x', 'auto'), ('y,z,x', '-x,y,-z')])
def test_a_device_worn_otherwise_is_warned_of_with_the_frame_that_fits(frame, given):
  turned = frames.parse(frame)(SIGNALS)
  finding = _check(turned, given)
  assert finding.is_as_is == (given == 'auto')
  (warning,) = finding.warnings
  suggested = frames.parse(warning.split('frame=')[1].split()[0])
  assert np.array_equal(suggested(turned), SIGNALS)


@pytest.mark.parametrize('factor', [0.5, 0.8, 1.25, 2.0, 2 * np.pi])
def test_a_wrong_rate_or_scale_of_the_gyroscope_is_warned_of_with_the_factor(factor):
  # At twice the rate, angles are half of what they should be.
  scaled = SIGNALS * np.float32([1, 1, 1, 1 / factor, 1 / factor, 1 / factor])
  for frame in ('auto', 'as_is'):
    finding = _check(scaled, frame)
    assert finding.is_as_is
    (warning,) = finding.warnings
    assert float(warning.split('Gravity turns ')[1].split()[0]) == pytest.approx(factor, rel=0.05)


def test_a_device_on_a_table_says_nothing_of_how_it_is_worn():
  rng = np.random.default_rng(0)
  table = np.float32([0, 0, -9.8, 0, 0, 0]) + 0.01 * rng.standard_normal((200, 128, 6)).astype(np.float32)
  finding = _check(np.concatenate([SIGNALS, table]))
  assert finding.is_as_is
  assert not finding.warnings


@pytest.mark.parametrize(
  ('measured', 'ways'),
  [
    ('-x,-y,-z', ['frame=-x,-y,-z would correct it']),
    ('x,y,z,-x,-y,-z', ['frame=x,y,z,-x,-y,-z if it is the gyroscope', 'nothing if the axes of both are']),
    ('z,x,y,x,y,z', ['frame=x,y,z,z,x,y if it is the gyroscope', 'frame=y,z,x,x,y,z if it is the acc']),
  ],
)
def test_a_model_of_many_positions_names_what_would_correct_it_and_changes_nothing(measured, ways):
  two = dataclasses.replace(SUMMARY.gravity[0], position='wrist')
  pooled = dataclasses.replace(SUMMARY, gravity=(two, *SUMMARY.gravity[1:]))
  finding = frame_check.check(pooled, frames.parse(measured)(SIGNALS), 'auto', 50)
  assert finding.is_as_is
  (warning,) = finding.warnings
  assert all(way in warning for way in ways), warning


def test_a_gyroscope_that_is_negated_and_too_small_is_named_with_both():
  """PDIoT's Respeck has such a gyroscope. It explains little of gravity's rotation, whatever its axes."""
  finding = _check(SIGNALS * np.float32([1, 1, 1, -0.29, -0.29, -0.29]), 'as_is')
  assert 'Gravity turns 3.4 times as fast' in finding.warnings[0]
  assert 'frame=x,y,z,-x,-y,-z would correct it' in finding.warnings[1]


def test_a_gyroscope_whose_sign_changes_half_way_is_warned_of():
  half = len(SIGNALS) // 2
  order = np.random.default_rng(0).permutation(len(SIGNALS))
  signals = SIGNALS[order]
  changed = np.concatenate([signals[:half], frames.parse('x,y,z,-x,-y,-z')(signals[half:])])
  finding = _check(changed)
  assert finding.is_as_is
  assert 'in one part of the recording, and not in another' in finding.warnings[0]
  assert not _check(signals).warnings


def test_one_of_two_files_of_the_opposite_sign_is_named():
  for other, doubts in ((TRAINED, 0), (frames.FLIP(SIGNALS), 1)):
    checked, _ = _check_files(ana=SIGNALS, ben=other)
    assert sum('opposite to that of the other files' in doubt for doubt in checked.warnings) == doubts
  many = dict.fromkeys('abcdefgh', SIGNALS) | dict.fromkeys('ij', frames.FLIP(SIGNALS))
  assert [doubt[0] for doubt in rate_check._warn_of_opposite(many)] == ['i', 'j']


def test_files_that_point_hardly_any_way_are_not_opposite():
  """Three fifths of each activity upside down leave a short mean direction."""
  mixed = np.where((np.arange(len(SIGNALS)) % 5 < 3)[:, None, None], frames.FLIP(SIGNALS), SIGNALS)
  directions = [frame_check.mean_direction(windows) for windows in (mixed, TRAINED)]
  assert directions[0] @ directions[1] < -0.85 * np.prod([np.linalg.norm(one) for one in directions])
  checked, _ = _check_files(frame='as_is', ana=TRAINED, ben=mixed.astype(np.float32))
  assert not any('opposite to that' in doubt for doubt in checked.warnings)


def test_files_of_which_one_is_short_are_checked_together():
  checked, found = _check_files(SUMMARY, ana=SIGNALS / G, ben=SIGNALS[:5] / G)
  assert found['ana'] is found['ben']
  for recording in checked.recordings:
    assert np.median(np.linalg.norm(recording.acc.values, axis=1)) == pytest.approx(9.8, abs=0.3)


def test_the_rate_is_that_of_the_longest_recording():
  reading = worn_device.reading(short=SIGNALS[:5], long=SIGNALS)
  first, longest = reading.recordings
  slow = Samples(first.acc.time_s[::2], first.acc.values[::2])
  reading.recordings[:] = dataclasses.replace(first, acc=slow), worn_device.at_speed(longest, 1.04164)
  assert rate_check.rates_hz(reading) == (52.08, 52.08)
  assert rate_check.rates_hz(dataclasses.replace(reading, has_gyro=False)) == (52.08,)


def test_of_long_recordings_evenly_spaced_parts_are_checked(monkeypatch):
  monkeypatch.setattr(rate_check, '_MOST_PARTS', 4)
  times_s = [np.arange(50 * seconds) / 50 for seconds in (150, 50)]  # a part of eight windows every 50 s
  files = {f'{len(time_s)}': np.outer(time_s, np.full(6, 0.1)).astype(np.float32) for time_s in times_s}
  reading = worn_device.reading(**files)
  windows = rate_check._evenly_spaced(reading.recordings, reading, DEFAULT_WINDOWING)
  starts_s = np.add.outer([0, 49.99, 99.98, 0], 1.28 * np.arange(15))
  np.testing.assert_allclose(10 * windows[:, 0, 0], starts_s.ravel(), atol=0.03)


@pytest.mark.parametrize('trained_hz', [45.0, 200.0])
def test_the_models_rate_is_fast_enough_whatever_the_training_had(trained_hz):
  summary = dataclasses.replace(SUMMARY, rates_hz=(trained_hz, trained_hz))
  for every, expected in ((1, 0), (2, 2 * (trained_hz == 200))):  # both sensors, at 50 and at 25 Hz
    reading = worn_device.reading(day=SIGNALS)
    (recording,) = reading.recordings
    parts = {name: getattr(recording, name) for name in ('acc', 'gyro')}
    slower = {name: Samples(part.time_s[::every], part.values[::every]) for name, part in parts.items()}
    reading.recordings[0] = dataclasses.replace(recording, **slower)
    checked, _ = rate_check.check(summary, reading, 'auto', DEFAULT_WINDOWING)
    assert sum('quick movements look different' in doubt for doubt in checked.warnings) == expected


@pytest.mark.parametrize('frame', ['-x,-y,-z', 'x,y,z,z,x,y'])
def test_samples_of_another_unit_and_frame_are_corrected(frame):
  for recording in _check_files(SUMMARY, day=frames.parse(frame)(SIGNALS) / G, other=SIGNALS)[0].recordings:
    values = np.concatenate([recording.acc.values, recording.gyro.values], axis=1)
    np.testing.assert_allclose(values, SIGNALS.reshape(-1, 6), rtol=1e-5)


def test_where_the_app_says_its_signs_nothing_is_said_to_be_unknown(monkeypatch):
  notes = ['one', frame_check.IS_UNDECIDED]
  monkeypatch.setattr(frame_check, 'check', lambda *_: frame_check.Finding(notes=list(notes)))
  for is_sure in (False, True):
    reading = dataclasses.replace(worn_device.reading(day=SIGNALS), has_sure_signs=is_sure)
    assert rate_check.check(None, reading, 'auto', DEFAULT_WINDOWING)[0].notes == notes[: 2 - is_sure]


def test_what_is_so_in_all_files_is_said_once(monkeypatch):
  finding = frame_check.Finding(notes=['one'], warnings=['doubt'])
  monkeypatch.setattr(frame_check, 'check', lambda *_: copy.deepcopy(finding))
  checked, _ = _check_files(ana=SIGNALS, ben=SIGNALS)
  assert (checked.notes, checked.warnings[0]) == (['All 2 files: one'], 'All 2 files: doubt')


BUNDLED = files.bundled_base().card.signals


@pytest.mark.parametrize('expected', [SUMMARY, None, BUNDLED])
def test_units_and_gravity_are_checked_whatever_the_card_says(expected):
  assert frame_check.check(expected, SIGNALS / G, 'auto', 50).acc_factor == pytest.approx(9.80665)
  with pytest.raises(UserError, match=r'lacks gravity.*worthless.*frame=as_is'):
    frame_check.check(expected, LINEAR, 'auto', 50)
  assert frame_check.check(expected, frames.FLIP(SIGNALS), 'auto', 50).is_as_is == (expected is not SUMMARY)


def test_the_file_that_is_refused_is_named():
  with pytest.raises(UserError, match=r'^ben: Acceleration lacks gravity'):
    _check_files(ana=SIGNALS, ben=LINEAR)


# --- the bundled base


def test_the_bundled_base_knows_its_sources_and_says_what_it_cannot_see():
  assert (BUNDLED.positions, BUNDLED.gyro_axes) == (8 + 1, 'x,y,z')
  assert BUNDLED.has_gravity
  assert BUNDLED.has_gyro
  for signals in (SIGNALS, frames.FLIP(SIGNALS)):
    finding = frame_check.check(BUNDLED, signals, 'auto', 50)
    assert finding.is_as_is
    assert finding.notes + finding.warnings
