"""MotionSense: gravity added, the sign of the other archives, the published number of rows."""

import collections
from collections.abc import Iterator

import numpy as np
import pytest

from har_jax.archives.motionsense import ARCHIVE
from har_jax.archives.source import Source
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Recording, Span

HEADER = (
  ',attitude.roll,attitude.pitch,attitude.yaw,gravity.x,gravity.y,gravity.z,'
  'rotationRate.x,rotationRate.y,rotationRate.z,'
  'userAcceleration.x,userAcceleration.y,userAcceleration.z\n'
)
CODES = {
  'dws': 'downstairs', 'jog': 'running', 'sit': 'sitting', 'std': 'standing', 'ups': 'upstairs',
  'wlk': 'walking',
}  # fmt: skip
ROWS = {  # of subject 1
  'downstairs': 5_105, 'upstairs': 6_336, 'walking': 11_112, 'running': 6_428, 'sitting': 20_584,
  'standing': 12_747,
}  # fmt: skip


def _folder(tmp_path, files: dict[str, str]) -> Source:
  for name, content in files.items():
    path = tmp_path / 'A_DeviceMotion_data' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
  return Source(tmp_path)


def _read(source: Source) -> Iterator[Recording]:
  return ARCHIVE.read(source, 'pocket', collections.Counter())


def test_a_phone_lying_face_up_reads_plus_one_g_on_z(tmp_path):
  # iOS has gravity (0, 0, -1) there; user acceleration along it increases the reading.
  text = HEADER + '0,0,0,0,0,0,-1,0.1,0.2,0.3,0,0,0\n' + '1,0,0,0,0,0,-1,0,0,0,0,0,-0.5\n'
  (recording,) = _read(_folder(tmp_path, {'std_6/sub_1.csv': text}))
  np.testing.assert_allclose(
    recording.acc.values / STANDARD_GRAVITY_M_S2, [[0, 0, 1], [0, 0, 1.5]], rtol=1e-6
  )
  np.testing.assert_allclose(recording.gyro.values[0], [0.1, 0.2, 0.3], rtol=1e-6)
  assert recording.spans == (Span(0.0, 0.04, 'standing'),)


def test_recordings_come_by_subject_then_trial_as_numbers(tmp_path):
  text = HEADER + '0,0,0,0,0,0,-1,0,0,0,0,0,0\n'
  names = ['ups_12/sub_2.csv', 'ups_3/sub_2.csv', 'dws_1/sub_10.csv', 'sit_5/sub_2.csv']
  recordings = _read(_folder(tmp_path, dict.fromkeys(names, text)))
  assert [(r.subject, r.spans[0].activity) for r in recordings] == [
    ('2', 'upstairs'), ('2', 'sitting'), ('2', 'upstairs'), ('10', 'downstairs')
  ]  # fmt: skip


def test_missing_files_are_counted(tmp_path):
  text = HEADER + '0,0,0,0,0,0,-1,0,0,0,0,0,0\n'
  source, dropped = (
    _folder(tmp_path, dict.fromkeys(['wlk_7/sub_1.csv', 'sit_5/sub_1.csv'], text)),
    collections.Counter(),
  )
  assert len(list(ARCHIVE.read(source, 'pocket', dropped))) == 2
  assert dropped == {'files of the archive missing': 24 * 15 - 2}


def test_every_code_has_its_activity(tmp_path):
  text = HEADER + '0,0,0,0,0,0,-1,0,0,0,0,0,0\n'
  for code, activity in CODES.items():
    (recording,) = _read(_folder(tmp_path / code, {f'{code}_1/sub_1.csv': text}))
    assert recording.spans[0].activity == activity


@pytest.mark.archives
def test_subject_1_of_the_real_archive_has_the_published_rows(real_recordings):
  rows = collections.Counter()
  for recording in real_recordings('motionsense', 'pocket', 15)[0]:
    assert recording.subject == '1'
    rows[recording.spans[0].activity] += len(recording.acc.values)
    assert np.isfinite(recording.acc.values).all()
  assert rows == ROWS


@pytest.mark.slow
@pytest.mark.archives
def test_everyone_of_the_real_archive_stands_in_the_published_rows(real_archive, monkeypatch):
  source = Source(real_archive('motionsense'))
  names = source.find('A_DeviceMotion_data/std_*/sub_*.csv')
  monkeypatch.setattr(source, 'find', lambda _: names)  # reading all takes long
  standing = list(_read(source))
  assert sum(len(recording.acc.values) for recording in standing) == 306_427
  by_subject = {recording.subject: recording.acc.values for recording in reversed(standing)}
  assert len(by_subject) == 24
  means = np.array([values.mean(axis=0) for values in by_subject.values()])
  np.testing.assert_allclose(np.linalg.norm(means, axis=1), STANDARD_GRAVITY_M_S2, rtol=0.02)
  # Nearly everyone has the phone upside down in the pocket: -y is up.
  assert (means[:, 1] < -8).mean() > 0.8
