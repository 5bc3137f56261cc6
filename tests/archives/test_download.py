"""A download is complete, or an error that keeps the bytes so far. The server here is a thread."""

import contextlib
import dataclasses
import hashlib
import http.server
import io
import pathlib
import threading
import urllib.request
import zipfile

import pytest

from har_jax.archives import ARCHIVES, download
from har_jax.archives.archive import Archive
from har_jax.errors import UserError


def a_zip(size: int = 3_000_000) -> bytes:
  content = io.BytesIO()
  with zipfile.ZipFile(content, 'w') as file:
    file.writestr('numbers.bin', bytes(range(256)) * (size // 256))
  return content.getvalue()


@dataclasses.dataclass
class Web:
  """How the server responds, and the ranges that were requested."""

  content: bytes = b''
  cut_after: int | None = None  # bytes of the next response before the connection breaks; once
  has_ranges: bool = True
  has_length: bool = True
  version: str = '"1"'  # its ETag
  headers: dict = dataclasses.field(default_factory=dict)  # sent instead of the right ones
  status: int | None = None
  url: str = ''
  ranges: list = dataclasses.field(default_factory=list)


@pytest.fixture
def web():
  state = Web(a_zip())

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      requested = self.headers.get('Range')
      state.ranges.append(requested)
      if self.path != '/data/an+archive.zip':
        self.send_error(404)
        return
      is_current = self.headers.get('If-Range') in (None, state.version)
      is_partial = requested and state.has_ranges and is_current
      start = int(requested.removeprefix('bytes=').removesuffix('-')) if is_partial else 0
      if start >= len(state.content):
        self.send_response(416)
        self.send_header('Content-Range', f'bytes */{len(state.content)}')
        self.end_headers()
        return
      body = state.content[start:]
      self.send_response(state.status or (206 if is_partial else 200))
      headers = {'Content-Length': str(len(body))} if state.has_length else {}
      headers |= {'ETag': state.version} if state.version else {}
      last = len(state.content) - 1
      headers |= {'Content-Range': f'bytes {start}-{last}/{len(state.content)}'} if is_partial else {}
      for name, value in (headers | state.headers).items():
        self.send_header(name, value)
      self.end_headers()
      cut, state.cut_after = state.cut_after, None
      with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a client that reads no more
        self.wfile.write(body[:cut])  # then the handler returns and the connection closes

    def log_message(self, *_):
      pass

  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
    state.url = f'http://127.0.0.1:{server.server_port}/data/an+archive.zip'
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()


def fetch(archive: Archive, folder) -> pathlib.Path:
  return download.fetch(archive, folder, allow_http=True)  # the server here has no certificate


def archive_at(url: str) -> Archive:
  return Archive('an', 'An archive', '', ('waist',), lambda *_: iter(()), url, 'none')


def test_a_download_has_the_name_and_bytes_of_the_server_and_a_checksum(web, tmp_path):
  path = fetch(archive_at(web.url), tmp_path / 'new')
  assert path == tmp_path / 'new' / 'an+archive.zip'
  assert path.read_bytes() == web.content
  checksum = hashlib.sha256(web.content).hexdigest()
  assert (tmp_path / 'new' / 'an+archive.zip.sha256').read_text() == f'{checksum}  an+archive.zip\n'
  assert len(list(path.parent.iterdir())) == 2  # no .part


def test_an_existing_file_is_not_downloaded_again(web, tmp_path):
  fetch(archive_at(web.url), tmp_path)
  fetch(archive_at(web.url), tmp_path)
  assert web.ranges == [None]


def test_a_broken_download_resumes_from_its_bytes(web, tmp_path):
  web.cut_after = 1_234_567
  with pytest.raises(UserError, match=f'1234567 of {len(web.content)} bytes.*1234567 bytes are kept'):
    fetch(archive_at(web.url), tmp_path)
  names = sorted(file.name for file in tmp_path.iterdir())
  assert names == ['an+archive.zip.part', 'an+archive.zip.part.version']
  assert (tmp_path / 'an+archive.zip.part').read_bytes() == web.content[:1_234_567]
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content
  assert web.ranges == [None, 'bytes=1234567-']
  assert sorted(file.name for file in tmp_path.iterdir()) == ['an+archive.zip', 'an+archive.zip.sha256']


def test_a_file_that_changed_between_two_tries_is_downloaded_from_its_start(web, tmp_path):
  web.cut_after = 1000
  with pytest.raises(UserError):
    fetch(archive_at(web.url), tmp_path)
  web.content, web.version = a_zip(2_000_000), '"2"'
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content


@pytest.mark.parametrize('version', ['', 'W/"weak"'])
def test_without_a_version_a_download_starts_over(web, tmp_path, version):
  web.cut_after, web.version = 1000, version
  with pytest.raises(UserError):
    fetch(archive_at(web.url), tmp_path)
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content
  assert web.ranges == [None, None]


@pytest.mark.parametrize(
  'headers',
  [
    {'Content-Range': 'bytes 0-999/3000000'},
    {'Content-Range': 'bytes 999-1999/2000'},
    {'Content-Range': 'bytes 1000-1999/*'},
    {'Content-Range': 'pages 1-2/3'},
    {'Content-Range': ''},
    {'Content-Range': 'bytes 1000-1999/2000', 'Content-Length': '7'},
  ],
)
def test_another_range_than_the_one_asked_for_is_not_appended(web, tmp_path, headers):
  web.cut_after = 1000
  with pytest.raises(UserError):
    fetch(archive_at(web.url), tmp_path)
  web.headers = headers
  with pytest.raises(UserError, match='the server sent'):
    fetch(archive_at(web.url), tmp_path)
  assert (tmp_path / 'an+archive.zip.part').read_bytes() == web.content[:1000]
  web.headers = {}
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content


def test_a_server_that_resumes_another_version_is_asked_again(web, tmp_path):
  web.cut_after = 1000
  with pytest.raises(UserError):
    fetch(archive_at(web.url), tmp_path)
  web.content, web.headers = a_zip(2_000_000), {'ETag': '"2"'}  # it ignores If-Range
  with pytest.raises(UserError, match='changed on the server'):
    fetch(archive_at(web.url), tmp_path)
  web.headers = {}
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content


@pytest.mark.parametrize('length', ['many', '-5', '1e6', '٣'])
def test_a_length_that_is_no_number_is_an_error(web, tmp_path, length):
  web.headers = {'Content-Length': length.encode().decode('latin-1')}
  with pytest.raises(UserError, match='could not be downloaded'):
    fetch(archive_at(web.url), tmp_path)


def test_a_part_of_a_file_that_was_not_asked_for_is_an_error(web, tmp_path):
  web.status = 206
  with pytest.raises(UserError, match='bytes from 0 to the end were asked for'):
    fetch(archive_at(web.url), tmp_path)


def test_http_needs_an_explicit_yes_and_a_redirection_to_it_too(web, tmp_path):
  with pytest.raises(UserError, match='--allow_http'):
    download.fetch(archive_at(web.url), tmp_path)
  with pytest.raises(UserError, match='--allow_http'):
    download.fetch(ARCHIVES['realworld'], tmp_path)
  request = urllib.request.Request('https://example.org/a.zip')
  with pytest.raises(UserError, match=r'http://example.org/a.zip is not encrypted'):
    download._Redirects(False).redirect_request(request, None, 302, '', {}, 'http://example.org/a.zip')
  with pytest.raises(UserError, match='neither https nor http'):
    download._Redirects(True).redirect_request(request, None, 302, '', {}, 'ftp://example.org/a.zip')
  assert web.ranges == []
  assert list(tmp_path.iterdir()) == []


def test_a_sum_is_compared_with_the_official_one_or_said_to_be_unknown(web, tmp_path, caplog):
  other = dataclasses.replace(archive_at(web.url), sha256='0' * 64)
  with pytest.raises(UserError, match=f'its authors published {"0" * 64}'):
    fetch(other, tmp_path)
  assert list(tmp_path.iterdir()) == []
  right = dataclasses.replace(other, sha256=hashlib.sha256(web.content).hexdigest())
  fetch(right, tmp_path / 'right')
  assert not caplog.text
  fetch(archive_at(web.url), tmp_path / 'unknown')
  assert 'no official checksum is known' in caplog.text


def test_a_server_without_ranges_is_read_from_the_start(web, tmp_path):
  web.cut_after, web.has_ranges = 1000, False
  with pytest.raises(UserError):
    fetch(archive_at(web.url), tmp_path)
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content
  assert web.ranges[1] == 'bytes=1000-'


def test_a_server_without_a_length_is_read_to_the_end(web, tmp_path):
  web.has_length = False
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content


@pytest.mark.parametrize('has_length', [True, False])
def test_a_download_without_end_is_ended(web, tmp_path, monkeypatch, has_length):
  monkeypatch.setattr(download, '_MAX_BYTES', 2_000_000)
  web.has_length = has_length
  with pytest.raises(UserError, match='no archive is so large'):
    fetch(archive_at(web.url), tmp_path)
  assert list(tmp_path.iterdir()) == []


def _kept(tmp_path, content: bytes) -> None:
  (tmp_path / 'an+archive.zip.part').write_bytes(content)
  (tmp_path / 'an+archive.zip.part.version').write_text('"1"')


def test_a_part_that_is_already_complete_is_used(web, tmp_path):
  _kept(tmp_path, web.content)
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content
  assert web.ranges == [f'bytes={len(web.content)}-']


def test_a_part_longer_than_the_file_is_deleted(web, tmp_path):
  _kept(tmp_path, web.content + b'more')
  with pytest.raises(UserError, match='starting over'):
    fetch(archive_at(web.url), tmp_path)
  assert fetch(archive_at(web.url), tmp_path).read_bytes() == web.content


def test_a_download_that_is_not_a_zip_is_deleted(web, tmp_path):
  web.content = b'<html>Log in first</html>'
  with pytest.raises(UserError, match='is not a zip'):
    fetch(archive_at(web.url), tmp_path)
  assert list(tmp_path.iterdir()) == []


def test_other_bytes_than_in_an_earlier_download_are_an_error(web, tmp_path):
  fetch(archive_at(web.url), tmp_path).unlink()
  web.content = a_zip(1_000_000)
  with pytest.raises(UserError, match=r'SHA-256.*earlier.*delete .*\.sha256'):
    fetch(archive_at(web.url), tmp_path)
  assert not (tmp_path / 'an+archive.zip').exists()


def test_a_file_damaged_after_its_download_is_an_error(web, tmp_path):
  path = fetch(archive_at(web.url), tmp_path)
  content = bytearray(path.read_bytes())
  content[500] ^= 1
  path.write_bytes(content)
  with pytest.raises(UserError, match='SHA-256'):
    fetch(archive_at(web.url), tmp_path)


def test_an_http_error_names_the_url_and_where_to_put_the_file(web, tmp_path):
  url = web.url.replace('an+archive', 'gone')
  with pytest.raises(UserError, match='404') as raised:
    fetch(archive_at(url), tmp_path)
  assert url in str(raised.value)
  assert str(tmp_path / 'gone.zip') in str(raised.value)


def test_without_a_network_the_part_is_kept(tmp_path):
  (tmp_path / 'x.zip.part').write_bytes(b'some')
  (tmp_path / 'x.zip.part.version').write_text('"1"')
  url = 'http://127.0.0.1:9/x.zip'  # the discard port: no server
  with pytest.raises(UserError, match='4 bytes are kept') as raised:
    fetch(archive_at(url), tmp_path)
  assert url in str(raised.value)
  assert str(tmp_path / 'x.zip') in str(raised.value)
  assert (tmp_path / 'x.zip.part').read_bytes() == b'some'


def test_synthetic_corpora_are_not_downloaded(tmp_path):
  with pytest.raises(UserError, match='synth_waist'):
    fetch(ARCHIVES['synth_waist'], tmp_path)


@pytest.mark.parametrize(('name', 'file'), [('pdiot', 'pdiot-data.zip'), ('weda_fall', 'WEDA-FALL.zip')])
def test_a_snapshot_of_a_repository_is_named_after_it(tmp_path, name, file):
  (tmp_path / file).write_bytes(a_zip(256))  # there already, so that nothing is downloaded
  assert fetch(ARCHIVES[name], tmp_path) == tmp_path / file


def test_every_real_archive_has_its_url():
  urls = [archive.url for archive in ARCHIVES.values() if archive.marker]
  assert len(set(urls)) == len(urls) > 0
  assert all(url.endswith('.zip') for url in urls)
