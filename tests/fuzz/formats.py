"""Every format that har_jax reads: a small valid input, how it is damaged, and what is read of it."""

import contextlib
import functools
import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import made_results
import mutations
import numpy as np
import received_formats
import traps
import user_files
import zips
from cases import Format, Read, digest
from official import OFFICIAL
from zips import zipped

from har_jax import checksums, config, config_fields, files, methods, storage
from har_jax.archives import ARCHIVES, own_dataset
from har_jax.archives.archive import Archive
from har_jax.config import DEFAULT_WINDOWING
from har_jax.datasets import prepare
from har_jax.datasets import windows as store
from har_jax.datasets.batches import training_batches
from har_jax.errors import UserError
from har_jax.files import baseline_adapter, safetensors_io
from har_jax.recognizer import recording_head
from har_jax.recognizer.recognizer import Recognizer
from har_jax.report import frame, groups, markdown, tables
from har_jax.signal import cutting
from har_jax.train import optimizer
from har_jax.train.checkpoint import Checkpoints
from har_jax.train.objective import Classify, initial_shapes
from har_jax.train.step import State, start

# --- archives and own datasets


def _prepared(archive: Archive, source: pathlib.Path, out: pathlib.Path) -> Read:
  windows = prepare.prepare(archive, source, out, progress=False)
  activities, subjects = (np.array(names) for names in (windows.meta.activities, windows.meta.subjects))
  labels = activities[windows.activity].tolist(), subjects[windows.subject].tolist()
  return digest(windows.signals, labels, windows.start_s), repr(windows.meta.dropped)


def _build_archive(folder: pathlib.Path, name: str) -> None:
  with tempfile.TemporaryDirectory() as made:
    path = OFFICIAL[name].write(pathlib.Path(made))
    files = sorted(file for file in path.rglob('*') if file.is_file())
    content = zipped({file.relative_to(path).as_posix(): file.read_bytes() for file in files})
    (folder / 'a.zip').write_bytes(content if files else path.read_bytes())


def _archives(kind: str, damage: Callable, has_sum: bool) -> list[Format]:
  return [
    Format(
      f'archive {name}, {kind}',
      functools.partial(_build_archive, name=name),
      damage,
      lambda folder, out, name=name: _prepared(ARCHIVES[name], folder / 'a.zip', out),
      has_sum,
    )
    for name in OFFICIAL
  ]


def _build_dataset(folder: pathlib.Path) -> None:
  (folder / 'dataset.toml').write_text(
    'name = "mine"\nlicense = "CC0"\nposition = "wrist"\nrate_hz = 50.0\n[activities]\ngo = "walking"\n'
    '[columns]\nax = "ax"\nay = "ay"\naz = "az"\n[units]\nacc = "m/s2"\ngyro = "rad/s"\ntime = "s"\n'
  )
  for subject, label in (('1', 'go'), ('2', 'sitting')):
    zips.write(folder, {f'{subject}/day.csv': user_files.FRAME[:300].assign(label=label)})


def _read_dataset(folder: pathlib.Path, out: pathlib.Path) -> Read:
  return _prepared(own_dataset.load(folder / 'dataset.toml'), folder, out)


# --- the files of har_jax itself

_META = {'title': 'Alpha', 'position': 'waist', 'license': 'none', 'source': 'a.zip', 'archive': 'alpha'}
_META |= {'checksum': 'sha256:0', 'code_version': '0', 'recordings_read': 9, 'dropped': {}}
_SIZES: dict[str, int] = {'patch_size': 32, 'width': 24, 'mlp_dim': 48, 'depth': 1, 'decoder_depth': 1}
_MODEL = config.Model(**_SIZES, num_heads=2, head=(8,))  # type: ignore[arg-type]
_CARD = {
  'model': config_fields.to_json(_MODEL),
  'sources': [{'archive': 'alpha', 'license': 'none', 'checksum': '0', 'windows': 7}],
  'pretraining': {'steps': 12, 'validation_loss': 0.5},
}


def _build_windows(folder: pathlib.Path) -> None:
  rng = np.random.default_rng(2)
  windows = [
    cutting.Window(rng.normal(size=(128, 6)).astype(np.float32), activity, subject, number, 1.28 * number)
    for number, (activity, subject) in enumerate([('walking', '1'), ('sitting', '1'), ('walking', '2')] * 3)
  ]
  store.save(store.gather(windows, _META, DEFAULT_WINDOWING), folder / 'alpha')


def _read_windows(folder: pathlib.Path, out: pathlib.Path) -> Read:
  windows = store.load(folder / 'alpha')
  columns = [windows.activity, windows.subject, windows.recording, windows.start_s, windows.position]
  return digest(np.asarray(windows.signals), *columns, windows.meta), ''


