"""A download is complete, or an error that keeps the bytes so far. The server here is a thread."""

import contextlib
import dataclasses
import hashlib
import http.server
import io
import pathlib
import socket
import threading
import urllib.request
import zipfile

import numpy as np
import pytest

from har_jax.archives import ARCHIVES, download
from har_jax.archives.archive import Archive
from har_jax.errors import UserError


def _stored(size: int) -> bytes:
  """A zip of random bytes. They are stored: to compress them takes long, in each process that collects."""
  content = io.BytesIO()
  with zipfile.ZipFile(content, 'w') as file:
    file.writestr(zipfile.ZipInfo('numbers.bin'), np.random.default_rng(0).bytes(size))
  return content.getvalue()


WHOLE, OTHER, LONG = map(_stored, (3_000_000, 2_000_000, 4_000_000))


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
  state = Web(WHOLE)

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


def archive_at(url: str) -> Archive:
  return Archive('an', 'An archive', '', ('waist',), lambda *_: iter(()), url, 'none')


def fetch(url: str, folder: pathlib.Path) -> pathlib.Path:
  return download.fetch(archive_at(url), folder, allow_http=True)  # the server here has no certificate


def names_in(folder: pathlib.Path) -> list[str]:
  return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize('has_length', [True, False])
def test_a_download_has_the_name_and_bytes_of_the_server_and_a_checksum(web, tmp_path, has_length, caplog):
  web.has_length = has_length
  path = fetch(web.url, tmp_path / 'new')
  assert path == tmp_path / 'new' / 'an+archive.zip'
  assert path.read_bytes() == web.content
  checksum = hashlib.sha256(web.content).hexdigest()
  assert (tmp_path / 'new' / 'an+archive.zip.sha256').read_text() == f'{checksum}  an+archive.zip\n'
  assert names_in(path.parent) == ['an+archive.zip', 'an+archive.zip.sha256']  # no .part
  assert 'no official checksum is known' in caplog.text
  caplog.clear()
  fetch(web.url, tmp_path / 'new')
  assert web.ranges == [None]  # not downloaded again
  assert not caplog.text


def test_a_broken_download_resumes_from_its_bytes(web, tmp_path):
  web.cut_after = 1_234_567
  with pytest.raises(UserError, match=f'1234567 of {len(web.content)} bytes.*1234567 bytes are kept'):
    fetch(web.url, tmp_path)
  assert names_in(tmp_path) == ['an+archive.zip.part', 'an+archive.zip.part.version']
  assert (tmp_path / 'an+archive.zip.part').read_bytes() == web.content[:1_234_567]
  assert fetch(web.url, tmp_path).read_bytes() == web.content
  assert web.ranges == [None, 'bytes=1234567-']
  assert names_in(tmp_path) == ['an+archive.zip', 'an+archive.zip.sha256']


@pytest.mark.parametrize(
  ('before', 'after', 'requested'),
  [
    ({}, {'content': OTHER, 'version': '"2"'}, 'bytes=1000-'),
    ({'has_ranges': False}, {}, 'bytes=1000-'),
    ({'version': ''}, {}, None),
    ({'version': 'W/"weak"'}, {}, None),
  ],
)
def test_of_another_version_or_an_unknown_one_a_download_starts_over(web, tmp_path, before, after, requested):
  vars(web).update({'cut_after': 1000} | before)
  with pytest.raises(UserError):
    fetch(web.url, tmp_path)
  vars(web).update(after)
  assert fetch(web.url, tmp_path).read_bytes() == web.content
  assert web.ranges == [None, requested]


_OTHER_RANGES = [
  {'Content-Range': 'bytes 0-999/3000000'},
  {'Content-Range': 'bytes 999-1999/2000', 'Content-Length': '1000'},
  {'Content-Range': 'bytes 1000-1999/*'},
  {'Content-Range': 'pages 1-2/3'},
  {'Content-Range': ''},
  {'Content-Range': 'bytes 1000-1999/2000', 'Content-Length': '7'},
  {'Content-Range': f'bytes 1000-{len(WHOLE) - 2}/{len(WHOLE)}'},
]


def _put_part(folder: pathlib.Path, content: bytes, name: str = 'an+archive.zip') -> None:
  (folder / f'{name}.part').write_bytes(content)
  (folder / f'{name}.part.version').write_text('"1"')


