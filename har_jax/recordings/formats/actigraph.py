"""ActiGraph (.gt3x): a zip of info.txt and log.bin, in which a record holds a second of raw acceleration.

Idle sleep mode leaves gaps.
Source: ActiGraph, GT3X file format, https://github.com/actigraph/GT3X-File-Format.
"""

import struct
import zipfile

import numpy as np
from jaxtyping import Int16

from har_jax.errors import UserError
from har_jax.recordings import limits
from har_jax.recordings.files import Files
from har_jax.recordings.formats.export import Export, export_device, unpack_12_bits
from har_jax.recordings.tables import NoRecording, border

APP, SUFFIX = 'ActiGraph', '.gt3x'
_PACKED, _WIDE = 0x00, 0x1A  # types of record: 12 bits, in the order y x z; 16 bits, x y z
_SEPARATOR = 0x1E
_HEADER = struct.Struct('<BBIH')  # separator, type, seconds, bytes of payload; a checksum follows the payload
_SCALES = {'NEO': 341.0, 'CLE': 341.0, 'MOS': 256.0, 'TAS': 256.0}  # of devices whose files do not say it


def find(files: Files) -> list[Export]:
  """Raises UserError: a damaged file, one without raw acceleration, or in a zip."""
  file = files.single
  if file is None or file.suffix != SUFFIX:
    return []
  if not file.path.is_file():
    raise UserError(f'{file.path} lies in a zip: extract it first')
  with border(file.path, f'recording of {APP}'), zipfile.ZipFile(file.path) as zipped:
    members = zipped.infolist()
    size = sum(info.file_size for info in members)
    limits.check(file.path, size, file.path.stat().st_size, members=len(members))
    if not {'info.txt', 'log.bin'} <= {info.filename for info in members}:
      raise NoRecording(f'{file.path} has no info.txt and log.bin: export it from {APP} again')
    lines = [line.partition(':') for line in zipped.read('info.txt').decode('utf-8-sig').splitlines()]
    info = {name.strip(): text.strip() for name, _, text in lines}
    scale, rate_hz = info.get('Acceleration Scale', '').replace(',', '.'), int(info['Sample Rate'])
    unit = float(scale) if scale else _SCALES[info['Serial Number'][:3]]
    if not (unit > 0 and rate_hz > 0):
      raise ValueError(f'a scale of {unit} and a rate of {rate_hz} Hz')
    seconds, counts, damaged = _records(zipped.read('log.bin'), rate_hz)
  if not len(counts):
    raise UserError(f'{file.path} holds no raw acceleration: export it with raw data')
  warnings = [f'{damaged} damaged seconds were left out.'] if damaged else []
  return export_device(files, APP, seconds, counts / np.float32(unit), None, warnings)


def _records(log: bytes, rate_hz: int) -> tuple[np.ndarray, Int16[np.ndarray, 'n 3'], int]:
  """Seconds since 1970 and counts of each sample, x y z, and how many records have a wrong checksum."""
  seconds, counts = [np.zeros(0)], [np.zeros((0, 3), np.int16)]
  content = np.frombuffer(log, np.uint8)
  start = damaged = 0
  while start + _HEADER.size < len(log):
    separator, kind, second, size = _HEADER.unpack_from(log, start)
    stop = start + _HEADER.size + size
    if separator != _SEPARATOR or stop >= len(log):
      raise ValueError(f'no record at byte {start}')
    if kind in (_PACKED, _WIDE) and size > 1:  # a single byte: the device was connected to a computer
      if np.bitwise_xor.reduce(content[start:stop]) ^ 0xFF == log[stop]:
        values = content[start + _HEADER.size : stop]
        wide = np.frombuffer(values[: len(values) // 6 * 6].tobytes(), '<i2').reshape(-1, 3)
        counts.append(unpack_12_bits(values, 3)[:, [1, 0, 2]] if kind == _PACKED else wide)
        seconds.append(second + np.arange(len(counts[-1])) / rate_hz)
      else:
        damaged += 1
    start = stop + 1
  return np.concatenate(seconds), np.concatenate(counts), damaged
