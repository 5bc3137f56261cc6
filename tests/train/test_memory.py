"""Temporary memory of a compiled training step: QLoRA dequantizes one kernel at a time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.methods import METHODS, Settings, prepare
from har_jax.train import optimizer
from har_jax.train.objective import Classify
from har_jax.train.step import State, compiled_steps, start
from har_jax.variables import Variables

pytestmark = pytest.mark.slow  # without optimizations: memory is planned before them, to the same byte

# Tests use XLA's older emitters (tests/conftest.py). Users have the default, which compiles three times as
# long.
_USERS = {'xla_cpu_use_fusion_emitters': True} if jax.__version_info__ < (0, 11) else {}

_STEPS = 2  # in one program: no temporary may be made once for all steps and kept
# One block: its six kernels of one size at once are three times what is allowed. A block takes seconds to
# compile, as does augmentation, which needs less memory than the model.
_BASE = config.Experiment(
  protocol=config.Protocol(),
  model=config.Model(patch_size=16, mlp_dim=192, depth=1),
  finetune=config.Training(),
)
_WIDE = dataclasses.replace(
  _BASE, model=config.Model(patch_size=16, width=1024, mlp_dim=1024, depth=1, num_heads=16)
)


def _temporary_bytes(
  name: str,
  experiment: config.Experiment,
  *,
  batch: int,
  double: bool = False,
  compiler: dict[str, bool] = _USERS,
) -> int:
  """Temporary bytes of a training step, as the compiler plans them; nothing runs."""
  objective = Classify(experiment.model, 6, experiment.precision)
  settings = Settings(experiment.lora, config.Precision(nf4_double=double))

  def first() -> tuple[State, Variables]:
    prepared = prepare(objective.init, METHODS[name], settings, seed=0)
    transform = optimizer.build(experiment.finetune, pretrained=True)
    return start(prepared.trainable, prepared.statistics, transform), prepared.frozen

  state, frozen = jax.eval_shape(first)
  windows = {
    'signal': jax.ShapeDtypeStruct((_STEPS, batch, config.Windowing.samples, config.CHANNELS), jnp.float32),
    'origin': jax.ShapeDtypeStruct((_STEPS, batch, 2), jnp.float32),
    'label': jax.ShapeDtypeStruct((_STEPS, batch), jnp.int32),
    'weight': jax.ShapeDtypeStruct((_STEPS, batch), jnp.float32),
  }
  steps = compiled_steps(objective, experiment.finetune, pretrained=True)
  arguments = (state, frozen, windows, jax.random.key(0), np.int32(100), np.int32(_STEPS))
  compiled = steps.lower(*arguments).compile(compiler_options=compiler)  # type: ignore[attr-defined]
  return compiled.memory_analysis().temp_size_in_bytes


def _two_kernels(model: config.Model) -> int:
  return 2 * 4 * model.width * model.mlp_dim  # float32; `up` and `down` are the largest layers


@pytest.mark.parametrize(
  ('experiment', 'options'),
  # The wide model with the older emitters, whose plans differ by some 100 bytes.
  [(_BASE, {'batch': 64}), (_WIDE, {'batch': 16, 'double': True, 'compiler': {}})],
  ids=['base', 'wide, double'],
)
def test_a_qlora_step_needs_at_most_two_float_kernels_more(experiment, options):
  lora_bytes, qlora_bytes = (_temporary_bytes(name, experiment, **options) for name in ('lora', 'qlora'))
  assert qlora_bytes <= lora_bytes + _two_kernels(experiment.model)
