"""What a compiled step needs beside its arguments: QLoRA's frozen kernels come and go one at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config, methods, variables
from har_jax.train import optimizer
from har_jax.train.objective import Classify
from har_jax.train.step import compiled_steps, start

_STEPS = 2  # in one program: nothing of a step may be made for all of them and kept
_SIZES = {
  'base': (config.Model(patch_size=16), 64),
  'large': (config.Model(patch_size=16, width=1024, mlp_dim=3072, blocks=12, num_heads=16), 16),
}


def _temporary_bytes(name: str, experiment: config.Experiment, batch: int) -> int:
  """Of a whole training step, as the compiler plans it; nothing is run."""
  objective, method = Classify(experiment.model, 6, experiment.precision), methods.METHODS[name]

  def begin(key: jax.Array) -> tuple:
    adapted = method.adapt(objective.init(key), experiment, key)
    statistics, rest = variables.split(adapted, lambda path: path.startswith('batch_stats/'))
    trainable, frozen = variables.split(rest, lambda path: method.trains(path, experiment))
    return start(trainable, statistics, optimizer.build(experiment.finetune, pretrained=True)), frozen

  state, frozen = jax.eval_shape(begin, jax.random.key(0))
  windows = {
    'signal': jax.ShapeDtypeStruct((_STEPS, batch, config.WINDOW_SAMPLES, config.CHANNELS), jnp.float32),
    'origin': jax.ShapeDtypeStruct((_STEPS, batch, 2), jnp.float32),
    'label': jax.ShapeDtypeStruct((_STEPS, batch), jnp.int32),
    'weight': jax.ShapeDtypeStruct((_STEPS, batch), jnp.float32),
  }
  step = compiled_steps(objective, experiment.finetune, pretrained=True)
  given = (state, frozen, windows, jax.random.key(0), np.int32(100), np.int32(_STEPS))
  compiled = step.lower(*given).compile()  # type: ignore[attr-defined]
  return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize('size', _SIZES)
def test_a_qlora_step_holds_at_most_two_float_kernels_more_than_a_lora_step(size: str):
  model, batch = _SIZES[size]
  experiment = config.Experiment(model=model)
  two_kernels = 2 * 4 * model.width * model.mlp_dim  # float32; `up` and `down` are the widest layers
  assert (
    _temporary_bytes('qlora', experiment, batch) <= _temporary_bytes('lora', experiment, batch) + two_kernels
  )


def test_nor_does_one_with_double_quantization():
  model, batch = _SIZES['base']
  plain = config.Experiment(model=model)
  double = config.Experiment(model=model, precision=config.Precision(nf4_double=True))
  two_kernels = 2 * 4 * model.width * model.mlp_dim
  assert _temporary_bytes('qlora', double, batch) <= _temporary_bytes('lora', plain, batch) + two_kernels
