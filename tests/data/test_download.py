"""A download is whole, or it says what is wrong and keeps what it has. The server here is a thread."""

import collections
import dataclasses
import hashlib
import http.server
import io
import threading
import zipfile

import pytest

from har_jax.data.archives import ARCHIVES
from har_jax.data.archives.archive import Archive
from har_jax.data.download import fetch
from har_jax.errors import UserError


def a_zip(size: int = 3_000_000) -> bytes:
  content = io.BytesIO()
  with zipfile.ZipFile(content, 'w') as file:
    file.writestr('numbers.bin', bytes(range(256)) * (size // 256))
  return content.getvalue()


@dataclasses.dataclass
class Web:
  """What the server does next, and what it was asked."""

  content: bytes = b''
  cut_after: int | None = None  # bytes of the next answer before the connection breaks; once
  knows_ranges: bool = True
  states_length: bool = True
  address: str = ''
  ranges: list = dataclasses.field(default_factory=list)


@pytest.fixture
def web():
  state = Web(a_zip())

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      asked = self.headers.get('Range')
      state.ranges.append(asked)
      if self.path != '/data/an+archive.zip':
        self.send_error(404)
        return
      start = int(asked.removeprefix('bytes=').removesuffix('-')) if asked and state.knows_ranges else 0
      if start >= len(state.content):
        self.send_response(416)
        self.send_header('Content-Range', f'bytes */{len(state.content)}')
        self.end_headers()
        return
      body = state.content[start:]
      self.send_response(206 if asked and state.knows_ranges else 200)
      if state.states_length:
        self.send_header('Content-Length', str(len(body)))
      self.end_headers()
      cut, state.cut_after = state.cut_after, None
      self.wfile.write(body[:cut])  # then the handler returns and the connection closes

    def log_message(self, *_):
      pass

  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
    state.address = f'http://127.0.0.1:{server.server_port}/data/an+archive.zip'
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()


def archive_at(address: str) -> Archive:
  return Archive('an', 'An archive', '', ('waist',), lambda *_: iter(()), address, 'none')


def test_a_whole_download_has_the_server_s_bytes_and_name_and_leaves_its_checksum(web, tmp_path):
  path = fetch(archive_at(web.address), tmp_path / 'new')
  assert path == tmp_path / 'new' / 'an+archive.zip'
  assert path.read_bytes() == web.content
  checksum = hashlib.sha256(web.content).hexdigest()
  assert (tmp_path / 'new' / 'an+archive.zip.sha256').read_text() == f'{checksum}  an+archive.zip\n'
  assert len(list(path.parent.iterdir())) == 2  # no .part


def test_what_is_there_is_not_fetched_again(web, tmp_path):
  fetch(archive_at(web.address), tmp_path)
  fetch(archive_at(web.address), tmp_path)
  assert web.ranges == [None]


def test_a_cut_download_keeps_its_bytes_and_goes_on_from_them(web, tmp_path):
  web.cut_after = 1_234_567
  with pytest.raises(UserError, match=f'ended after 1234567 of {len(web.content)} bytes.*next try'):
    fetch(archive_at(web.address), tmp_path)
  assert [file.name for file in tmp_path.iterdir()] == ['an+archive.zip.part']
  assert (tmp_path / 'an+archive.zip.part').read_bytes() == web.content[:1_234_567]
  assert fetch(archive_at(web.address), tmp_path).read_bytes() == web.content
  assert web.ranges == [None, 'bytes=1234567-']


def test_a_server_that_ignores_ranges_is_read_from_the_start(web, tmp_path):
  web.cut_after, web.knows_ranges = 1000, False
  with pytest.raises(UserError):
    fetch(archive_at(web.address), tmp_path)
  assert fetch(archive_at(web.address), tmp_path).read_bytes() == web.content
  assert web.ranges[1] == 'bytes=1000-'


def test_a_server_that_states_no_length_serves_too(web, tmp_path):
  web.states_length = False
  assert fetch(archive_at(web.address), tmp_path).read_bytes() == web.content


def test_a_part_that_is_already_whole_is_taken(web, tmp_path):
  (tmp_path / 'an+archive.zip.part').write_bytes(web.content)
  assert fetch(archive_at(web.address), tmp_path).read_bytes() == web.content
  assert web.ranges == [f'bytes={len(web.content)}-']


def test_a_part_longer_than_the_file_is_thrown_away(web, tmp_path):
  (tmp_path / 'an+archive.zip.part').write_bytes(web.content + b'more')
  with pytest.raises(UserError, match='starting over'):
    fetch(archive_at(web.address), tmp_path)
  assert fetch(archive_at(web.address), tmp_path).read_bytes() == web.content


def test_what_is_no_zip_is_refused_and_not_kept(web, tmp_path):
  web.content = b'<html>Log in first</html>'
  with pytest.raises(UserError, match='is no zip'):
    fetch(archive_at(web.address), tmp_path)
  assert list(tmp_path.iterdir()) == []


def test_other_bytes_than_an_earlier_download_had_are_refused(web, tmp_path):
  fetch(archive_at(web.address), tmp_path).unlink()
  web.content = a_zip(1_000_000)
  with pytest.raises(UserError, match=r'SHA-256.*earlier.*delete .*\.sha256'):
    fetch(archive_at(web.address), tmp_path)
  assert not (tmp_path / 'an+archive.zip').exists()


def test_a_file_damaged_since_its_download_is_noticed(web, tmp_path):
  path = fetch(archive_at(web.address), tmp_path)
  content = bytearray(path.read_bytes())
  content[500] ^= 1
  path.write_bytes(content)
  with pytest.raises(UserError, match='SHA-256'):
    fetch(archive_at(web.address), tmp_path)


def test_a_refusal_names_the_address_and_where_to_put_the_file(web, tmp_path):
  address = web.address.replace('an+archive', 'gone')
  with pytest.raises(UserError, match='404') as refused:
    fetch(archive_at(address), tmp_path)
  assert address in str(refused.value)
  assert str(tmp_path / 'gone.zip') in str(refused.value)


def test_no_network_says_so_and_keeps_what_was_there(tmp_path):
  (tmp_path / 'x.zip.part').write_bytes(b'some')
  address = 'http://127.0.0.1:9/x.zip'  # the discard port: nobody listens
  with pytest.raises(UserError, match='4 bytes are kept') as refused:
    fetch(archive_at(address), tmp_path)
  assert address in str(refused.value)
  assert str(tmp_path / 'x.zip') in str(refused.value)
  assert (tmp_path / 'x.zip.part').read_bytes() == b'some'


def test_made_up_corpora_are_not_downloaded(tmp_path):
  with pytest.raises(UserError, match='nothing to download'):
    fetch(ARCHIVES['synth_waist'], tmp_path)


def test_every_real_archive_has_an_address_of_its_own():
  addresses = collections.Counter(archive.address for archive in ARCHIVES.values() if archive.address)
  assert len(addresses) >= 8
  assert set(addresses.values()) == {1}
  assert all(address.endswith('.zip') for address in addresses)
