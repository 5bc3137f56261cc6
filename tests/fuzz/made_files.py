"""The files of har_jax itself: how small ones are written, and what is read of them."""

import functools
import importlib.util
import pathlib
from typing import Any

import numpy as np
from made_archives import Read, digest


def build_windows(folder: pathlib.Path) -> None:
  from har_jax.datasets import windows as store
  from har_jax.signal import cutting

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


def read_windows(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax.datasets import windows as store

  del out
  windows = store.load(folder / 'alpha')
  columns = [windows.activity, windows.subject, windows.recording, windows.start_s, windows.position]
  return digest(np.asarray(windows.signals), *columns, windows.meta), ''


@functools.cache
def _tiny() -> Any:
  from har_jax import config

  sizes = {'patch_size': 32, 'width': 24, 'mlp_dim': 48, 'depth': 1, 'decoder_depth': 1, 'num_heads': 2}
  return config.Model(**sizes, head=(8,))  # type: ignore[arg-type]


def _drawn(classes: int = 2) -> dict[str, np.ndarray]:
  import jax

  from har_jax import variables
  from har_jax.train.objective import Classify

  rng = np.random.default_rng(3)
  shapes = jax.eval_shape(Classify(_tiny(), classes).init, jax.random.key(0))
  flat = shapes if all(hasattr(each, 'shape') for each in shapes.values()) else variables.flatten(shapes)
  return {
    path: np.asarray(0.3 * rng.standard_normal(leaf.shape) + path.endswith(('scale', 'var')), leaf.dtype)
    for path, leaf in flat.items()
  }


def build_base(folder: pathlib.Path) -> Any:
  from har_jax import config_fields, files

  source = {'archive': 'alpha', 'license': 'none', 'checksum': '0', 'windows': 7}
  pretraining = {'steps': 12, 'validation_loss': 0.5}
  card = {'model': config_fields.to_json(_tiny()), 'sources': [source], 'pretraining': pretraining}
  return files.save_base(folder, _drawn(), card)


def build_recording_head(folder: pathlib.Path) -> None:
  """Of a base that knows more than the head."""
  from har_jax import config_fields, files
  from har_jax.recognizer import recording_head

  classes = ['sitting', 'unknown', 'walking']
  card = {'model': config_fields.to_json(_tiny()), 'classes': classes}
  base = files.save_base(folder, _drawn(len(classes)), card)
  recording_head.save(folder, _recording_head(), base=base.checksum)


@functools.cache  # three formats damage it, and the fit takes a second
def _recording_head() -> Any:
  from har_jax.recognizer import recording_head

  rng = np.random.default_rng(0)
  features = rng.standard_normal((60, len(recording_head.relative_features.NAMES))).astype(np.float32)
  return recording_head.fit(features, np.arange(60) % 2, ['walking', 'sitting'], seed=0)


def read_recording_head(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax import files
  from har_jax.errors import UserError
  from har_jax.recognizer import recording_head

  del out
  base = files.load_base(folder)
  if (head := recording_head.load(folder, base)) is None:
    raise UserError('there is no recording head')
  windows = np.random.default_rng(0).standard_normal((20, 128, 6)).astype(np.float32) + np.float32(
    [0, 0, 9.8, 0, 0, 0]
  )
  encoder = np.full((20, len(base.classes)), 0.1)
  encoder[:, base.classes.index('walking')] = 0.8
  answers = head.combine(encoder, recording_head.relative_features.describe(windows), base.classes)
  return digest(answers, head.classes), ''


def build_adapter(folder: pathlib.Path) -> None:
  import jax

  from har_jax import config, config_fields, files, methods

  base = build_base(folder)
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
    'normalizer': {'mean': [0.1, 0.2], 'deviation': [3.0, 1.0]},
    'metrics': {'validation': {'macro_f1': 0.9, 'accuracy': 0.8}},
  }
  files.save_adapter(folder, files.make_adapter(base, held, card))


def read_base(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax import files

  del out
  base = files.load_base(folder)
  return digest(*_leaves(base.variables), base.card), ''


def read_adapter(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax.recognizer.recognizer import Recognizer

  del out
  recognizer = Recognizer.load(folder)
  held = recognizer.adapter_
  return digest(*_leaves(held.variables), held.card, recognizer.temperature, recognizer.classes_.tolist()), ''


def _leaves(held: dict[str, Any]) -> list[Any]:
  return [part for path in sorted(held) for part in (path, np.asarray(held[path]))]


def _state(step: int) -> tuple[Any, Any]:
  """A state, and new batches, which a restored checkpoint moves on."""
  from har_jax.datasets.batches import training_batches

  windows = {'signal': np.arange(10, dtype=np.float32)[:, None]}
  return _state_alone(step), training_batches(windows, batch=2, steps=20, seed=0)


@functools.cache
def _state_alone(step: int) -> Any:
  import jax.numpy as jnp

  from har_jax import config
  from har_jax.train import optimizer
  from har_jax.train.step import State, start

  rng = np.random.default_rng(step)
  trainable = {
    'params/head/kernel': jnp.asarray(rng.standard_normal((2, 3)), jnp.float32),
    'lora/encoder/a': jnp.asarray(rng.standard_normal((2, 2)), jnp.float32),
  }
  statistics = {'batch_stats/head/mean': jnp.full(3, float(step))}
  state = start(trainable, statistics, optimizer.build(config.Training(), pretrained=True))
  return State(jnp.int32(step), trainable, statistics, state.optimizer)


def build_checkpoints(folder: pathlib.Path) -> None:
  from har_jax.train.checkpoint import Checkpoints

  checkpoints = Checkpoints(folder / 'checkpoints')
  history: list[dict[str, Any]] = []
  for step in (1, 2):
    history.append({'step': step, 'score': 1.0 / step})
    checkpoints.save(*_state(step), history, 1.0 / step, seconds=1.0)


def read_checkpoints(folder: pathlib.Path, out: pathlib.Path) -> Read:
  import jax

  from har_jax.train.checkpoint import Checkpoints

  del out
  found = Checkpoints(folder / 'checkpoints').newest(*_state(0))
  if found is None:
    return '', 'no checkpoint'
  state, history, seconds = found
  return digest(int(state.step), *map(np.asarray, jax.tree.leaves(state)), history, seconds), ''


def _results() -> list[dict[str, Any]]:
  tests = pathlib.Path(__file__).parents[1]
  path = next(path for path in (tests / 'made_results.py', tests / 'report' / 'conftest.py') if path.exists())
  spec = importlib.util.spec_from_file_location('made_results', path)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  make = getattr(module, '_result', None) or module.result
  return [make(method='lora', seed=seed, subjects={'3': 0.8, '4': 0.9}) for seed in (0, 1)]


def build_results(folder: pathlib.Path) -> None:
  from har_jax import storage

  for seed, entries in enumerate(_results()):
    storage.write(folder / 'wisdm' / 'lora' / 'subject' / 'labels-0.7' / f'seed{seed}.json', entries)


def build_table(folder: pathlib.Path) -> None:
  from har_jax import results
  from har_jax.report import frame

  frame.to_csv(frame.from_rows(results.row(each, 'lodo') for each in _results()), folder / 'runs.csv')


def read_table(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax.report import frame

  del out
  return digest(frame.read_csv(folder / 'runs.csv').to_csv()), ''


def read_results(folder: pathlib.Path, out: pathlib.Path) -> Read:
  from har_jax import storage
  from har_jax.report import frame, markdown, tables

  runs = frame.load(folder)
  text = markdown.markdown(tables.table2(runs))  # all tables take a second
  storage.write_text(out / 'tables.md', text)
  return digest(text, runs.to_csv()), ''
