"""Eight devices give what one gives: the same runs here, on one, and in a child process that has eight."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import unittest.mock
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from har_jax import config, variables
from har_jax.data.batches import Batch
from har_jax.errors import Stopped, UserError
from har_jax.methods import METHODS
from har_jax.train import loop, mesh, optimizer
from har_jax.train.loop import Run, predict, train
from har_jax.train.objective import Classify, Contrastive, Objective

_ROOT = pathlib.Path(__file__).parents[2]
_MODEL = config.Model(patch_size=32, width=24, mlp_dim=32, blocks=1, decoder_depth=1, num_heads=2, head=(16,))
_EXPERIMENT = config.Experiment(model=_MODEL, lora=config.Lora(rank=2))
# 40 windows in batches of 16: each third one is half empty, so that of eight devices four hold nothing but filling.
_SIZE, _STEPS = 40, 7
_ADAMW = config.Training(
  epochs=50.0, batch=16, max_steps=_STEPS, num_evals=1, circular_shift=True, rotation_std_deg=10.0
)
_SGD = dataclasses.replace(
  _ADAMW, learning_rate=0.05
)  # another rate, or the compiled AdamW step would serve it
_ROUNDING = {'rtol': 1e-4, 'atol': 3e-5}  # of float32, grown over the steps
_RUNS: dict[str, tuple[str, config.Training]] = {
  'full adamw': ('full', _ADAMW),
  'full sgd': ('full', _SGD),
  'qlora adamw': ('qlora', _ADAMW),
  'qlora sgd': ('qlora', _SGD),
  'contrast sgd': (
    'contrast',
    dataclasses.replace(_SGD, circular_shift=False, rotation_std_deg=0.0, batch=2 * Contrastive.together),
  ),
}


def _windows(seed: int, size: int) -> Batch:
  rng = np.random.default_rng(seed)
  signal = rng.standard_normal((size, config.WINDOW_SAMPLES, config.CHANNELS)).astype(np.float32)
  label = rng.integers(0, 3, size).astype(np.int32)
  windows = {'signal': signal, 'origin': np.tile(np.float32([-0.4, 0.1]), (size, 1)), 'label': label}
  # For contrasting alone.
  return windows | {
    'near': signal[::-1].copy(),
    'subject': label // 2,
    'recording': label,
    'start_s': np.arange(size, dtype=np.float32),
  }


def _run(
  folder: pathlib.Path,
  name: str,
  training: config.Training | None = None,
  stop: Callable[[], bool] = lambda: False,
) -> dict[str, np.ndarray]:
  """All numbers that a run comes to: losses, last variables, predictions."""
  kind = _RUNS[name][0]
  if kind == 'contrast':
    objective: Objective = Contrastive(_MODEL)
    trainable, statistics, frozen = _initial(objective), {}, {}
  else:
    objective, method = Classify(_MODEL, 3), METHODS[kind]
    adapted = method.adapt(_initial(objective), _EXPERIMENT, jax.random.key(1))
    statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
    trainable, frozen = variables.split(rest, lambda path: method.trains(path, _EXPERIMENT))
  training = training or _RUNS[name][1]
  with unittest.mock.patch_size.object(optimizer, 'build', _sgd if name.endswith('sgd') else optimizer.build):
    run = Run(
      trainable,
      statistics,
      frozen,
      windows=_windows(0, 3 * objective.together if kind == 'contrast' else _SIZE),
      validation=_windows(1, 21),
      seed=0,
      folder=folder / name,
      title=name,
    )
    (done,) = train(objective, [run], training=training, pretrained=True, progress=False, stop=stop)
  log = [json.loads(line) for line in (folder / name / 'log.jsonl').read_text().splitlines()]
  predicted = predict(objective, done.variables | frozen, _windows(2, 300))
  # The caller's own arrays are still there: the loop gave away copies.
  assert all(np.isfinite(leaf).all() for leaf in map(np.asarray, trainable.values()))
  return {
    'losses': np.array([line['loss'] for line in log if 'loss' in line]),
    'predicted': predicted,
    'optimizer bytes': np.array(done.optimizer_bytes),
    **done.variables,
  }


def _initial(objective: Objective) -> variables.Variables:
  """Variables of an `init`'s shapes; to compile one takes seconds."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(objective.init, jax.random.key(0))
  return {
    path: jnp.asarray(0.2 * rng.standard_normal(leaf.shape) + path.endswith(('scale', 'var')), leaf.dtype)
    for path, leaf in shapes.items()
  }


