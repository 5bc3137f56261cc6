"""A source reads zips, zips in zips and folders alike, and reports damage."""

import hashlib
import pathlib
import zipfile
from unittest import mock

import numpy as np
import pytest
from zips import write, write_zip, zipped

from har_jax.archives.source import Source, read_rows
from har_jax.errors import UserError


def _read(source: Source, name: str) -> bytes:
  with source.open(name) as file:
    return file.read()


FILES = {'Top folder/raw/a.txt': '1\n', 'Top folder/raw/b.txt': '2\n', '__MACOSX/Top folder/raw/._a.txt': 'x'}


def test_a_zip_and_its_extracted_folder_have_the_same_files(tmp_path):
  archived = Source(write_zip(tmp_path / 'archive.zip', FILES))
  with zipfile.ZipFile(tmp_path / 'archive.zip') as archive:
    archive.extractall(tmp_path / 'out')
  folder = Source(tmp_path / 'out')
  deeper = Source(tmp_path / 'out' / 'Top folder')
  assert archived.names == folder.names == ['Top folder/raw/a.txt', 'Top folder/raw/b.txt']
  for source in (archived, folder, deeper):
    (name,) = source.find('raw/b.txt')
    assert _read(source, name) == b'2\n'
    assert source.find_one('*.txt', without='a.txt') == name
    with pytest.raises(UserError, match=r'expected one file \*\.txt, found 2'):
      source.find_one('*.txt')


def test_zips_within_zips_are_folders(tmp_path):
  innermost = zipped({'c.csv': 'deep'})
  path = write_zip(
    tmp_path / 'outer.zip', {'x/one.zip': zipped({'a.csv': 'A', 'two.zip': innermost}), 'b.csv': 'B'}
  )
  source = Source(path)
  assert source.names == ['b.csv', 'x/one.zip/a.csv', 'x/one.zip/two.zip/c.csv']
  # Forward and backward, so that the inner zip changes.
  assert [_read(source, name) for name in (*source.names, *source.names[::-1])] == [
    b'B', b'A', b'deep', b'deep', b'A', b'B'
  ]  # fmt: skip
  source = Source(write(tmp_path / 'folder', {'y/in.zip': zipped({'c.csv': 'deep', 'd.csv': 'D'})}))
  with mock.patch.object(zipfile, 'ZipFile', wraps=zipfile.ZipFile) as opened:
    assert [_read(source, name) for name in source.names] == [b'deep', b'D']
  assert opened.call_count == 1


def test_a_folder_named_like_a_zip_is_a_folder(tmp_path):
  assert _read(Source(write(tmp_path, {'HAPT.zip/raw.zip/a.txt': '1'})), 'HAPT.zip/raw.zip/a.txt') == b'1'
  assert _read(Source(write_zip(tmp_path / 'z', {'raw.zip/a.txt': '1'})), 'raw.zip/a.txt') == b'1'


def test_an_entry_name_cannot_lead_outside(tmp_path):
  write(tmp_path, {'secret': 'outside', 'in/a.zip': zipped({'../secret': 'inside', '/etc/x': 'inside'})})
  source = Source(tmp_path / 'in' / 'a.zip')
  assert _read(source, '../secret') == b'inside'
  assert (tmp_path / 'secret').read_text() == 'outside'
  assert sorted(path.name for path in tmp_path.rglob('*')) == ['a.zip', 'in', 'secret']
  with pytest.raises(UserError, match='has no file'), Source(tmp_path / 'in').open('../secret'):
    pass


def test_a_missing_file_and_a_file_of_another_kind_are_errors(tmp_path):
  with pytest.raises(UserError, match=r'missing\.zip'):
    Source(tmp_path / 'missing.zip')
  (tmp_path / 'page.zip').write_text('<html>not found</html>')
  with pytest.raises(UserError, match=r'page\.zip is not a zip'):
    Source(tmp_path / 'page.zip')


@pytest.mark.parametrize('fraction', [0.5, 0.99])
def test_a_truncated_zip_is_an_error(tmp_path, fraction):
  content = zipped({'a.txt': np.random.default_rng(0).bytes(10_000)})
  (tmp_path / 'part.zip').write_bytes(content[: int(len(content) * fraction)])
  with pytest.raises(UserError, match='truncated'):
    Source(tmp_path / 'part.zip')
  path = write_zip(tmp_path / 'outer.zip', {'part.zip': content[: int(len(content) * fraction)]})
  with pytest.raises(UserError, match=r'part\.zip inside is not a zip'):
    Source(path).names  # noqa: B018


@pytest.mark.parametrize('offset', [60, 5000])  # in the head of the deflated stream, and in its middle
def test_damaged_bytes_are_an_error(tmp_path, offset):
  content = bytearray(
    zipped({'a.txt': np.random.default_rng(0).integers(65, 80, 20_000, np.uint8).tobytes()})
  )
  content[offset : offset + 40] = bytes(40)
  (tmp_path / 'damaged.zip').write_bytes(content)
  with pytest.raises(UserError, match=r'a\.txt cannot be read'):
    _read(Source(tmp_path / 'damaged.zip'), 'a.txt')


def test_an_error_of_the_reader_passes_through(tmp_path):
  source = Source(write_zip(tmp_path / 'a.zip', {'a.txt': '1'}))
  with pytest.raises(RuntimeError, match='mine'), source.open('a.txt'):
    raise RuntimeError('mine')


def test_the_checksum_is_that_of_the_zip_or_of_the_listing(tmp_path):
  path = write_zip(tmp_path / 'a.zip', {'a.txt': '1'})
  assert Source(path).checksum() == 'sha256:' + hashlib.sha256(path.read_bytes()).hexdigest()
  before, after = (Source(write(tmp_path / 'folder', {'a.txt': text})).checksum() for text in ('1', '12'))
  assert before.startswith('listing-sha256:')
  assert before != after


