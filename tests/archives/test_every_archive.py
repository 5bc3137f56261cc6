"""Every reader of ARCHIVES: units, axes, sign, clock and labels, of a small archive and of the real one."""

import collections
import itertools
import pathlib
import sys
from collections.abc import Iterable

import cut_pieces
import numpy as np
import official
import pytest
from official import OFFICIAL, SECONDS, motion, read_texts
from zips import write, zipped_texts

from har_jax.archives import ARCHIVES
from har_jax.archives.source import Source
from har_jax.datasets.prepare import prepare
from har_jax.signal import gyro_agreement
from har_jax.signal.recording import ACTIVITIES, STANDARD_GRAVITY_M_S2, Recording, Samples

_WITH_FILES = [name for name, archive in ARCHIVES.items() if archive.marker]
_RATE_ERROR = 0.05
_FEW = 8  # recordings of a real archive that are read; those of DSADS are five times as long


def _small(name: str, folder: pathlib.Path) -> pathlib.Path:
  assert name in OFFICIAL, (
    f'{name} has no small archive: write a function in tests/archives/official.py that writes the motion in '
    'its official layout, units and axes, and add it to OFFICIAL'
  )
  return OFFICIAL[name].write(folder)


def _check(recordings: Iterable[Recording], position: str, rate_hz: float | None) -> None:
  for recording in recordings:
    assert recording.subject
    assert recording.position == position
    assert {span.activity for span in recording.spans} <= set(ACTIVITIES)
    for samples in (recording.acc, recording.gyro):
      assert np.isfinite(samples.values).all()
      assert (np.diff(samples.time_s) >= 0).all()
      if rate_hz:
        assert 1 / samples.step_s == pytest.approx(rate_hz, rel=_RATE_ERROR)


def _mean_acc(recording: Recording, activity: str) -> np.ndarray:
  """Mean acceleration, [3], during an activity; NaN if the recording lacks it."""
  times = recording.acc.time_s
  inside = [
    (span.start_s <= times) & (times < span.stop_s) for span in recording.spans if span.activity == activity
  ]
  return recording.acc.values[np.any(inside, axis=0)].mean(axis=0) if inside else np.full(3, np.nan)


def _begin_s(acc: Samples, gyro: Samples, rate_hz: float) -> float:
  """When in the motion a recording begins: an archive of windows has many."""
  times = np.arange(SECONDS * rate_hz) / rate_hz
  first = np.concatenate([acc.values[0], gyro.values[0]])
  return times[np.abs(np.concatenate(motion(times), axis=1) - first).sum(axis=1).argmin()]


@pytest.mark.parametrize('name', _WITH_FILES)
def test_a_reader_gives_back_the_motion_in_si_units_and_the_devices_axes(tmp_path, name):
  source = Source(_small(name, tmp_path))
  for position in ARCHIVES[name].positions if name in ('dsads', 'pdiot') else ARCHIVES[name].positions[:1]:
    recordings = list(ARCHIVES[name].read(source, position, collections.Counter()))
    _check(recordings, position, OFFICIAL[name].rate_hz)
    assert 'walking' in {span.activity for recording in recordings for span in recording.spans}
    for recording in recordings:
      begin_s = _begin_s(recording.acc, recording.gyro, OFFICIAL[name].rate_hz)
      acc, _ = motion(begin_s + recording.acc.time_s)
      _, gyro = motion(begin_s + recording.gyro.time_s)
      # A clock in whole milliseconds moves gravity by 0.01 m/s², and one rebuilt from bursts by some more.
      np.testing.assert_allclose(recording.acc.values, acc, atol=0.1)
      np.testing.assert_allclose(recording.gyro.values, gyro, atol=0.01)


