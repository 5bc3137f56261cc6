"""Research devices: Axivity (.cwa), GENEActiv (.bin) and ActiGraph (.gt3x).   b blocks, n samples.

Their clocks keep local time, without saying where.
Sources: Open Movement, CWA format, https://github.com/openmovementproject/openmovement/blob/master/Docs/ax3/
cwa.md; GENEActiv, instructions and software manual, appendix on the .bin file; ActiGraph, GT3X file format,
https://github.com/actigraph/GT3X-File-Format.
"""

import contextlib
import dataclasses
import datetime
import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int16, UInt8, UInt16, UInt32

from har_jax.errors import UserError, counted, shorten
from har_jax.recordings import limits, tables
from har_jax.recordings.files import File, Files
from har_jax.recordings.formats.export import Export, export_single
from har_jax.recordings.tables import NoRecording, border

_HEADER_BYTES, _BLOCK_BYTES = 1024, 512
_BLOCK = np.dtype(
  {
    'names': ['magic', 'bytes', 'fraction', 'number', 'time', 'scales', 'rate', 'layout', 'offset', 'count'],
    'formats': ['<u2', '<u2', '<u2', '<u4', '<u4', '<u2', 'u1', 'u1', '<i2', '<u2'],
    'offsets': [0, 2, 4, 10, 14, 18, 24, 25, 26, 28],
    'itemsize': _BLOCK_BYTES,
  }
)
_SAMPLES = slice(15, 255)  # words of a block
_LAYOUTS = {0x30: 120, 0x32: 80, 0x62: 40, 0x92: 26}  # axes and packing of a block: samples that it can hold
_PAGE_SAMPLES = 300
_MAX_HZ = 3200.0
_CLOCK_OFF = 0.1  # of a device's rate; blocks further apart or nearer do not follow one another

_PACKED, _WIDE = 0x00, 0x1A  # types of ActiGraph's records: 12 bits, in the order y x z; 16 bits, x y z
_SEPARATOR = 0x1E
_HEADER = struct.Struct('<BBIH')  # separator, type, seconds, bytes of payload; a checksum follows the payload
_SCALES = {'NEO': 341.0, 'CLE': 341.0, 'MOS': 256.0, 'TAS': 256.0}  # of devices whose files do not say it


@dataclasses.dataclass(frozen=True)
class _Samples:
  """Samples, their seconds since 1970, and sentences on what is missing."""

  time_s: Float[np.ndarray, 'n']
  acc_g: Float[np.ndarray, 'n 3']
  gyro_deg_s: Float[np.ndarray, 'n 3'] | None
  warnings: list[str]


class _Device(NamedTuple):
  maker: str
  magic: bytes
  read: Callable[[File, bytes], _Samples]
  missing: str  # in a file without samples, and what to do


def find(files: Files) -> list[Export]:
  """Raises UserError: a file without a sound block. Damaged and missing blocks are warned of."""
  file = files.single
  if file is None or file.suffix not in DEVICES:
    return []
  device = DEVICES[file.suffix]
  with border(file.path), file.open() as opened:
    content = opened.read()
  if not content.startswith(device.magic):
    magic = device.magic.decode()
    raise NoRecording(f'{file.path} is no recording of {device.maker}: it does not begin with {magic}')
  with border(file.path, f'recording of {device.maker}'):
    samples = device.read(file, content)
  if not len(samples.acc_g):
    raise UserError(f'{file.path} holds no {device.missing}')
  import pandas as pd

  columns: dict[str, Any] = {'time': pd.to_datetime(pd.Series(samples.time_s), unit='s')}
  columns |= {f'acceleration {axis} (g)': samples.acc_g[:, i] for i, axis in enumerate('xyz')}
  if samples.gyro_deg_s is not None:
    columns |= {f'rotation {axis} (deg/s)': samples.gyro_deg_s[:, i] for i, axis in enumerate('xyz')}
  table = tables.make_table(file.path, pd.DataFrame(columns))
  return export_single(files, table, device.maker, warnings=tuple(samples.warnings))


def _join_blocks(
  starts_s: Float[np.ndarray, 'b'],
  counts: Int[np.ndarray, 'b'],
  rate_hz: float,
  acc_g: Float[np.ndarray, 'n 3'],
  gyro_deg_s: Float[np.ndarray, 'n 3'] | None,
  lost: int,
  warnings: list[str],
) -> _Samples:
  """A block's samples reach evenly to the next block, as the rate is not exact. lost: number of blocks."""
  steps_s = np.full(len(counts), 1 / rate_hz)
  measured_s = np.diff(starts_s) / counts[:-1]
  follows = np.abs(measured_s * rate_hz - 1) < _CLOCK_OFF
  steps_s[:-1][follows] = measured_s[follows]
  steps_s[-1:] = steps_s[-2:][:1]  # nothing follows the last one
  before = np.repeat(np.cumsum(counts) - counts, counts)
  within = np.arange(len(before)) - before
  time_s = np.repeat(starts_s, counts) + within * np.repeat(steps_s, counts)
  damaged = [f'Left out: {counted(lost, "damaged or missing block")} of samples.'] if lost else []
  return _Samples(time_s, acc_g, gyro_deg_s, damaged + warnings)