def _drawn(classes: int) -> dict[str, np.ndarray]:
  rng = np.random.default_rng(3)
  return {
    path: np.asarray(0.3 * rng.standard_normal(leaf.shape) + path.endswith(('scale', 'var')), leaf.dtype)
    for path, leaf in initial_shapes(Classify(_MODEL, classes)).items()
  }


def _build_base(folder: pathlib.Path) -> files.Base:
  return files.save_base(folder, _drawn(2), _CARD)


def _read_base(folder: pathlib.Path, out: pathlib.Path) -> Read:
  base = files.load_base(folder)
  return digest(*_leaves(base.variables), base.card), ''


def _build_baseline(folder: pathlib.Path) -> None:
  rng = np.random.default_rng(4)
  leaves = baseline_adapter.leaves_of(rng.normal(size=(8, 128, 6)).astype(np.float32), np.arange(8) % 2)
  card = {
    **files.method_entries('forest', methods.Settings(), _MODEL),
    'classes': ['sitting', 'walking'],
    'normalizer': {'mean': [0.0, 0.0], 'deviation': [1.0, 1.0]},
    'fitted_with': baseline_adapter.versions('forest'),
  }
  files.save_adapter(folder, files.make_adapter(_build_base(folder), leaves, card))


def _build_adapter(folder: pathlib.Path) -> None:
  settings = methods.Settings(config.Lora(rank=2, alpha=4.0))
  card = {
    **files.method_entries('lora', settings, _MODEL),
    'classes': ['sitting', 'walking'],
    'normalizer': {'mean': [0.1, 0.2], 'deviation': [3.0, 1.0]},
    'metrics': {'validation': {'macro_f1': 0.9, 'accuracy': 0.8}},
  }
  adapted = methods.METHODS['lora'].adapt(_drawn(2), settings, jax.random.key(0))
  files.save_adapter(folder, files.make_adapter(_build_base(folder), adapted, card))


def _read_adapter(folder: pathlib.Path, out: pathlib.Path) -> Read:
  recognizer = Recognizer.load(folder)
  adapter = recognizer.adapter_
  labels = recognizer.classes_.tolist()
  return digest(*_leaves(adapter.variables), adapter.card, recognizer.temperature, labels), ''


def _read_forged(name: str, folder: pathlib.Path, out: pathlib.Path) -> Read:
  """Reads forged leaves whose card has the right sums, and predicts with them."""
  forged = shutil.copytree(folder, out / 'forged')
  content, path = (forged / f'{name}.safetensors').read_bytes(), forged / f'{name}.json'
  card = json.loads(path.read_text())
  card['sums'][f'{name}.safetensors'] = checksums.hash_bytes(content)
  if name == 'recording_head':
    path.write_text(json.dumps(card))
    return _read_recording_head(forged, out)
  with contextlib.suppress(UserError):
    card['checksum'] = safetensors_io.checksum(safetensors_io.from_bytes(path, content))
  path.write_text(json.dumps(card))
  recognizer = Recognizer.load(forged)
  return digest(recognizer.predict_proba(_WINDOWS), recognizer.predict(_WINDOWS)), ''


_WINDOWS = np.random.default_rng(5).normal(size=(9, 128, 6)).astype(np.float32)


def _leaves(leaves: dict[str, Any]) -> list[Any]:
  return [part for path in sorted(leaves) for part in (path, np.asarray(leaves[path]))]


@functools.cache  # three formats damage it, and the fit takes a second
def _recording_head() -> Any:
  rng = np.random.default_rng(0)
  features = rng.standard_normal((60, len(recording_head.relative_features.NAMES))).astype(np.float32)
  return recording_head.fit(features, np.arange(60) % 2, ['walking', 'sitting'], seed=0)


def _build_recording_head(folder: pathlib.Path) -> None:
  """Writes the head of a base that knows more classes than the head."""
  classes = ['sitting', 'unknown', 'walking']
  base = files.save_base(folder, _drawn(3), {'model': _CARD['model'], 'classes': classes})
  recording_head.save(folder, _recording_head(), base=base.checksum)


def _read_recording_head(folder: pathlib.Path, out: pathlib.Path) -> Read:
  base = files.load_base(folder)
  if (head := recording_head.load(folder, base)) is None:
    raise UserError('there is no recording head')
  windows = np.random.default_rng(0).standard_normal((20, 128, 6)).astype(np.float32)
  features = recording_head.relative_features.describe(windows + np.float32([0, 0, 9.8, 0, 0, 0]), 50)
  encoder = np.full((20, len(base.classes)), 0.1)
  encoder[:, base.classes.index('walking')] = 0.8
  return digest(head.combine(encoder, features, base.classes), head.classes), ''


