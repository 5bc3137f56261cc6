"""Research devices that write samples in blocks: Axivity (.cwa) and GENEActiv (.bin).   b blocks, n samples.

Sources: Open Movement, CWA format, https://github.com/openmovementproject/openmovement/blob/master/Docs/ax3/
cwa.md; GENEActiv, instructions and software manual, appendix on the .bin file.
"""

import contextlib
import dataclasses
import datetime
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt16, UInt32

from har_jax.errors import UserError, shorten
from har_jax.recordings.files import Files
from har_jax.recordings.formats.export import Export, export_device, unpack_12_bits
from har_jax.recordings.tables import NoRecording, border

AXIVITY, GENEACTIV = '.cwa', '.bin'
_MAGIC = {AXIVITY: b'MD', GENEACTIV: b'Device Identity'}
_MAKERS = {AXIVITY: 'Axivity', GENEACTIV: 'GENEActiv'}

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


@dataclasses.dataclass(frozen=True)
class _Blocks:
  """Seconds since 1970 of each block's first sample; `lost` blocks are damaged or missing."""

  starts_s: Float[np.ndarray, 'b']
  counts: Int[np.ndarray, 'b']
  rate_hz: float
  acc_g: Float[np.ndarray, 'n 3']
  gyro_deg_s: Float[np.ndarray, 'n 3'] | None
  lost: int
  warnings: tuple[str, ...]


def find(files: Files) -> list[Export]:
  """Raises UserError: a file without a sound block. Damaged and missing blocks are warned of."""
  file = files.single
  if file is None or file.suffix not in _MAGIC:
    return []
  magic, maker = _MAGIC[file.suffix], _MAKERS[file.suffix]
  with border(file.path), file.open() as opened:
    content = opened.read()
  if not content.startswith(magic):
    raise NoRecording(f'{file.path} is no recording of {maker}: it does not begin with {magic.decode()}')
  with border(file.path, f'recording of {maker}'):
    blocks = (_read_axivity if file.suffix == AXIVITY else _read_geneactiv)(content)
  if not len(blocks.acc_g):
    raise UserError(f'{file.path} holds no block of samples that is whole: copy it from the device again')
  lost = f'{blocks.lost} blocks of samples are damaged or missing: they were left out.'
  warnings = [*([lost] if blocks.lost else []), *blocks.warnings]
  return export_device(files, maker, _sample_times(blocks), blocks.acc_g, blocks.gyro_deg_s, warnings)


def _sample_times(blocks: _Blocks) -> Float[np.ndarray, 'n']:
  """Seconds since 1970; a block's samples reach evenly to the next block, as the rate is not exact."""
  steps_s = np.full(len(blocks.counts), 1 / blocks.rate_hz)
  measured_s = np.diff(blocks.starts_s) / blocks.counts[:-1]
  follows = np.abs(measured_s * blocks.rate_hz - 1) < _CLOCK_OFF
  steps_s[:-1][follows] = measured_s[follows]
  steps_s[-1] = steps_s[-2:][0]  # nothing follows the last one
  before = np.repeat(np.cumsum(blocks.counts) - blocks.counts, blocks.counts)
  within = np.arange(len(before)) - before
  return np.repeat(blocks.starts_s, blocks.counts) + within * np.repeat(steps_s, blocks.counts)


def _missing(numbers: Sequence[int] | np.ndarray) -> int:
  """Blocks that the numbers leave out between first and last; a device may begin to count again."""
  return int((np.diff(np.asarray(numbers, np.int64)) - 1).clip(0).sum())


# --- Axivity


def _read_axivity(content: bytes) -> _Blocks:
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
  return _Blocks(
    seconds[is_sound] + fraction_s - offset_s,
    sound['count'].astype(np.int64),
    rate_hz,
    (columns[:, 3:6] if has_gyro else columns) / (256 << (scales >> 3)),
    columns[:, :3] * (8000 / (32_768 << (scales & 7))) if has_gyro else None,
    max(int((~is_sound).sum()), _missing(sound['number'])),
    ('The file ends within a block: it was cut short.',) if cut else (),
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


def _read_geneactiv(content: bytes) -> _Blocks:
  head, *pages = content.split(b'Recorded Data')
  header = _fields(head)
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
  counts = unpack_12_bits(np.frombuffer(b''.join(samples), np.uint8), 4)[:, :3]
  said = header.get('Number of Pages', '')
  differs = f'The file says that it has {shorten(said, 20)} pages of samples, but it has {len(pages)}.'
  return _Blocks(
    np.array(starts_s, np.float64),
    np.array([len(part) // 6 for part in samples], np.int64),
    rate_hz,
    ((100.0 * counts - offset) / gain).astype(np.float32),
    None,
    max(len(pages) - len(sound), _missing(numbers)),
    () if said == str(len(pages)) else (differs,),
  )


def _fields(text: bytes) -> dict[str, str]:
  lines = (line.partition(':') for line in text.decode('latin-1').splitlines())
  return {name.strip(): value.strip() for name, _, value in lines}


def _page(page: bytes) -> tuple[int, float, bytes]:
  """Number, seconds since 1970, and samples of six bytes: x, y and z in 12 bits each, light and button.

  Raises ValueError or KeyError if it is damaged.
  """
  fields = _fields(page)
  digits = list(fields)[-1]
  samples = bytes.fromhex(digits)
  start = datetime.datetime.strptime(fields['Page Time'], '%Y-%m-%d %H:%M:%S:%f')
  number = int(fields['Sequence Number'])
  if not samples or len(samples) % 6 or len(samples) > 6 * _PAGE_SAMPLES or not 2000 <= start.year < 2100:
    raise ValueError(f'{len(samples)} bytes at {start}')
  return number, start.replace(tzinfo=datetime.UTC).timestamp(), samples
