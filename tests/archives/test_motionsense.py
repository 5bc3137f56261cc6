"""MotionSense: subjects and trials in order, codes, the published number of rows."""

import collections

import numpy as np
import pytest

from har_jax.archives.motionsense import ARCHIVE
from har_jax.archives.source import Source
from har_jax.signal.recording import STANDARD_GRAVITY_M_S2, Span

HEADER = (
  ',attitude.roll,attitude.pitch,attitude.yaw,gravity.x,gravity.y,gravity.z,'
  'rotationRate.x,rotationRate.y,rotationRate.z,'
  'userAcceleration.x,userAcceleration.y,userAcceleration.z\n'
)
ROWS = {  # of subject 1
  'downstairs': 5_105, 'upstairs': 6_336, 'walking': 11_112, 'running': 6_428, 'sitting': 20_584,
  'standing': 12_747,
}  # fmt: skip


def _files(*names: str) -> dict[str, str]:
  return {f'A_DeviceMotion_data/{name}.csv': HEADER + 2 * '0,0,0,0,0,0,-1,0,0,0,0,0,0\n' for name in names}


def test_recordings_come_by_subject_then_trial_as_numbers_and_missing_files_are_counted(read):
  recordings, dropped = read(_files('ups_12/sub_2', 'ups_3/sub_2', 'dws_1/sub_10', 'sit_5/sub_2'))
  made = [('2', 'upstairs'), ('2', 'sitting'), ('2', 'upstairs'), ('10', 'downstairs')]
  assert [(r.subject, r.spans) for r in recordings] == [
    (subject, (Span(0.0, 0.04, activity),)) for subject, activity in made
  ]
  assert dropped == {'files of the archive missing': 24 * 15 - 4}


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
  standing = list(ARCHIVE.read(source, 'pocket', collections.Counter()))
  assert sum(len(recording.acc.values) for recording in standing) == 306_427
  by_subject = {recording.subject: recording.acc.values for recording in reversed(standing)}
  assert len(by_subject) == 24
  means = np.array([values.mean(axis=0) for values in by_subject.values()])
  np.testing.assert_allclose(np.linalg.norm(means, axis=1), STANDARD_GRAVITY_M_S2, rtol=0.02)
  # Nearly everyone has the phone upside down in the pocket: -y is up.
  assert (means[:, 1] < -8).mean() > 0.8