@pytest.mark.parametrize('name', _WITH_FILES)
def test_every_code_has_the_activity_that_its_authors_publish(tmp_path, name, monkeypatch):
  monkeypatch.setattr(official, 'SECONDS', 5)
  activities = OFFICIAL[name].activities
  assert len(vars(sys.modules[ARCHIVES[name].read.__module__])['_ACTIVITIES']) == len(activities)
  for code, activity in activities.items():
    source = Source(OFFICIAL[name].write(tmp_path / str(code), code))
    recordings = ARCHIVES[name].read(source, ARCHIVES[name].positions[0], collections.Counter())
    made = {span.activity for recording in recordings for span in recording.spans}
    assert made == ({activity, 'sitting'} if name == 'dsads' else {activity})


def test_the_list_of_activities_has_those_of_all_readers():
  assert {activity for made in OFFICIAL.values() for activity in made.activities.values()} == set(ACTIVITIES)


def _read_values(name: str, path: pathlib.Path) -> tuple[list[list[np.ndarray]], collections.Counter]:
  dropped: collections.Counter = collections.Counter()
  recordings = ARCHIVES[name].read(Source(path), ARCHIVES[name].positions[0], dropped)
  return [[recording.acc.values, recording.gyro.values] for recording in recordings], dropped


@pytest.mark.parametrize('name', _WITH_FILES)
def test_an_archive_whose_zips_are_extracted_reads_the_same(tmp_path, name):
  path = _small(name, tmp_path / 'whole')
  texts = {file.replace('.zip/', '/'): text for file, text in read_texts(Source(path)).items()}
  extracted = write(tmp_path / 'extracted', texts)
  np.testing.assert_equal(_read_values(name, extracted), _read_values(name, path))


@pytest.mark.parametrize(
  ('name', 'end', 'unit', 'has_repeats'),
  [
    ('wisdm', 'accel_phone.txt', 'rows', True),  # rows of one time may differ, and stay
    ('wisdm', 'gyro_phone.txt', 'rows', True),
    ('sp_sw_har', '_sp.csv', 'rows', True),
    ('weda_fall', '_accel.csv', 'bursts', True),
    ('weda_fall', '_gyro.csv', 'bursts', True),
    ('realworld', 'acc_walking_waist.csv', 'rows', False),
    ('realworld', 'Gyroscope_walking_waist.csv', 'rows', False),
    ('hhar', 'Phones_accelerometer.csv', 'rows', False),
    ('hhar', 'Phones_gyroscope.csv', 'rows', False),
    ('pamap2', '.dat', 'rows', False),
  ],
)
def test_rows_out_of_order_are_sorted_and_counted_and_repeats_of_a_time_left_out(
  tmp_path, name, end, unit, has_repeats
):
  texts = read_texts(Source(_small(name, tmp_path)))
  file = next(file for file in texts if file.endswith(end))

  def read(lines: list[str]) -> tuple[list[list[np.ndarray]], collections.Counter]:
    (tmp_path / 'a.zip').write_bytes(zipped_texts(texts | {file: ''.join(lines)}))
    return _read_values(name, tmp_path / 'a.zip')

  lines = texts[file].splitlines(keepends=True)
  (whole,), before = read(lines)
  (ordered,), dropped = read([*lines[:50], lines[51], lines[50], *lines[52:]])
  np.testing.assert_equal(ordered, whole)
  assert dropped - before == {f'{unit} out of order, sorted': 1}
  (again,), dropped = read([*lines[:60], lines[59], *lines[60:]])
  sensor = 'gyr' in end.lower()
  assert len(again[sensor]) == len(whole[sensor]) + has_repeats
  assert dropped - before == ({} if has_repeats else {'rows at the same moment as another': 1})


@pytest.mark.parametrize('name', _WITH_FILES)
def test_a_small_archive_is_prepared_without_a_word(tmp_path, name, caplog):
  windows = prepare(ARCHIVES[name], _small(name, tmp_path), tmp_path / 'windows', progress=False)
  assert len(windows.signals) > 0
  assert caplog.messages == []


