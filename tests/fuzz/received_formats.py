"""What others send: recordings of users, and messages of a federation."""

import collections
import functools
import json
import pathlib
from collections.abc import Callable

import export_base
import export_devices
import exports
import mutations
import numpy as np
import user_files
import zips
from cases import Format, Read, digest

from har_jax import recordings, records, storage
from har_jax.config import DEFAULT_WINDOWING
from har_jax.federated import aggregation, messages
from har_jax.federated.federation import Federation

_BYTES, _TEXT = mutations.damaged_bytes, mutations.damaged_text

# --- recordings


def _build_day(folder: pathlib.Path) -> None:
  labels = 'start,end,activity\n0,6,walking\n6,13.5,sitting\n'
  zips.write(folder, {'day.csv': user_files.FRAME, 'labels.csv': labels})


def _build_sensor_files(folder: pathlib.Path) -> None:
  zips.write(folder, user_files.SENSORS)


def _build_export(name: str, folder: pathlib.Path) -> None:
  exports.WRITERS[name](folder, export_base.recording())


def _damaged_blocks(content: bytes, rng: mutations.Random) -> bytes:
  """Damage to the blocks of an Axivity, whose checksums are right."""
  content = mutations.damaged_bytes(content, rng)
  starts = range(1024, len(content) - 511, 512)
  blocks = [export_devices.checked(bytearray(content[start : start + 512])) for start in starts]
  return content[:1024] + b''.join(blocks)


def _damaged_records(content: bytes, rng: mutations.Random) -> bytes:
  """Damage to the records of an ActiGraph, whose checksums are right."""
  members = zips.unzipped(content)
  log, records = members['log.bin'], list[bytes]()
  while log:
    stop = 8 + int.from_bytes(log[6:8], 'little')
    records.append(log[:stop])
    log = log[stop + 1 :]
  number = int(rng.integers(len(records)))
  records[number] = mutations.damaged_bytes(records[number], rng)
  sealed = (
    part + bytes([functools.reduce(lambda total, octet: total ^ octet, part, 0xFF)]) for part in records
  )
  return zips.zipped(members | {'log.bin': b''.join(sealed)})


def _recording(file: str = '', labels: str = '') -> Callable[[pathlib.Path, pathlib.Path], Read]:
  def read(folder: pathlib.Path, out: pathlib.Path) -> Read:
    del out  # nothing is written
    path = folder / file if file else next(folder.iterdir())
    reading = recordings.read(path, labels=folder / labels if labels else None)
    warnings = reading.warnings + recordings.check(reading, DEFAULT_WINDOWING)
    dropped: collections.Counter = collections.Counter()
    windows = recordings.to_windows(reading, DEFAULT_WINDOWING, dropped=dropped) if labels else []
    windows += recordings.to_windows(reading, DEFAULT_WINDOWING, unlabeled=True)
    assert all(np.isfinite(window.signal).all() for window in windows)
    numbers = digest(
      *(window.signal for window in windows), [(window.activity, window.start_s) for window in windows]
    )
    return numbers, repr((reading.notes, warnings, dropped))

  return read


# --- messages of a federation


def _build_messages(folder: pathlib.Path) -> None:
  entries = Federation(('sitting', 'walking')).entries() | {'round': 3, 'checksum': 'a' * 64}
  storage.write(folder / 'request.json', entries)
  storage.write(folder / 'trained.json', {'windows': 30, 'loss': 0.5, 'client': 2})
  storage.write(folder / 'scores.json', {'windows': 30, 'macro_f1': 0.5, 'accuracy': 0.6, 'client': 2})
  for path, leaf in _start().items():
    np.save(folder / f'{path.replace("/", ".")}.npy', leaf + np.float32(0.1))


def _start() -> dict[str, np.ndarray]:
  shapes = {'batch_stats/head/mean': (3,), 'batch_stats/head/var': (3,), 'params/head/kernel': (5, 2)}
  return {path: np.ones(shape, np.float32) for path, shape in shapes.items()}


def _read_messages(folder: pathlib.Path, out: pathlib.Path) -> Read:
  """Checks the messages, and makes one update of a client's and two others in every way."""
  entries = {path.stem: json.loads(path.read_bytes()) for path in folder.glob('*.json')}
  arrays = {path.stem: messages.read_array(path.read_bytes()) for path in sorted(folder.glob('*.npy'))}
  update, start = {name.replace('.', '/'): leaf for name, leaf in arrays.items()}, _start()
  aggregation.check_update(update, start)
  updates = [
    update,
    *({path: leaf * np.float32(factor) for path, leaf in start.items()} for factor in (2, 3)),
  ]
  means = list[np.ndarray]()
  for robust in ('none', 'median', 'trimmed_mean', 'multi_krum'):
    federation = Federation(('sitting', 'walking'), robust=robust)
    mean = aggregation.aggregate(updates, [30, 40, 50], start, federation, np.random.default_rng(0))
    aggregation.check_update({path: mean[path] for path in sorted(mean)}, start)
    means += mean.values()
  metrics = [
    messages.read_metrics(entries['trained'], messages.Trained),
    messages.read_metrics(entries['scores'], records.ClientScores),
  ]
  return digest(*messages.read_request(entries['request']), metrics, *update.values(), *means), ''


FORMATS = (
  *(
    Format(f'recording, {name}{part}', functools.partial(_build_export, name), damage, _recording(), False)
    for name, part, damage in (
      *((name, '', mutations.damaged_export) for name in exports.WRITERS),
      ('Axivity (.cwa of an AX6)', ', blocks', _damaged_blocks),
      ('ActiGraph (.gt3x)', ', records', _damaged_records),
    )
  ),
  Format('recording, a file a sensor', _build_sensor_files, _TEXT, _recording('.'), False),
  Format('messages, arrays', _build_messages, _BYTES, _read_messages, False, '*.npy'),
  Format(
    'messages, settings and metrics',
    _build_messages,
    mutations.damaged_value_of_json,
    _read_messages,
    False,
    '*.json',
  ),
  Format('labels', _build_day, _TEXT, _recording('day.csv', 'labels.csv'), False, 'labels.csv'),
)