@pytest.mark.parametrize(
  ('size', 'changes', 'message', 'is_left'),
  [
    *((1000, {'headers': headers}, 'the server sent', True) for headers in _OTHER_RANGES),
    # It ignores If-Range.
    (1000, {'content': OTHER, 'headers': {'ETag': '"2"'}}, 'changed on the server', False),
    (len(WHOLE) + 4, {}, 'starting over', False),
  ],
)
def test_what_does_not_continue_a_part_is_not_appended(web, tmp_path, size, changes, message, is_left):
  part = (WHOLE + b'more')[:size]
  _put_part(tmp_path, part)
  vars(web).update(changes)
  with pytest.raises(UserError, match=message):
    fetch(web.url, tmp_path)
  left = tmp_path / 'an+archive.zip.part'
  assert (left.read_bytes() if left.exists() else None) == (part if is_left else None)
  web.headers = {}
  assert fetch(web.url, tmp_path).read_bytes() == web.content


def test_a_part_that_is_already_complete_is_used(web, tmp_path):
  _put_part(tmp_path, web.content)
  assert fetch(web.url, tmp_path).read_bytes() == web.content
  assert web.ranges == [f'bytes={len(web.content)}-']


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    *(
      ({'headers': {'Content-Length': length.encode().decode('latin-1')}}, 'could not be downloaded')
      for length in ('many', '-5', '1e6', '٣')
    ),
    ({'status': 206}, 'bytes from 0 to the end were asked for'),
    ({'content': b'<html>Log in first</html>'}, 'is not a zip'),
    ({'content': LONG}, 'no archive is so large'),
    ({'content': LONG, 'has_length': False}, 'no archive is so large'),
  ],
)
def test_a_wrong_response_is_an_error_that_leaves_nothing(web, tmp_path, monkeypatch, changes, message):
  monkeypatch.setattr(download, '_MAX_BYTES', len(LONG) - 1000)
  vars(web).update(changes)
  with pytest.raises(UserError, match=message):
    fetch(web.url, tmp_path)
  assert names_in(tmp_path) == []


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
  url = 'http://example.org/b.zip'
  assert download._Redirects(True).redirect_request(request, None, 302, '', {}, url).full_url == url
  assert web.ranges == names_in(tmp_path) == []


@pytest.mark.parametrize('is_there', [True, False])  # damaged after its download, or another one downloaded
def test_other_bytes_than_in_an_earlier_download_are_an_error(web, tmp_path, is_there):
  path = fetch(web.url, tmp_path)
  web.content = OTHER
  path.write_bytes(web.content) if is_there else path.unlink()
  with pytest.raises(UserError, match=r'SHA-256.*earlier.*delete .*\.sha256'):
    fetch(web.url, tmp_path)
  assert path.exists() == is_there


@pytest.mark.parametrize('host', ['', 'http://127.0.0.1:9'])  # the discard port: no server
def test_a_failed_download_names_the_url_and_where_to_put_the_file_and_keeps_the_part(web, tmp_path, host):
  _put_part(tmp_path, b'some', 'gone.zip')
  url = f'{host}/gone.zip' if host else web.url.replace('an+archive', 'gone')
  with pytest.raises(UserError, match='refused' if host else '404') as raised:
    fetch(url, tmp_path)
  for words in (url, '4 bytes are kept', str(tmp_path / 'gone.zip')):
    assert words in str(raised.value)
  assert (tmp_path / 'gone.zip.part').read_bytes() == b'some'


def test_a_server_that_sends_nothing_counts_as_dead(tmp_path, monkeypatch):
  monkeypatch.setattr(download, '_TIMEOUT_S', 0.05)
  with socket.create_server(('127.0.0.1', 0)) as server:
    closing = threading.Timer(5.0, server.close)  # or this test would wait for ever
    closing.start()
    with pytest.raises(UserError, match='timed out'):
      fetch(f'http://127.0.0.1:{server.getsockname()[1]}/an+archive.zip', tmp_path)
    closing.cancel()


def test_the_sample_is_not_downloaded(tmp_path):
  with pytest.raises(UserError, match='sample_wisdm comes with the package'):
    download.fetch(ARCHIVES['sample_wisdm'], tmp_path)


def test_an_archive_without_an_address_is_to_be_fetched_by_hand(tmp_path):
  archive = dataclasses.replace(ARCHIVES['hapt'], url='')
  with pytest.raises(
    UserError, match='hapt has no address: fetch it from its authors, and give --archive_path'
  ):
    download.fetch(archive, tmp_path)


@pytest.mark.parametrize(('name', 'file'), [('pdiot', 'pdiot-data.zip'), ('weda_fall', 'WEDA-FALL.zip')])
def test_a_snapshot_of_a_repository_is_named_after_it(tmp_path, name, file):
  (tmp_path / file).write_bytes(OTHER)  # there already, so that nothing is downloaded
  assert download.fetch(ARCHIVES[name], tmp_path) == tmp_path / file


def test_every_real_archive_has_its_url():
  urls = [archive.url for archive in ARCHIVES.values() if archive.marker]
  assert len(set(urls)) == len(urls) > 0
  assert all(url.endswith('.zip') for url in urls)