def test_positions_have_the_names_that_flags_and_cards_have():
  assert {name for archive in ARCHIVES.values() for name in archive.positions} == {
    *('waist', 'pocket', 'chest', 'wrist', 'torso', 'right_arm', 'left_arm', 'right_leg', 'left_leg'),
    *('forearm', 'head', 'shin', 'thigh', 'upperarm', 'hand', 'ankle'),
  }
  first = {'pdiot': 'pocket', 'weda_fall': 'wrist', 'sp_sw_har': 'pocket', 'liara': 'wrist', 'hapt': 'waist'}
  assert {name: ARCHIVES[name].positions[0] for name in first} == first


@pytest.mark.parametrize('name', [name for name in ARCHIVES if name not in _WITH_FILES])
def test_an_archive_of_the_package_has_units_labels_and_finite_values(name):
  archive = ARCHIVES[name]
  assert archive.bundled is not None
  for position in archive.positions:
    recordings = archive.read(Source(archive.bundled), position, collections.Counter())
    _check(itertools.islice(recordings, _FEW), position, None)


@pytest.mark.slow
@pytest.mark.archives
@pytest.mark.parametrize('name', _WITH_FILES)
def test_a_real_archive_has_units_labels_and_its_rate(real_recordings, name):
  for position in ARCHIVES[name].positions:
    recordings, _ = real_recordings(name, position, 2 if name == 'dsads' else _FEW)
    _check(recordings, position, OFFICIAL[name].rate_hz)
    lengths = [np.median(np.linalg.norm(recording.acc.values, axis=1)) for recording in recordings]
    assert np.median(lengths) == pytest.approx(STANDARD_GRAVITY_M_S2, rel=0.15)
    for activity in {span.activity for recording in recordings for span in recording.spans}:
      if up := OFFICIAL[name].up.get((position, activity)):
        means = [_mean_acc(recording, activity) for recording in recordings]
        assert np.nanmean(means, axis=0) @ up > 0.9 * STANDARD_GRAVITY_M_S2
    turns = np.concatenate([np.linalg.norm(recording.gyro.values, axis=1) for recording in recordings])
    assert np.quantile(turns, 0.95) < 20  # in degrees per second it is some hundreds


