"""Whatever a user's file holds, the answer is a reading or one short sentence, in bounded memory."""

import contextlib
import gzip
import io
import pathlib
import zipfile

import export_base
import exports
import numpy as np
import pandas as pd
import pytest
import user_files

from har_jax import recordings
from har_jax.errors import UserError

ONE = export_base.recording(300)


@pytest.mark.parametrize('name', exports.WRITERS)
def test_a_damaged_export_is_read_or_refused_in_a_sentence(tmp_path, name):
  for part, library in exports.LIBRARIES.items():
    if part in name:
      pytest.importorskip(library, reason=f'{part} needs {library}')
  rng = np.random.default_rng(sum(name.encode()))
  path = exports.WRITERS[name](tmp_path, ONE).path
  files = [path] if path.is_file() else sorted(each for each in path.rglob('*') if each.is_file())
  whole = {file: file.read_bytes() for file in files}
  for turn in range(6):
    file = files[int(rng.integers(len(files)))]
    data = bytearray(whole[file])
    if turn % 2:
      data = data[: int(rng.integers(len(data)))]
    else:
      for at in rng.integers(len(data), size=1 + turn):
        data[at] = int(rng.integers(256))
    file.write_bytes(data)
    with contextlib.suppress(UserError):
      recordings.to_windows(recordings.read(path), unlabeled=True)
    file.write_bytes(whole[file])


def _frame(samples: int = 1000) -> pd.DataFrame:
  return user_files.frame(*user_files.signal(samples))


@pytest.mark.parametrize(('column', 'rows'), [('ax', 2), ('gz', 2)])
@pytest.mark.parametrize('value', [1e30, -600.0, 1e39])
def test_values_that_no_motion_gives_are_left_out_and_counted(tmp_path, column, rows, value):
  frame = _frame()
  frame.loc[[100, 500], column] = value
  reading = recordings.read(user_files.written(tmp_path, frame))
  (recording,) = reading.recordings
  sensor = recording.acc if column == 'ax' else recording.gyro
  assert len(sensor.time_s) == 1000 - rows
  assert np.abs(sensor.values).max() < 20
  assert any(
    f'2 {"acc" if column == "ax" else "gyr"}' in each and 'beyond 50 g' in each for each in reading.warnings
  )


def test_a_clock_in_bursts_is_put_on_the_grid_of_its_count_over_its_span(tmp_path):
  frame = _frame(1500)
  frame['time'] = np.repeat(np.arange(150) * 0.2, 10) + np.tile(np.arange(10) * 1e-6, 150)
  reading = recordings.read(user_files.written(tmp_path, frame), time_unit='s')
  steps_s = np.diff(reading.recordings[0].acc.time_s)
  np.testing.assert_allclose(steps_s, 149 * 0.2 / 1499, rtol=1e-3)
  assert any('clock in bursts' in each and '50.3 Hz' in each for each in reading.warnings)
  assert len(recordings.to_windows(reading, unlabeled=True)) == 22


def test_lost_rows_are_no_bursts(tmp_path):
  kept = np.random.default_rng(1).random(1000) < 0.5
  reading = recordings.read(user_files.written(tmp_path, _frame()[kept]))
  assert not any('bursts' in each for each in reading.warnings)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda f: f.assign(time=f['time'] * 1e298), 'spans .* days'),
    (lambda f: f.assign(time=np.where(f.index == 7, 1e300, f['time'])), 'spans .* days'),
    (lambda f: f.assign(time=np.where(f.index == 0, -1e300, f['time'])), 'is no time in any unit'),
    (lambda f: f.rename(columns={'ax': 'x' * 10_000}), r'known name; its columns are .*characters\)'),
  ],
)
def test_times_and_names_beyond_all_bounds_are_refused(tmp_path, change, message):
  path = user_files.written(tmp_path, change(_frame()))
  with pytest.raises(UserError, match=message) as caught:
    recordings.read(path)
  assert len(str(caught.value)) < 1500


def test_infinite_times_are_missing(tmp_path):
  frame = _frame()
  frame.loc[3, 'time'] = np.inf
  reading = recordings.read(user_files.written(tmp_path, frame))
  assert len(reading.recordings[0].acc.time_s) == 999


def test_a_label_cannot_be_the_time(tmp_path):
  path = user_files.written(tmp_path, _frame())
  with pytest.raises(UserError, match='label=time, which is a sensor or the time'):
    recordings.read(path, columns={'label': 'time'})
  with pytest.raises(UserError, match='rate_hz is 1e-300'):
    recordings.read(path, rate_hz=1e-300)