def _rows_of(tmp_path: pathlib.Path, text: str, **options):
  return read_rows(Source(write(tmp_path / 'folder', {'t.csv': text})), 't.csv', **options)


def test_columns_are_read_by_number_or_by_name(tmp_path):
  np.testing.assert_array_equal(_rows_of(tmp_path, '1,2\n3,nan\n', columns=2), [[1, 2], [3, np.nan]])
  # As MotionSense: a byte-order mark, a nameless index, columns in another order than requested.
  text = '\ufeff,b,a\n0,1,2\n1,3,4\n'
  np.testing.assert_array_equal(_rows_of(tmp_path, text, columns=['a', 'b']), [[2, 1], [4, 3]])


@pytest.mark.parametrize(
  ('text', 'columns', 'message'),
  [
    ('1,2\n3,x\n', 2, "could not convert string 'x'"),
    ('1,2\n3\n', 2, 'line 2 has 1 columns where 2 are expected'),
    ('1,2,3\n', 2, 'line 1 has 3 columns where 2 are expected'),
    ('', 2, 'has no rows'),
    ('a,b\n1,2\n', ['a', 'c'], 'has no column c; it has a, b'),
    ('a,b\n1,2\n1\n', ['a', 'b'], 'line 3 has 1 columns where 2 are expected'),
    ('a,b\n1,2\n3,4,5\n', ['a', 'b'], 'line 3 has 3 columns'),  # such as decimal commas
    ('a,b\n1,2\n' + '1' * 100_000 + ',2\n', ['a', 'b'], 'line 3 has more than 65,536 bytes'),
    ('a,b\n', ['a', 'b'], 'has no rows'),
  ],
)
def test_a_malformed_table_names_its_file_and_the_error(tmp_path, text, columns, message):
  with pytest.raises(UserError, match=message) as raised:
    _rows_of(tmp_path, text, columns=columns)
  assert 't.csv' in str(raised.value)


def _bounded(tmp_path, files) -> list[str]:
  return Source(write_zip(tmp_path / 'a.zip', files)).names


def _nested(depth: int) -> dict[str, bytes | str]:
  return {'a.zip': zipped(_nested(depth - 1))} if depth else {'a.csv': '1'}


def test_zips_may_be_nested_three_deep_and_no_deeper(tmp_path):
  assert _bounded(tmp_path, _nested(3)) == ['a.zip/a.zip/a.zip/a.csv']
  with pytest.raises(UserError, match=r'a\.zip/a\.zip/a\.zip/a\.zip is the 4th zip within a zip'):
    _bounded(tmp_path, _nested(4))


def test_zeros_that_would_fill_memory_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.limits._ANY_RATIO_BYTES', 3 << 20)
  assert _bounded(tmp_path, {'a.csv': bytes(3 << 20)}) == ['a.csv']  # harmless, at any ratio
  with pytest.raises(UserError, match=r'would unpack [\d,]+ bytes to 4 MiB'):
    _bounded(tmp_path, {'a.csv': bytes(4 << 20)})
  with pytest.raises(UserError, match='would unpack'):
    _bounded(tmp_path, {'in.zip': zipped({'a.csv': bytes(4 << 20)})})
  folder = write(tmp_path / 'folder', {'in.zip': zipped({'a.csv': bytes(4 << 20)})})
  with pytest.raises(UserError, match='would unpack'):
    Source(folder).names  # noqa: B018


def test_the_bytes_and_files_of_an_archive_are_bounded(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.recordings.limits.MAX_MEMBERS', 3)
  with pytest.raises(UserError, match='over 3 files'):
    _bounded(tmp_path, {'1': '', '2': '', 'in.zip': zipped({'3': ''})})
  monkeypatch.setattr('har_jax.recordings.limits.MAX_BYTES', 10)
  with pytest.raises(UserError, match='would unpack to 0 MiB'):
    _bounded(tmp_path, {'a.csv': '0123456789a'})
  folder = write(tmp_path / 'folder', {name: zipped({'a.csv': '012345'}) for name in ('1.zip', '2.zip')})
  with pytest.raises(UserError, match='would unpack to 0 MiB'):
    Source(folder).names  # noqa: B018


@pytest.mark.parametrize('name', ['b.csv', 'a.cs', ''])
def test_a_name_that_a_damaged_directory_changes_is_refused(tmp_path, name):
  path = write_zip(tmp_path / 'a.zip', {'a.csv': '1', 'x.csv': '2'})
  head, entry, tail = path.read_bytes().partition(b'PK\1\2')
  entry += tail.replace(b'a.csv', name.encode().ljust(5, b'\0'), 1)
  path.write_bytes(head + entry)
  with pytest.raises(UserError, match='damaged'):
    Source(path).names  # noqa: B018


def test_a_table_that_would_fill_memory_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr('har_jax.archives.source._MAX_TABLE_BYTES', 1000)
  assert len(_rows_of(tmp_path, '1,2\n' * 249, columns=2)) == 249
  with pytest.raises(UserError, match=r't\.csv has more than 0 MiB'):
    _rows_of(tmp_path, '1,2\n' * 300, columns=2)


@pytest.mark.parametrize('text', ['1,2\n3,4', '1,2\r\n\r\n3,4\r\n\n'])
def test_blank_lines_and_a_missing_last_line_break_are_no_damage(tmp_path, text):
  np.testing.assert_array_equal(_rows_of(tmp_path, text, columns=2), [[1, 2], [3, 4]])