@pytest.mark.slow
@pytest.mark.archives
@pytest.mark.parametrize(
  ('name', 'position', 'turning', 'calm', 'error'),
  [
    ('pdiot', 'pocket', '', 'sitting', 0.01),
    ('pdiot', 'chest', 'miscellaneous_movement', '', 0),  # its angular velocity is corrected
    ('weda_fall', 'wrist', '', 'opening_door', 0.05),
    ('sp_sw_har', 'pocket', '', 'sitting', 0.06),
    ('sp_sw_har', 'wrist', '', 'sitting', 0.06),
  ],
)
def test_gravity_of_a_real_archive_turns_as_the_gyroscope_says(
  real_recordings, name, position, turning, calm, error
):
  recordings, dropped = real_recordings(name, position)
  begins = [recording.spans[0].activity for recording in recordings]
  chosen = [one for one, begin in zip(recordings, begins, strict=True) if turning in ('', begin)]
  some = chosen[:: -(-len(chosen) // 60)]
  cut = cut_pieces.cut_all(some, dropped, majority_label=ARCHIVES[name].majority_label)
  signals = np.stack([window.signal for window in cut[:: -(-len(cut) // 600)]])
  assert gyro_agreement.check(signals, 50) == gyro_agreement.Agreement(is_known=True)
  norms = [
    np.linalg.norm(one.acc.values, axis=1).mean() for one in recordings if one.spans[0].activity == calm
  ]
  assert not calm or np.median(norms) == pytest.approx(STANDARD_GRAVITY_M_S2, rel=error)


# Archive, position, people, rows of both sensors, rates, what is left out, and counts by activity: recordings
# that begin with it, and windows. People and rows are as in the files. The README of WEDA-FALL has 14 people
# who fall in seven ways three times, and in one four times.
REAL = [
  ('liara', 'wrist', 10, (217_633, 217_633), (54,), {}, {
    'walking': (10, 213), 'running': (10, 221), 'sitting': (10, 228), 'lunging': (100, 302),
    'marching': (100, 301), 'sit_ups': (100, 302), 'squatting': (100, 302), 'stand_to_sit': (100, 0),
    'sit_to_stand': (100, 0), 'turning_wrist': (100, 0),
  }),
  ('pdiot', 'pocket', 102, (911_490, 911_490), (25,), {
    'clips that are the same under two names': 8, 'clips whose rows are repeated': 2,
  }, {
    'upstairs': (101, 2221), 'downstairs': (101, 2219), 'lying': (102, 2248), 'lying_on_side': (203, 4464),
    'lying_on_stomach': (101, 2220), 'miscellaneous_movement': (99, 2175), 'walking': (101, 2222),
    'running': (99, 2177), 'shuffle_walking': (98, 2161), 'sitting': (99, 2175), 'standing': (99, 2178),
  }),
  ('pdiot', 'chest', 71, (745_343, 745_343), (25,), {
    'clips that are the same under two names': 2, 'clips whose rows are repeated': 1,
  }, {
    'upstairs': (69, 1516), 'downstairs': (67, 1468), 'lying': (71, 1565), 'lying_on_side': (142, 3129),
    'lying_on_stomach': (71, 1563), 'miscellaneous_movement': (70, 1541), 'walking': (71, 1562),
    'running': (70, 1538), 'shuffle_walking': (68, 1501), 'sitting': (142, 3130), 'standing': (142, 3125),
  }),
  ('weda_fall', 'wrist', 25, (571_460, 571_372), (49.4, 39.5), {
    'bursts out of order, sorted': 63, 'accelerometer rows before and after a fall': 126_104,
  }, {
    'walking': (68, 884), 'running': (42, 530), 'stairs': (52, 1089), 'sitting_and_getting_up': (71, 523),
    'collapsing_into_chair': (42, 267), 'crouching': (42, 427), 'stumbling': (42, 251),
    'jumping_to_reach': (42, 154), 'hitting_table': (73, 257), 'clapping': (74, 470),
    'opening_door': (71, 548), 'falling': (14 * 7 * 3 + 14 * 4, 362),
  }),
  ('sp_sw_har', 'pocket', 23, (259_213, 259_213), (102.45,), {}, {
    'sitting': (219, 49), 'sit_to_stand': (4, 166), 'walking': (0, 1050), 'turning': (0, 197),
    'stand_to_sit': (0, 172),
  }),
  ('sp_sw_har', 'wrist', 23, (262_553, 262_553), (104.27,), {}, {
    'sitting': (219, 47), 'sit_to_stand': (4, 166), 'walking': (0, 1052), 'turning': (0, 193),
    'stand_to_sit': (0, 169),
  }),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.archives
@pytest.mark.parametrize(('name', 'position', 'people', 'rows', 'rates_hz', 'left_out', 'counts'), REAL)
def test_a_real_archive_has_these_people_rows_recordings_and_windows(
  real_recordings, name, position, people, rows, rates_hz, left_out, counts
):
  recordings, dropped = real_recordings(name, position)
  assert dropped == left_out
  assert len({recording.subject for recording in recordings}) == people
  sensors = zip(*((recording.acc, recording.gyro) for recording in recordings), strict=True)
  assert tuple(sum(len(samples.values) for samples in parts) for parts in sensors) == rows
  off_hz = [min(abs(1 / recording.acc.step_s - hz) for hz in rates_hz) for recording in recordings]
  assert max(off_hz) < 0.5
  cut = cut_pieces.cut_all(recordings, dropped, majority_label=ARCHIVES[name].majority_label)
  by_activity = (
    collections.Counter(recording.spans[0].activity for recording in recordings),
    collections.Counter(window.activity for window in cut),
  )
  assert {activity: tuple(count[activity] for count in by_activity) for activity in counts} == counts
  assert set().union(*by_activity) == set(counts)