def _sgd(training: config.Training, *, pretrained: bool) -> optax.GradientTransformation:
  return optax.sgd(training.learning_rate)


def _after(asks: int) -> Callable[[], bool]:
  """Says yes when it is asked for that time."""
  left = iter([False] * (asks - 1) + [True])
  return lambda: next(left)


def _child(folder: pathlib.Path) -> None:
  """What the child process does; it leaves its numbers in files."""
  assert jax.device_count() == 8
  for name in _RUNS:
    np.savez(folder / f'{name}.npz', **_run(folder, name))
  stopped = folder / 'stopped'
  try:
    with unittest.mock.patch_size.object(loop, '_STEPS_AT_ONCE', 1):
      _run(stopped, 'full sgd', stop=_after(3))
  except Stopped as told:
    (folder / 'stopped.txt').write_text(str(told))
  try:
    _run(folder, 'full adamw', training=dataclasses.replace(_ADAMW, batch=12))
  except UserError as told:
    (folder / 'uneven.txt').write_text(str(told))
  kernel = np.ones((2, 3), np.float32)
  placed = mesh.replicate({'kernel': kernel}, mesh.data_mesh())['kernel']
  assert len(placed.addressable_shards) == 8
  assert all(shard.data.shape == (2, 3) for shard in placed.addressable_shards)
  rows = mesh.split({'label': np.arange(16)}, mesh.data_mesh())['label']
  assert [np.asarray(shard.data).tolist() for shard in rows.addressable_shards] == [
    [2 * device, 2 * device + 1] for device in range(8)
  ]


@pytest.fixture(scope='module')
def on_eight(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """The folder where a child process of eight devices has left its numbers."""
  folder = tmp_path_factory.mktemp('eight')
  environment = os.environ | {
    'PYTHONPATH': str(_ROOT),
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': '--xla_force_host_platform_device_count=8',
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',  # XLA's: what is compiled here runs a few steps
  }
  done = subprocess.run(
    [sys.executable, '-W', 'error', __file__, str(folder)],
    env=environment,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  return folder


@pytest.mark.parametrize('name', _RUNS)
def test_eight_devices_give_what_one_gives(name: str, on_eight: pathlib.Path, tmp_path: pathlib.Path):
  one, eight = _run(tmp_path, name), dict(np.load(on_eight / f'{name}.npz'))
  assert one.keys() == eight.keys()
  assert len(one['losses']) == _STEPS
  if name.endswith('adamw'):
    # Where a gradient is nought but for rounding (biases before a norm, or of keys), Adam moves a weight by the whole rate
    # either way. The losses do not depend on those; predictions do a little, while the running means lag behind.
    one, eight = ({of: run[of] for of in ('losses', 'optimizer bytes')} for run in (one, eight))
  else:
    moved = [
      np.abs(leaf).max() for path, leaf in one.items() if path.startswith(('params/head/', 'params/project'))
    ]
    assert max(moved) > 0.01
  for of, expected in one.items():
    np.testing.assert_allclose(eight[of], expected, **_ROUNDING, err_msg=of)


def test_a_run_of_eight_devices_goes_on_with_one(on_eight: pathlib.Path, tmp_path: pathlib.Path):
  assert (on_eight / 'stopped.txt').read_text() == 'full sgd: stopped and saved at step 3'
  resumed, whole = _run(on_eight / 'stopped', 'full sgd'), _run(tmp_path, 'full sgd')
  for of, expected in whole.items():
    np.testing.assert_allclose(resumed[of], expected, **_ROUNDING, err_msg=of)


def test_a_batch_that_devices_cannot_share_evenly_is_the_users_error(on_eight: pathlib.Path):
  told = (on_eight / 'uneven.txt').read_text()
  assert told.startswith('12 windows a step cannot be split evenly over 8 devices')
  assert 'give --finetune_batch a multiple of 8' in told


def test_one_device_has_no_mesh():
  assert jax.device_count() == 1
  assert mesh.data_mesh() is None
  batch = {'label': np.arange(3)}
  assert mesh.split(batch, None) is batch
  assert mesh.replicate(batch, None) is batch
  assert mesh.next_multiple(256, None) == 256
  assert mesh.is_main_process()


if __name__ == '__main__':
  _child(pathlib.Path(sys.argv[1]))
