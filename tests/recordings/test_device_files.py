"""Files of research devices that were cut, damaged or made by hand: each ends with a sentence."""

import datetime
import re
import struct

import export_base
import export_devices
import numpy as np
import pytest
import user_files
from test_user_formats import ONE

from har_jax import recordings
from har_jax.errors import UserError
from har_jax.recordings.formats import devices


def _axivity(tmp_path, change) -> recordings.Reading:
  """Reads blocks that a function changed; their checksums are right again."""
  path = export_devices.axivity(tmp_path, ONE).path
  content = path.read_bytes()
  blocks = [bytearray(content[start : start + 512]) for start in range(1024, len(content), 512)]
  changed = change(blocks) or blocks
  path.write_bytes(content[:1024] + b''.join(map(export_devices.checked, changed)))
  return recordings.read(path)


def _put(form: str, start: int, *values):
  return lambda blocks: struct.pack_into(form, blocks[3], start, *values)


@pytest.mark.parametrize(
  ('change', 'lost'),
  [
    (lambda blocks: blocks.pop(3) and None, 1),
    (lambda blocks: blocks[:3] + blocks[6:], 3),
    (_put('<H', 28, 81), 1),  # more samples than fit
    (_put('<H', 28, 65_535), 1),
    (_put('<B', 24, 0), 1),
    (_put('<B', 25, 0x62), 1),
    (_put('<H', 18, 7 << 13), 1),
    (_put('<I', 14, 0xFFFFFFFF), 1),  # month 15
    (_put('<H', 0, 0), 1),
  ],
)
def test_a_block_of_axivity_that_contradicts_the_others_or_is_missing_is_left_out(tmp_path, change, lost):
  reading = _axivity(tmp_path, change)
  assert reading.warnings[0] == f'{lost} blocks of samples are damaged or missing: they were left out.'
  times_s = np.concatenate(
    [offset_s + part.acc.time_s for offset_s, part in zip(reading.offsets_s, reading.recordings, strict=True)]
  )
  expected_s = np.delete(ONE.time_s, np.s_[3 * 80 : (3 + lost) * 80])
  np.testing.assert_allclose(times_s, expected_s, atol=1e-6)


def test_an_axivity_that_was_cut_or_holds_no_block_says_so(tmp_path):
  path = export_devices.axivity(tmp_path, ONE).path
  content = path.read_bytes()
  path.write_bytes(content[:-100])
  assert 'The file ends within a block: it was cut short.' in recordings.read(path).warnings
  damaged = bytearray(content)
  damaged[1024 + 3 * 512 + 100] ^= 1
  path.write_bytes(damaged)
  assert recordings.read(path).warnings[0].startswith('1 blocks of samples are damaged')
  path.write_bytes(content[: 1024 + 512])
  assert recordings.read(path).seconds == pytest.approx(1.58)
  for short in (content[:1024], content[:20], content[:1024] + bytes(512)):
    path.write_bytes(short)
    with pytest.raises(UserError, match=r'holds no block of samples that is whole|was cut short'):
      recordings.read(path)


@pytest.mark.parametrize('name', ['Axivity (.cwa)', 'GENEActiv (.bin)'])
def test_a_device_file_in_a_zip_is_read(tmp_path, name):
  path = user_files.exported(name, tmp_path, ONE).path
  zipped = export_base.zip_of(tmp_path / 'all.zip', {f'study/{path.name}': path.read_bytes()})
  assert recordings.read(zipped).seconds == pytest.approx(23.98)


def test_an_axivity_with_a_clock_that_drifts_has_even_steps(tmp_path):
  """Whole seconds, and fractions of them in 15 bits, of a device that runs 1 % too fast."""

  def drift(blocks):
    for number, block in enumerate(blocks):
      second, fraction = divmod(number * 1.6 / 1.01 + 0.3, 1)
      stamp = struct.unpack_from('<I', blocks[0], 14)[0] & ~63 | int(second)
      parts = int(fraction * 32_768)
      struct.pack_into('<H', block, 4, 0x8000 | parts)
      struct.pack_into('<I', block, 14, stamp)
      struct.pack_into('<h', block, 26, -(parts * 50 // 32_768))  # of a clock of whole seconds

  (recording,) = _axivity(tmp_path, drift).recordings
  np.testing.assert_allclose(recording.acc.time_s, ONE.time_s / 1.01, atol=1e-4)


def test_a_geneactiv_with_fewer_pages_than_it_names_is_read_with_a_warning(tmp_path):
  path = export_devices.geneactiv(tmp_path, ONE).path
  content = path.read_bytes()
  path.write_bytes(content.replace(b'Number of Pages:4', b'Number of Pages:1'))
  reading = recordings.read(path)
  assert reading.warnings == ['The file says that it has 1 pages of samples, but it has 4.']
  assert reading.seconds == pytest.approx(23.98)
  parts = content.split(b'Recorded Data')
  path.write_bytes(b'Recorded Data'.join(parts[:2] + parts[3:]))
  assert recordings.read(path).warnings[:2] == [
    '1 blocks of samples are damaged or missing: they were left out.',
    'The file says that it has 4 pages of samples, but it has 3.',
  ]


def test_dates_of_axivity_are_packed_into_bits():
  dates = np.array([(42, 5, 28, 10, 30, 15), (42, 13, 28, 10, 30, 15)], np.uint32)
  right, wrong = devices._seconds(np.bitwise_or.reduce(dates << np.uint32([26, 22, 17, 12, 6, 0]), axis=1))
  assert right == datetime.datetime(2042, 5, 28, 10, 30, 15, tzinfo=datetime.UTC).timestamp()
  assert np.isnan(wrong)


@pytest.mark.parametrize(
  ('old', 'new', 'words'),
  [
    (rb'Frequency:50 Hz', b'Frequency:0 Hz', 'a frequency of 0.0 Hz'),
    (rb'Frequency:50 Hz', b'Frequency:inf Hz', 'a frequency of inf Hz'),
    (rb'x gain:25600', b'x gain:0', 'gains of'),
    (rb'x offset:0', b'x offset:nan', 'offsets of'),
    (rb'Page Time:2026', b'Page Time:9999', 'holds no block'),
    (rb'(?s)Recorded Data.*', b'', 'holds no block'),
    (rb'[0-9A-F]{3600}', b'0' * 36_000, 'holds no block'),
  ],
)
def test_a_geneactiv_of_impossible_numbers_is_refused(tmp_path, old, new, words):
  path = user_files.exported('GENEActiv (.bin)', tmp_path, ONE).path
  path.write_bytes(re.sub(old, new, path.read_bytes()))
  with pytest.raises(UserError, match=words):
    recordings.read(path)