def test_a_row_with_a_field_too_many_is_refused(tmp_path):
  # As decimal commas between commas: the rest would be read as other numbers.
  lines = _frame().round(3).to_csv(index=False).splitlines()
  lines[700] = lines[700].replace('.', ',', 1)
  (tmp_path / 'walk.csv').write_text('\n'.join(lines))
  with pytest.raises(
    UserError, match=r'line 701 has 8 fields, but there are 7 names .is a comma its decimal'
  ):
    recordings.read(tmp_path / 'walk.csv')


def test_a_point_among_decimal_commas_is_refused_with_its_line(tmp_path):
  frame = user_files.frame(*user_files.signal()).round(6)
  frame['time'] = [f'{1000 * second:,.0f}'.replace(',', '.') for second in frame['time']]
  path = user_files.written(tmp_path, frame, sep=';', decimal=',')
  with pytest.raises(UserError, match=r"line 52 has '1\.000' in column 'time', which is no number"):
    recordings.read(path)


def test_quoted_line_breaks_and_commas_are_part_of_a_label(tmp_path):
  path = user_files.written(tmp_path, _frame())
  (tmp_path / 'labels.csv').write_text('start,end,activity\n1,8,"walk,\nfast"\n9,18,sit\n')
  reading = recordings.read(path, labels=tmp_path / 'labels.csv')
  assert user_files.spans(reading.recordings[0]) == [(1, 8, 'walk,fast'), (9, 18, 'sit')]


def test_parquet_with_a_name_twice_or_labels_of_bytes(tmp_path):
  pyarrow = pytest.importorskip('pyarrow')
  pytest.importorskip('pyarrow.parquet')
  table = pyarrow.Table.from_pandas(_frame().assign(label=[b'walk'] * 1000))
  pyarrow.parquet.write_table(table, tmp_path / 'walk.parquet')
  reading = recordings.read(tmp_path / 'walk.parquet')
  assert user_files.spans(reading.recordings[0]) == [(0, 20, 'walk')]
  twice = table.rename_columns(['time', 'ax', 'ax', *table.column_names[3:]])
  pyarrow.parquet.write_table(twice, tmp_path / 'walk.parquet')
  with pytest.raises(UserError, match='has the column ax 2 times'):
    recordings.read(tmp_path / 'walk.parquet')


# --- packed files


def _zip(path: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as zipped:
    for name, data in files.items():
      zipped.writestr(name, data)
  return path


def test_a_zip_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.archive_limits._ANY_RATIO_BYTES', 1 << 20)
  zeros = b'0' * (4 << 20)
  with pytest.raises(UserError, match=r'would unpack [\d,]+ bytes to 4 MiB'):
    recordings.read(_zip(tmp_path / 'a.zip', {'walk.csv': zeros}))
  (tmp_path / 'b.csv.gz').write_bytes(gzip.compress(zeros, 1))
  with pytest.raises(UserError, match='first line of over 64 KiB'):
    recordings.read(tmp_path / 'b.csv.gz')
  rows = b'time,ax,ay,az\n0.0,1,2,9\n' + b'\n' * (4 << 20)
  (tmp_path / 'c.csv.gz').write_bytes(gzip.compress(rows, 1))
  with pytest.raises(UserError, match=r'would unpack [\d,]+ bytes to'):
    recordings.read(tmp_path / 'c.csv.gz')


def test_zips_in_zips_and_too_many_files_are_refused(tmp_path, monkeypatch):
  inner = io.BytesIO()
  with zipfile.ZipFile(inner, 'w') as zipped:
    zipped.writestr('walk.csv', 'time,ax,ay,az\n')
  with pytest.raises(UserError, match='is a zip in a zip: extract it first'):
    recordings.read(_zip(tmp_path / 'a.zip', {'b.zip': inner.getvalue()}))
  monkeypatch.setattr('har_jax.recordings.archive_limits.MAX_MEMBERS', 3)
  with pytest.raises(UserError, match='has over 3 files'):
    recordings.read(_zip(tmp_path / 'c.zip', {f'{i}.csv': b'' for i in range(5)}))


def test_an_encrypted_zip_is_refused(tmp_path):
  data = bytearray(_zip(tmp_path / 'a.zip', {'walk.csv': b'time,ax\n' * 9}).read_bytes())
  for signature, at in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
    data[data.index(signature) + at] |= 1  # the bit that says so
  (tmp_path / 'a.zip').write_bytes(data)
  with pytest.raises(UserError, match=r'RuntimeError.*password'):
    recordings.read(tmp_path / 'a.zip')
