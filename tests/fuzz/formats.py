"""Every format that har_jax reads: a small valid input, how it is damaged, and what is read of it."""

import collections
import dataclasses
import functools
import hashlib
import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import made_archives
import mutations
import numpy as np

from har_jax.data.archives import ARCHIVES

# What a reader gives: the numbers, as a hash, and what it said about them.
Read = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Format:
  """`build` writes a valid input to a folder; `damage` changes one of its files; `read` may write to `out`.

  `has_sum`: the format holds a checksum, so damage must be refused or change nothing.
  """

  name: str
  build: Callable[[pathlib.Path], None]
  damage: Callable[[bytes, mutations.Random], bytes]
  read: Callable[[pathlib.Path, pathlib.Path], Read]
  has_sum: bool
  files: str = '*'  # which are damaged


def digest(*parts: Any) -> str:
  sha = hashlib.sha256()
  for part in parts:
    sha.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode(errors='replace'))
  return sha.hexdigest()


def _build_archive(folder: pathlib.Path, name: str) -> None:
  (folder / 'a.zip').write_bytes(made_archives.zipped(made_archives.made(name)))


def _read_archive(folder: pathlib.Path, out: pathlib.Path, name: str) -> Read:
  from har_jax.data.prepare import prepare

  windows = prepare(ARCHIVES[name], folder / 'a.zip', out, progress=False)
  names = [np.array(windows.meta[each]) for each in ('activities', 'subjects')]
  labels = names[0][windows.activity].tolist(), names[1][windows.subject].tolist()
  return digest(windows.signals, labels, windows.start_s), repr(windows.meta['dropped'])


def _archives(damage: Callable, kind: str, has_sum: bool) -> list[Format]:
  return [
    Format(
      f'archive {name}, {kind}',
      functools.partial(_build_archive, name=name),
      damage,
      functools.partial(_read_archive, name=name),
      has_sum,
    )
    for name in made_archives.NAMES
  ]


def _recording() -> Any:
  import pandas as pd

  rows = 700
  time_s = np.arange(rows) / 50
  rng = np.random.default_rng(1)
  values = np.sin(2 * np.pi * 1.9 * time_s[:, None] + np.arange(6)) + rng.normal(0, 0.05, (rows, 6))
  values[:, 2] += 9.6
  frame = pd.DataFrame(values.round(5), columns=['ax', 'ay', 'az', 'gx', 'gy', 'gz'])
  frame.insert(0, 'time', (time_s * 1000).astype(int))
  return frame


def _build_csv(folder: pathlib.Path) -> None:
  _recording().to_csv(folder / 'day.csv', index=False)


def _build_labels(folder: pathlib.Path) -> None:
  _build_csv(folder)
  (folder / 'labels.csv').write_text('start,end,activity\n0,6,walking\n6,13.5,sitting\n')


def _build_parquet(folder: pathlib.Path) -> None:
  _recording().to_parquet(folder / 'day.parquet')


def _build_sensor_files(folder: pathlib.Path) -> None:
  """As some phone apps write them: a file a sensor."""
  frame = _recording()
  for name, columns in (('Accelerometer', ['ax', 'ay', 'az']), ('Gyroscope', ['gx', 'gy', 'gz'])):
    part = frame[['time', *columns]].set_axis(['time', 'x', 'y', 'z'], axis=1)
    part.assign(time=part['time'] / 1000).to_csv(folder / f'{name}.csv', index=False)


def _read_recording(folder: pathlib.Path, out: pathlib.Path, file: str, labels: str | None = None) -> Read:
  from har_jax.data import user_recordings

  del out  # nothing is written
  reading = user_recordings.read(folder / file, labels=folder / labels if labels else None)
  warnings = reading.warnings + user_recordings.check(reading)
  dropped: collections.Counter = collections.Counter()
  windows = user_recordings.to_windows(reading, dropped=dropped) if labels else []
  windows += user_recordings.unlabeled_windows(reading)
  numbers = [each.signal for each in windows], [(each.activity, each.start_s) for each in windows]
  return digest(*numbers[0], numbers[1]), repr((reading.notes, warnings, dropped))