def _results() -> list[dict[str, Any]]:
  return [made_results.result(method='lora', seed=seed, subjects={'3': 0.8, '4': 0.9}) for seed in (0, 1)]


def _build_results(folder: pathlib.Path) -> None:
  for seed, entries in enumerate(_results()):
    storage.write(folder / 'wisdm' / 'lora' / 'subject' / 'labels-0.7' / f'seed{seed}.json', entries)


def _read_results(folder: pathlib.Path, out: pathlib.Path) -> Read:
  runs = frame.load(folder)
  text = markdown.markdown(tables.table2(groups.experiments(runs)))  # all tables take a second
  storage.write_text(out / 'tables.md', text)
  return digest(text, runs.to_csv()), ''


def _build_table(folder: pathlib.Path) -> None:
  frame.to_csv(
    frame.from_rows(made_results.row(entries, 'lodo') for entries in _results()), folder / 'runs.csv'
  )


def _read_table(folder: pathlib.Path, out: pathlib.Path) -> Read:
  return digest(frame.read_csv(folder / 'runs.csv').to_csv()), ''


def _state(step: int) -> tuple[Any, Any]:
  """A state, and new batches, which a restored checkpoint moves on."""
  rng = np.random.default_rng(step)
  shapes = {'params/head/kernel': (2, 3), 'lora/encoder/a': (2, 2)}
  trainable = {path: jnp.asarray(rng.standard_normal(shape), jnp.float32) for path, shape in shapes.items()}
  statistics = {'batch_stats/head/mean': jnp.full(3, float(step))}
  state = start(trainable, statistics, optimizer.build(config.Training(), pretrained=True))
  windows = {'signal': np.arange(10, dtype=np.float32)[:, None]}
  batches = training_batches(windows, batch=2, steps=20, seed=0)
  return State(jnp.int32(step), trainable, statistics, state.optimizer), batches


def _build_checkpoints(folder: pathlib.Path) -> None:
  checkpoints = Checkpoints(folder / 'checkpoints')
  history = [{'step': step, 'score': 1.0 / step} for step in (1, 2)]
  for step in (1, 2):
    checkpoints.save(*_state(step), history[:step], seconds=1.0)


def _read_checkpoints(folder: pathlib.Path, out: pathlib.Path) -> Read:
  newest = Checkpoints(folder / 'checkpoints').newest(*_state(0))
  if newest is None:
    return '', 'no checkpoint'
  state, history, seconds = newest
  return digest(int(state.step), *map(np.asarray, jax.tree.leaves(state)), history, seconds), ''


_FOLDERS = (
  ('windows', _build_windows, _read_windows, '*.json'),
  ('base', _build_base, _read_base, '*.json'),
  ('recording head', _build_recording_head, _read_recording_head, 'recording_head.json'),
  ('adapter', _build_adapter, _read_adapter, 'adapter.json'),
  ('adapter of a baseline', _build_baseline, _read_adapter, 'adapter.json'),
  ('results', _build_results, _read_results, '*.json'),
)
_FORGED = (
  ('adapter', 'adapter', _build_adapter),
  ('adapter of a baseline', 'adapter', _build_baseline),
  ('recording head', 'recording_head', _build_recording_head),
)
_BYTES, _TEXT = mutations.damaged_bytes, mutations.damaged_text

FORMATS = (
  *_archives('bytes of its zip', _BYTES, True),
  *_archives('a file in its zip', mutations.damaged_member, False),
  *received_formats.FORMATS,
  traps.FORMAT,
  Format('own dataset', _build_dataset, _TEXT, _read_dataset, False),
  *(
    Format(f'{name}, bytes', build, _BYTES, read, True, '*[!n]')  # but its card
    for name, build, read, _ in _FOLDERS
    if name != 'results'
  ),
  *(
    Format(
      f'{name}, forged',
      build,
      mutations.forged_leaves,
      functools.partial(_read_forged, stem),
      False,
      f'{stem}.safetensors',
    )
    for name, stem, build in _FORGED
  ),
  *(
    Format(f'{name}, card{words}', build, damage, read, False, cards)
    for words, damage in ((' as text', _TEXT), ('', mutations.damaged_json))
    for name, build, read, cards in _FOLDERS
  ),
  Format('table of runs, bytes', _build_table, _BYTES, _read_table, False),
  Format('table of runs, text', _build_table, _TEXT, _read_table, False),
  Format('checkpoints', _build_checkpoints, _BYTES, _read_checkpoints, True),
)