def _missing(numbers: Sequence[int] | np.ndarray) -> int:
  """Blocks that the numbers leave out between first and last; a device may begin to count again."""
  return int((np.diff(np.asarray(numbers, np.int64)) - 1).clip(0).sum())


def _unpack_12_bits(octets: UInt8[np.ndarray, 'b'], axes: int) -> Int16[np.ndarray, 'n axes']:
  """Samples of numbers with a sign, two in three bytes. Bytes that fill no sample are left out."""
  triples = np.pad(octets, (0, -len(octets) % 3)).reshape(-1, 3).astype(np.int16)
  first = triples[:, 0] << 4 | triples[:, 1] >> 4
  second = (triples[:, 1] & 15) << 8 | triples[:, 2]
  both = np.stack([first, second], axis=1).ravel()[: len(octets) * 2 // 3 // axes * axes]
  return ((both ^ 0x800) - 0x800).reshape(-1, axes)


# --- Axivity


def _read_axivity(_: File, content: bytes) -> _Samples:
  body = content[_HEADER_BYTES:]
  count, cut = divmod(len(body), _BLOCK_BYTES)
  blocks = np.frombuffer(body, _BLOCK, count)
  words = np.frombuffer(body, '<u2', count * _BLOCK_BYTES // 2).reshape(-1, _BLOCK_BYTES // 2)
  seconds = _seconds(blocks['time'])
  is_sound = (
    (blocks['magic'] == 0x5841)
    & (blocks['bytes'] == _BLOCK_BYTES - 4)
    & (words.sum(axis=1, dtype=np.uint16) == 0)
    & np.isfinite(seconds)
  )
  # A device keeps its settings: those of the first sound block hold for all.
  settings = np.stack([blocks['layout'], blocks['rate'], blocks['scales'] >> 10], axis=1)
  layout, rate, scales = (int(number) for number in [*settings[is_sound], (0, 0, 0)][0])
  is_sound &= (settings == [layout, rate, scales]).all(axis=1)
  is_sound &= (blocks['count'] > 0) & (blocks['count'] <= _LAYOUTS.get(layout, 0))
  sound, rate_hz = blocks[is_sound], 3200.0 / (1 << (15 - (rate & 15)))
  columns = _columns(words[is_sound][:, _SAMPLES], layout)
  columns = columns[np.arange(columns.shape[1]) < sound['count'][:, None]].astype(np.float32)
  # With its top bit, `fraction` is a part of a second; `offset` then lacks the samples in it.
  fraction_s = np.where(sound['fraction'] & 0x8000, (sound['fraction'] & 0x7FFF) / 2**15, 0.0)
  offset_s = (sound['offset'] + np.floor(fraction_s * rate_hz)) / rate_hz
  has_gyro = columns.shape[1] > 3
  return _join_blocks(
    seconds[is_sound] + fraction_s - offset_s,
    sound['count'].astype(np.int64),
    rate_hz,
    (columns[:, 3:6] if has_gyro else columns) / (256 << (scales >> 3)),
    columns[:, :3] * (8000 / (32_768 << (scales & 7))) if has_gyro else None,
    max(int((~is_sound).sum()), _missing(sound['number'])),
    ['The file ends within a block: it was cut short.'] if cut else [],
  )


def _columns(words: UInt16[np.ndarray, 'b 240'], layout: int) -> Int[np.ndarray, 'b s c']:
  """Samples of blocks. Packed ones have 10 bits an axis, x lowest, and a power of two in the top bits."""
  if layout == 0x30:
    packed = np.ascontiguousarray(words).view('<u4')[:, :, None]
    values = (packed >> np.array([0, 10, 20], np.uint32) & 0x3FF).astype(np.int32)
    return ((values ^ 0x200) - 0x200) << (packed >> 30).astype(np.int32)
  axes = max(layout >> 4, 3)
  values = np.ascontiguousarray(words).view('<i2')
  capacity = values.shape[1] // axes
  return values[:, : capacity * axes].reshape(len(values), capacity, axes)


def _seconds(packed: UInt32[np.ndarray, 'b']) -> Float[np.ndarray, 'b']:
  """Seconds since 1970 of dates packed into bits: six of the year since 2000, 4, 5, 5, 6, 6; NaN if none."""
  year, month, day, hour, minute, second = (
    (packed >> shift & (1 << bits) - 1).astype(np.int64)
    for shift, bits in ((26, 6), (22, 4), (17, 5), (12, 5), (6, 6), (0, 6))
  )
  months = (np.datetime64('2000-01') + (12 * year + month - 1)).astype('datetime64[s]').astype(np.float64)
  is_date = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
  return np.where(is_date, months + 86_400 * (day - 1) + 3600 * hour + 60 * minute + second, np.nan)


# --- GENEActiv


def _read_geneactiv(_: File, content: bytes) -> _Samples:
  head, *pages = content.split(b'Recorded Data')
  header = _fields(head.decode('latin-1'))
  rate_hz = float(header['Measurement Frequency'].split()[0].replace(',', '.'))
  gain, offset = (
    np.array([float(header[f'{axis} {word}']) for axis in 'xyz']) for word in ('gain', 'offset')
  )
  if not (0 < rate_hz <= _MAX_HZ and (gain > 0).all() and np.isfinite([gain, offset]).all()):
    raise ValueError(f'a frequency of {rate_hz} Hz, gains of {gain} and offsets of {offset}')
  sound = []
  for page in pages:
    with contextlib.suppress(ValueError, KeyError):
      sound.append(_page(page))
  numbers, starts_s, samples = zip(*sound, strict=True) if sound else ((), (), ())
  counts = _unpack_12_bits(np.frombuffer(b''.join(samples), np.uint8), 4)[:, :3]
  said = header.get('Number of Pages', '')
  differs = f'The file says that it has {shorten(said, 20)} pages of samples, but it has {len(pages)}.'
  return _join_blocks(
    np.array(starts_s, np.float64),
    np.array([len(part) // 6 for part in samples], np.int64),
    rate_hz,
    ((100.0 * counts - offset) / gain).astype(np.float32),
    None,
    max(len(pages) - len(sound), _missing(numbers)),
    [] if said == str(len(pages)) else [differs],
  )


def _fields(text: str) -> dict[str, str]:
  lines = (line.partition(':') for line in text.splitlines())
  return {name.strip(): value.strip() for name, _, value in lines}


def _page(page: bytes) -> tuple[int, float, bytes]:
  """Number, seconds since 1970, and samples of six bytes: x, y and z in 12 bits each, light and button.

  Raises ValueError or KeyError if it is damaged.
  """
  fields = _fields(page.decode('latin-1'))
  digits = list(fields)[-1]
  samples = bytes.fromhex(digits)
  start = datetime.datetime.strptime(fields['Page Time'], '%Y-%m-%d %H:%M:%S:%f')
  number = int(fields['Sequence Number'])
  if not samples or len(samples) % 6 or len(samples) > 6 * _PAGE_SAMPLES or not 2000 <= start.year < 2100:
    raise ValueError(f'{len(samples)} bytes at {start}')
  return number, start.replace(tzinfo=datetime.UTC).timestamp(), samples


# --- ActiGraph


def _read_actigraph(file: File, content: bytes) -> _Samples:
  """A zip of info.txt and log.bin, in which a record holds a second. Idle sleep mode leaves gaps."""
  if not file.path.is_file():
    raise UserError(f'{file.path} lies in a zip: extract it first')
  with zipfile.ZipFile(io.BytesIO(content)) as zipped:
    members = zipped.infolist()
    size = sum(info.file_size for info in members)
    limits.check(file.path, size, len(content), members=len(members))
    if not {'info.txt', 'log.bin'} <= {info.filename for info in members}:
      raise NoRecording(f'{file.path} has no info.txt and log.bin: export it from ActiGraph again')
    info, log = _fields(zipped.read('info.txt').decode('utf-8-sig')), zipped.read('log.bin')
  scale, rate_hz = info.get('Acceleration Scale', '').replace(',', '.'), int(info['Sample Rate'])
  unit = float(scale) if scale else _SCALES[info['Serial Number'][:3]]
  if not (unit > 0 and rate_hz > 0):
    raise ValueError(f'a scale of {unit} and a rate of {rate_hz} Hz')
  seconds, counts, damaged = _read_records(log, rate_hz)
  warnings = [f'{damaged} damaged seconds were left out.'] if damaged else []
  return _Samples(seconds, counts / np.float32(unit), None, warnings)


def _read_records(log: bytes, rate_hz: int) -> tuple[np.ndarray, Int16[np.ndarray, 'n 3'], int]:
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
        counts.append(_unpack_12_bits(values, 3)[:, [1, 0, 2]] if kind == _PACKED else wide)
        seconds.append(second + np.arange(len(counts[-1])) / rate_hz)
      else:
        damaged += 1
    start = stop + 1
  return np.concatenate(seconds), np.concatenate(counts), damaged


_NO_BLOCK = 'block of samples that is whole: copy it from the device again'
DEVICES = {
  '.cwa': _Device('Axivity', b'MD', _read_axivity, _NO_BLOCK),
  '.bin': _Device('GENEActiv', b'Device Identity', _read_geneactiv, _NO_BLOCK),
  '.gt3x': _Device('ActiGraph', b'', _read_actigraph, 'raw acceleration: export it with raw data'),
}