def _build_windows(folder: pathlib.Path) -> None:
  from har_jax.data import cutting
  from har_jax.data import windows as store

  rng = np.random.default_rng(2)
  windows = [
    cutting.Window(rng.normal(size=(128, 6)).astype(np.float32), activity, subject, number, 1.28 * number)
    for number, (activity, subject) in enumerate([('walking', '1'), ('sitting', '1'), ('walking', '2')] * 3)
  ]
  store.save(store.gather(windows, {**_META, 'archive': 'alpha'}), folder / 'alpha')


_META = {
  'title': 'Alpha',
  'position': 'waist',
  'license': 'none',
  'source': 'a.zip',
  'checksum': 'sha256:0',
  'code_version': '0',
  'recordings_read': 9,
  'dropped': {},
}


def _read_windows(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax.data import windows as store

  del out
  windows = store.load(folder / 'alpha')
  columns = [windows.activity, windows.subject, windows.recording, windows.start_s, windows.position]
  return digest(np.asarray(windows.signals), *columns, windows.meta), ''


@functools.cache
def _tiny() -> Any:
  from har_jax import config

  sizes = {'patch_size': 32, 'width': 24, 'mlp_dim': 48, 'depth': 1, 'decoder_depth': 1, 'num_heads': 2}
  return config.Model(**sizes, head=(8,))  # type: ignore[arg-type]


def _drawn() -> dict[str, np.ndarray]:
  import jax

  from har_jax import variables
  from har_jax.train.objective import Classify

  rng = np.random.default_rng(3)
  shapes = jax.eval_shape(Classify(_tiny(), 2).init, jax.random.key(0))
  flat = shapes if all(hasattr(each, 'shape') for each in shapes.values()) else variables.flatten(shapes)
  return {
    path: np.asarray(0.3 * rng.standard_normal(leaf.shape) + path.endswith(('scale', 'var')), leaf.dtype)
    for path, leaf in flat.items()
  }


def _build_base(folder: pathlib.Path) -> Any:
  from har_jax import config_fields, files

  source = {'archive': 'alpha', 'license': 'none', 'checksum': '0', 'windows': 7}
  pretraining = {'steps': 12, 'validation_loss': 0.5}
  card = {'model': config_fields.to_json(_tiny()), 'sources': [source], 'pretraining': pretraining}
  return files.save_base(folder, _drawn(), card)


def _build_adapter(folder: pathlib.Path) -> None:
  import jax

  from har_jax import config, config_fields, files, methods

  base = _build_base(folder)
  settings = methods.Settings(config.Lora(rank=2, alpha=4.0))
  held = methods.METHODS['lora'].adapt(_drawn(), settings, jax.random.key(0))
  card = {
    'method': 'lora',
    'rank': 2,
    'alpha': 4.0,
    'targets': list(settings.lora.targets),
    'model': config_fields.to_json(_tiny()),
    'precision': config_fields.to_json(config.Precision()),
    'classes': ['sitting', 'walking'],
    'normalizer': {'mean': [0.1] * 6, 'deviation': [3.0] * 6},
    'metrics': {'validation': {'macro_f1': 0.9, 'accuracy': 0.8}},
  }
  files.save_adapter(folder, files.make_adapter(base, held, card))


def _read_base(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax import files

  del out
  base = files.load_base(folder)
  return digest(*_leaves(base.variables), base.card), ''


def _read_adapter(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax.inference.recognizer import Recognizer

  del out
  recognizer = Recognizer.load(folder)
  held = recognizer.adapter_
  return digest(*_leaves(held.variables), held.card, recognizer.temperature, recognizer.classes_.tolist()), ''


def _leaves(held: dict[str, Any]) -> list[Any]:
  return [part for path in sorted(held) for part in (path, np.asarray(held[path]))]


def _state(step: int) -> tuple[Any, Any]:
  import jax.numpy as jnp

  from har_jax import config
  from har_jax.data.batches import training_batches
  from har_jax.train import optimizer
  from har_jax.train.step import State, start

  rng = np.random.default_rng(step)
  trainable = {
    'params/head/kernel': jnp.asarray(rng.standard_normal((2, 3)), jnp.float32),
    'lora/encoder/a': jnp.asarray(rng.standard_normal((2, 2)), jnp.float32),
  }
  statistics = {'batch_stats/head/mean': jnp.full(3, float(step))}
  state = start(trainable, statistics, optimizer.build(config.Training(), pretrained=True))
  windows = {'signal': np.arange(10, dtype=np.float32)[:, None]}
  batches = training_batches(windows, batch=2, steps=20, seed=0)
  return State(jnp.int32(step), trainable, statistics, state.optimizer), batches


def _build_checkpoints(folder: pathlib.Path) -> None:
  from har_jax.train.checkpoint import Checkpoints

  checkpoints = Checkpoints(folder / 'checkpoints')
  for step in (1, 2):
    checkpoints.save(*_state(step), [{'step': step, 'score': 0.5}], 1.0 / step, seconds=1.0)


def _read_checkpoints(folder: pathlib.Path, out: pathlib.Path) -> Read:
  import jax

  from har_jax.train.checkpoint import Checkpoints

  del out
  found = Checkpoints(folder / 'checkpoints').newest(*_state(0))
  if found is None:
    return '', 'no checkpoint'
  state, history, seconds = found
  return digest(int(state.step), *map(np.asarray, jax.tree.leaves(state)), history, seconds), ''


def _build_results(folder: pathlib.Path) -> None:
  from har_jax import storage

  path = pathlib.Path(__file__).parents[1] / 'report' / 'conftest.py'
  spec = importlib.util.spec_from_file_location('made_results', path)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  for seed in (0, 1):
    entries = module._result(method='lora', seed=seed, subjects={'3': 0.8, '4': 0.9})
    storage.write(folder / 'wisdm' / 'lora' / 'subject' / 'labels-0.7' / f'seed{seed}.json', entries)


def _read_results(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax import storage
  from har_jax.report import frame, markdown, tables

  runs = frame.load(folder)
  text = markdown.markdown(tables.TABLES['2'](runs))  # all tables take a second
  storage.write_text(out / 'tables.md', text)
  return digest(text, runs.to_csv()), ''


def sealed(content: bytes, rng: mutations.Random) -> bytes:
  """A card with another value and right sums, as a hostile hand would write it."""
  from har_jax import storage, sums  # type: ignore[attr-defined]

  entries, files = sums.unseal(json.loads(content))
  return storage.card(mutations.damaged_value(entries, rng), files)


_FOLDERS = (
  ('windows', _build_windows, _read_windows, '*.json'),
  ('base', _build_base, _read_base, '*.json'),
  ('adapter', _build_adapter, _read_adapter, 'adapter.json'),
  ('results', _build_results, _read_results, '*.json'),
)
HAS_SUMS = importlib.util.find_spec('har_jax.sums') is not None
_CSV = functools.partial(_read_recording, file='day.csv')

FORMATS: dict[str, Format] = {
  each.name: each
  for each in (
    *_archives(mutations.damaged_bytes, 'bytes of its zip', True),
    *_archives(mutations.damaged_member, 'a file in its zip', False),
    Format('recording, CSV', _build_csv, mutations.damaged_text, _CSV, False),
    Format(
      'recording, Parquet',
      _build_parquet,
      mutations.damaged_bytes,
      functools.partial(_read_recording, file='day.parquet'),
      False,
    ),
    Format(
      'recording, a file a sensor',
      _build_sensor_files,
      mutations.damaged_text,
      functools.partial(_read_recording, file='.'),
      False,
    ),
    Format(
      'labels',
      _build_labels,
      mutations.damaged_text,
      functools.partial(_CSV, labels='labels.csv'),
      False,
      'labels.csv',
    ),
    *(
      Format(f'{name}, bytes', build, mutations.damaged_bytes, read, True)
      for name, build, read, _ in _FOLDERS
    ),
    *(
      Format(f'{name}, card', build, mutations.damaged_json, read, True, cards)
      for name, build, read, cards in _FOLDERS
    ),
    *(
      Format(f'{name}, card with right sums', build, sealed, read, False, cards)
      for name, build, read, cards in _FOLDERS
      if HAS_SUMS
    ),
    Format('checkpoints', _build_checkpoints, mutations.damaged_bytes, _read_checkpoints, True),
  )
}
