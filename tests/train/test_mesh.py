"""Eight devices give the numbers of one: runs in this process, and in a child with eight devices."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import unittest.mock
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from har_jax import config
from har_jax.datasets.batches import Batch
from har_jax.errors import Stopped, UserError
from har_jax.methods import METHODS, Prepared, Settings, prepare
from har_jax.train import evaluation, loop, mesh, optimizer
from har_jax.train.loop import Run, train
from har_jax.train.objective import Classify, Objective, Reconstruct, initial_shapes
from har_jax.variables import Variables

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_MODEL = config.Model(patch_size=32, width=24, mlp_dim=32, depth=1, decoder_depth=1, num_heads=2, head=(16,))
# 40 windows in batches of 16: every third batch is half empty, so that four of eight devices have only
# padding.
_SIZE, _STEPS = 40, 6
_TRAINING = config.Training(
  epochs=50.0,
  batch=16,
  max_steps=_STEPS,
  num_evals=1,
  learning_rate=0.05,
  circular_shift=True,
  rotation_std_deg=10.0,
)
_ROUNDING = {'rtol': 1e-4, 'atol': 3e-5}  # of float32, grown over the steps
_RUNS = ('qlora', 'reconstruct')


def _windows(seed: int, size: int) -> Batch:
  rng = np.random.default_rng(seed)
  signal = rng.standard_normal((size, config.Windowing.samples, config.CHANNELS)).astype(np.float32)
  label = rng.integers(0, 3, size).astype(np.int32)
  return {'signal': signal, 'origin': np.tile(np.float32([-0.4, 0.1]), (size, 1)), 'label': label}


def _prepared(name: str) -> tuple[Objective, Prepared]:
  if name == 'reconstruct':
    objective: Objective = Reconstruct(_MODEL)
    return objective, Prepared(_initial(objective), {}, {})
  objective = Classify(_MODEL, 3)
  settings = Settings(lora=config.Lora(rank=2))
  return objective, prepare(lambda _: _initial(objective), METHODS[name], settings, seed=1)


def _initial(objective: Objective) -> Variables:
  """Random variables with the shapes of `init`, whose compilation takes seconds."""
  rng = np.random.default_rng(0)
  shapes = initial_shapes(objective)
  return {
    path: jnp.asarray(0.2 * rng.standard_normal(leaf.shape) + path.endswith(('scale', 'var')), leaf.dtype)
    for path, leaf in shapes.items()
  }


def _run(
  folder: pathlib.Path,
  name: str,
  training: config.Training | None = None,
  stop: Callable[[], bool] = lambda: False,
) -> dict[str, np.ndarray]:
  """All numbers of a run: losses, final variables, predictions."""
  objective, prepared = _prepared(name)
  run = Run(
    prepared.trainable,
    prepared.statistics,
    prepared.frozen,
    windows=_windows(0, _SIZE),
    validation=_windows(1, 21),
    seed=0,
    folder=folder / name,
    title=name,
  )
  with (
    unittest.mock.patch.object(optimizer, 'build', _sgd),
    unittest.mock.patch.object(loop, '_MAX_STEPS_PER_CALL', 3),
    unittest.mock.patch.object(evaluation, 'BATCH_SIZES', (16,)),
  ):
    (trained,) = train(
      objective, [run], training=training or _TRAINING, pretrained=True, progress=False, stop=stop
    )
    predicted = evaluation.predict(objective, trained.variables | prepared.frozen, _windows(2, 50))
  log = [json.loads(line) for line in (folder / name / 'log.jsonl').read_text().splitlines()]
  # The loop donates copies: the caller's arrays are still usable.
  assert all(np.isfinite(leaf).all() for leaf in map(np.asarray, prepared.trainable.values()))
  return {
    'losses': np.array([line['loss'] for line in log if 'loss' in line]),
    'predicted': predicted,
    'optimizer bytes': np.array(trained.optimizer_bytes),
    **trained.variables,
  }


def _sgd(training: config.Training, **_: Any) -> optax.GradientTransformationExtraArgs:
  return optax.with_extra_args_support(optax.sgd(training.learning_rate))


def _child(folder: pathlib.Path) -> None:
  """Runs in the child process; leaves its numbers in files."""
  assert jax.device_count() == 8
  for name in _RUNS:
    np.savez(folder / f'{name}.npz', **_run(folder, name))
  _check_errors_and_placement(folder)


def _check_errors_and_placement(folder: pathlib.Path) -> None:
  try:
    _run(folder / 'stopped', 'qlora', stop=lambda: True)
  except Stopped as stopped:
    (folder / 'stopped.txt').write_text(str(stopped))
  try:
    _run(folder / 'uneven', 'qlora', training=dataclasses.replace(_TRAINING, batch=12))
  except UserError as error:
    (folder / 'uneven.txt').write_text(str(error))
  placed = mesh.replicate({'kernel': np.ones((2, 3), np.float32)}, mesh.data_mesh())['kernel']
  assert [shard.data.shape for shard in placed.addressable_shards] == [(2, 3)] * 8
  assert mesh.next_multiple(18, mesh.data_mesh()) == 24
  rows = mesh.split({'label': np.arange(16)}, mesh.data_mesh())['label']
  assert [np.asarray(shard.data).tolist() for shard in rows.addressable_shards] == [
    [2 * device, 2 * device + 1] for device in range(8)
  ]


def _run_child(folder: pathlib.Path) -> pathlib.Path:
  environment = os.environ | {
    'PYTHONPATH': str(_ROOT),
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': f'{os.environ.get("XLA_FLAGS", "")} --xla_force_host_platform_device_count=8',
  }
  child = subprocess.run(
    [sys.executable, '-W', 'error', __file__, str(folder)],
    env=environment,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert child.returncode == 0, child.stderr
  return folder


@pytest.fixture(scope='module')
def on_eight(tmp_path_factory) -> pathlib.Path:
  """The folder with the numbers of all runs on eight devices, by one child process."""
  return _run_child(tmp_path_factory.mktemp('eight'))


@pytest.fixture(scope='module')
def qlora_on_one(tmp_path_factory) -> dict[str, np.ndarray]:
  """The numbers of QLoRA in this process, with one device."""
  return _run(tmp_path_factory.mktemp('one'), 'qlora')


@pytest.mark.parametrize('name', _RUNS)
def test_eight_devices_give_the_numbers_of_one(name, on_eight, qlora_on_one, tmp_path):
  one = qlora_on_one if name == 'qlora' else _run(tmp_path, name)
  eight = dict(np.load(on_eight / f'{name}.npz'))
  assert one.keys() == eight.keys()
  assert len(one['losses']) == _STEPS
  trained = [
    leaf for path, leaf in one.items() if path.startswith(('params/head/', 'params/decoder/reconstruct'))
  ]
  assert max(np.abs(leaf).max() for leaf in trained) > 0.01
  for entry in one:
    np.testing.assert_allclose(eight[entry], one[entry], **_ROUNDING, err_msg=entry)


def test_a_run_stopped_on_eight_devices_resumes_on_one(on_eight, qlora_on_one):
  assert (on_eight / 'stopped.txt').read_text().endswith('at step 3')
  resumed = _run(on_eight / 'stopped', 'qlora')
  for entry, expected in qlora_on_one.items():
    np.testing.assert_allclose(resumed[entry], expected, **_ROUNDING, err_msg=entry)


def test_a_batch_that_devices_cannot_split_is_a_user_error(on_eight):
  message = (on_eight / 'uneven.txt').read_text()
  assert message.startswith('--finetune_batch=12 ')
  assert 'a multiple of 8' in message


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
