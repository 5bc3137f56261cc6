"""One recording as Axivity, GENEActiv and ActiGraph keep it."""

import dataclasses
import datetime
import math
import pathlib
import struct

import numpy as np
import zips
from export_base import DEGREES, EPOCH_S, G, Recording, Written


def _counts(one: Recording) -> np.ndarray:
  return np.round(one.acc / G * 256).astype(int)


def _axivity(folder: pathlib.Path, layout: int, scales: int, samples: np.ndarray) -> Written:
  """Blocks of 80 samples, or 40 of two sensors; a block's time is that of the sample at a whole second."""
  header = bytearray(1024)
  struct.pack_into('<HHBHI', header, 0, 0x444D, 1020, 0x17, 7, 1)
  header[36] = 0x49  # 50 Hz, 8 g
  blocks = [bytes(header)]
  size = 80 if layout >> 4 == 3 else 40
  for number in range(len(samples) // size):
    start_s = number * size / 50
    second = math.ceil(start_s)
    at = datetime.datetime(2026, 5, 28, 20, 26, 40) + datetime.timedelta(seconds=second)
    stamp = (
      (at.year - 2000) << 26 | at.month << 22 | at.day << 17 | at.hour << 12 | at.minute << 6 | at.second
    )
    block = bytearray(512)
    struct.pack_into('<HHHIIIH', block, 0, 0x5841, 508, 0, 1, number, stamp, scales << 10)
    struct.pack_into('<BBhH', block, 24, 0x49, layout, round((second - start_s) * 50), size)
    data = samples[size * number :][:size].tobytes()
    block[30 : 30 + len(data)] = data
    blocks.append(checked(block))
  (folder / 'walk.cwa').write_bytes(b''.join(blocks))
  return Written(folder / 'walk.cwa', 0.501 * G / 256, None)


def checked(block: bytearray) -> bytes:
  """The block with the checksum by which its words add up to 0."""
  block[510:] = bytes(2)
  total = int(np.frombuffer(bytes(block), '<u2').sum(dtype=np.uint32))
  return bytes(block[:510]) + struct.pack('<H', -total & 0xFFFF)


def axivity(folder: pathlib.Path, one: Recording) -> Written:
  return _axivity(folder, 0x32, 0, _counts(one).astype('<i2'))


def axivity_packed(folder: pathlib.Path, one: Recording) -> Written:
  """Ten bits an axis, and a common power of two: up to 512 counts are exact, others lose their last bits."""
  counts = _counts(one)
  powers = np.ceil(np.log2(np.abs(counts).max(axis=1) / 511)).clip(0, 3).astype(int)
  digits = counts >> powers[:, None] & 0x3FF
  words = digits[:, 0] | digits[:, 1] << 10 | digits[:, 2] << 20 | powers << 30
  return dataclasses.replace(_axivity(folder, 0x30, 0, words.astype('<u4')), acc_atol=G / 256 * 8)


def axivity_six(folder: pathlib.Path, one: Recording) -> Written:
  """AX6: angular velocity of up to 2,000 deg/s, then acceleration in 4,096 counts a g."""
  samples = np.round(np.c_[one.gyro * DEGREES / 2000 * 32768, one.acc / G * 4096]).astype('<i2')
  written = _axivity(folder, 0x62, 4 << 3 | 2, samples)
  return dataclasses.replace(written, acc_atol=0.501 * G / 4096, gyro_atol=0.501 * 2000 / 32768 / DEGREES)


_GENEACTIV = (
  *('Device Identity', 'Device Unique Serial Code:1', 'Device Type:GENEActiv', 'Device Model:1.1'),
  *('Device Firmware Version:Ver2.03', 'Calibration Date:2010-09-16 09:10:25:000', '', 'Device Capabilities'),
  *('Light meter range:0 to 5000', 'Light meter resolution:5', 'Light meter units:Lux'),
  *('Temperature sensor range:0 to 70', 'Temperature sensor resolution:0.3', 'Temperature sensor units:C'),
  *('Accelerometer Range:-8 to 8', 'Accelerometer Resolution:0.0039', 'Accelerometer Units:g', ''),
  *('Configuration Info', 'Measurement Frequency:50 Hz', 'Measurement Period:24 Hours'),
  *('Start Time:2026-05-28 20:26:40:000', 'Time Zone:GMT +00:00', '', 'Trial Info', 'Study Centre:'),
  *('Study Code:', 'Investigator ID:', 'Exercise Type:', 'Config Operator ID:'),
  *('Config Time:2026-05-28 20:00:00:000', 'Config Notes:', 'Extract Operator ID:'),
  *('Extract Time:2026-05-29 20:00:00:000', 'Extract Notes:', '', 'Subject Info'),
  *('Device Location Code:left wrist', 'Subject Code:', 'Date of Birth:1990-1-1', 'Sex:', 'Height:'),
  *('Weight:', 'Handedness Code:', 'Subject Notes:', '', 'Calibration Data', 'x gain:25600', 'x offset:0'),
  *('y gain:25600', 'y offset:0', 'z gain:25600', 'z offset:0', 'Volts:300', 'Lux:800', '', 'Memory Status'),
)  # fmt: skip


def geneactiv(folder: pathlib.Path, one: Recording) -> Written:
  """Pages of 300 samples as hexadecimal digits: 12 bits an axis, 12 for light and button."""
  counts = _counts(one) & 0xFFF
  pages = len(counts) // 300
  lines = [*_GENEACTIV, f'Number of Pages:{pages}', '']
  for number in range(pages):
    at = datetime.datetime(2026, 5, 28, 20, 26, 40) + datetime.timedelta(seconds=6 * number)
    lines += ['Recorded Data', 'Device Unique Serial Code:1', f'Sequence Number:{number}']
    lines += [f'Page Time:{at:%Y-%m-%d %H:%M:%S}:000', 'Unassigned:', 'Temperature:21.0']
    lines += ['Battery voltage:4.1', 'Device Status:Recording', 'Measurement Frequency:50.0']
    page = counts[300 * number :][:300].tolist()
    lines.append(''.join(f'{x << 36 | y << 24 | z << 12:012X}' for x, y, z in page))
  (folder / 'walk.bin').write_bytes('\r\n'.join([*lines, '']).encode())
  return Written(folder / 'walk.bin', 0.501 * G / 256, None)


def _actigraph(folder: pathlib.Path, one: Recording, kind: int, scale: float) -> Written:
  """A record a second: separator, type, time, size, payload, checksum. A battery's record comes first."""
  counts = np.round(one.acc / G * scale).astype(int)
  records = []
  for second in range(-1, len(counts) // 50):
    part = counts[50 * second :][:50]
    if second < 0:
      payload, code = struct.pack('<H', 4100), 2
    elif kind == 0x1A:
      payload, code = part.astype('<i2').tobytes(), kind
    else:  # 12 bits each, in the order y x z
      digits = ''.join(f'{value & 0xFFF:03x}' for value in part[:, [1, 0, 2]].ravel())
      payload, code = bytes.fromhex(digits), kind
    record = struct.pack('<BBIH', 0x1E, code, EPOCH_S + max(second, 0), len(payload)) + payload
    checksum = 0xFF
    for octet in record:
      checksum ^= octet
    records.append(record + bytes([checksum]))
  info = f'Serial Number: TAS1D48140206\nAcceleration Scale: {scale}\nSample Rate: 50\nTimeZone: 02:00:00\n'
  path = zips.write_zip(folder / 'walk.gt3x', {'info.txt': info, 'log.bin': b''.join(records)})
  return Written(path, 0.501 * G / scale, None)


def actigraph(folder: pathlib.Path, one: Recording) -> Written:
  return _actigraph(folder, one, 0x1A, 256.0)


def actigraph_packed(folder: pathlib.Path, one: Recording) -> Written:
  return _actigraph(folder, one, 0x00, 341.0)
