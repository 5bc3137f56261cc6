"""The same recording, exported by any app, is read as the same samples and labels."""

import pathlib

import exports
import numpy as np
import pytest

from har_jax.data import user_recordings

ONE = exports.recording()


def _written(name: str, folder: pathlib.Path) -> exports.Written:
  for library, of in (('pyarrow', 'Parquet'), ('openpyxl', 'Excel'), ('cbor2', 'CBOR')):
    if of in name:
      pytest.importorskip(library, reason=f'{of} needs {library}')
  return exports.WRITERS[name](folder, ONE)


def _spans(recording) -> list[tuple[float, float, str]]:
  return [(round(span.start_s, 3), round(span.stop_s, 3), span.activity) for span in recording.spans]


@pytest.mark.parametrize('name', exports.WRITERS)
def test_every_format_gives_the_same_samples_and_its_labels(tmp_path, name):
  written = _written(name, tmp_path)
  reading = user_recordings.read(written.path)
  (recording,) = reading.recordings
  np.testing.assert_allclose(recording.acc.time_s, ONE.time_s, atol=1e-6)
  np.testing.assert_allclose(recording.acc.values, ONE.acc, atol=written.acc_atol, rtol=0)
  assert reading.has_gyro == (written.gyro_atol is not None)
  if written.gyro_atol is not None:
    np.testing.assert_allclose(recording.gyro.time_s, ONE.time_s, atol=1e-6)
    np.testing.assert_allclose(recording.gyro.values, ONE.gyro, atol=written.gyro_atol, rtol=0)
  assert _spans(recording) == [tuple(span) for span in written.labels or ()]
  app = 'CSV or Parquet' if name in ('CSV', 'Parquet', 'Excel') else name.partition(',')[0].partition(' (')[0]
  assert f'read as {app}.' in reading.notes[0]
