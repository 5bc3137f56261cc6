"""The training step, on a loss small enough to work by hand."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array
from scipy import special

from har_jax import config
from har_jax.train import optimizer
from har_jax.train import step as step_module
from har_jax.train.objective import Classify, Reconstruct
from har_jax.train.step import State, compiled_steps, start, training_step
from har_jax.variables import Variables

_KEY = jax.random.key(0)
_TRAINING = config.Training(learning_rate=0.1, warmup=0.0, grad_clip_norm=0.0, weight_decay=0.0)

_MODEL = config.Model()  # a field of every objective, not used here


@dataclasses.dataclass(frozen=True)
class Product(Reconstruct):
  """Loss w · v · x, with w trained and v frozen; its statistic counts batches."""

  model: config.Model = _MODEL
  noise: float = 0.0

  def losses(self, variables: Variables, batch: dict, key: Array, *_: Any) -> tuple[Array, Variables]:
    product = variables['params/w'] * variables['params/v']
    noise = self.noise * jax.random.normal(key, batch['x'].shape)
    return product * batch['x'] + noise, {'batch_stats/seen': variables['batch_stats/seen'] + 1}


def _start(wrap: optimizer.Wrap = optimizer.unchanged) -> State:
  return start(
    {'params/w': jnp.float32(2)},
    {'batch_stats/seen': jnp.int32(0)},
    optimizer.build(_TRAINING, pretrained=False, wrap=wrap),
  )


def _doubled(transform: optax.GradientTransformationExtraArgs) -> Any:
  return optax.chain(transform, optax.scale(2.0))


def _batch(x: list[float], weight: list[float]) -> dict[str, np.ndarray]:
  return {'x': np.float32(x), 'weight': np.float32(weight)}


def _frozen() -> Variables:
  return {'params/v': jnp.float32(3)}


def _step(
  batch: dict[str, np.ndarray],
  state: State | None = None,
  noise: float = 0.0,
  wrap: optimizer.Wrap = optimizer.unchanged,
) -> tuple[State, float]:
  step = training_step(Product(noise=noise), _TRAINING, pretrained=False, wrap=wrap)
  after, loss = step(state or _start(), _frozen(), batch, _KEY, jnp.int32(10))
  return after, float(loss)


def test_the_loss_is_the_mean_over_windows_of_weight_1():
  state, loss = _step(_batch([1, 2, 100], [1, 1, 0]))
  assert loss == pytest.approx(2 * 3 * 1.5)
  assert _step(_batch([1, 2, -50], [1, 1, 0]))[0].trainable == state.trainable  # padding changes nothing


def test_a_step_changes_weights_by_the_rate_and_counts_itself():
  state, _ = _step(_batch([1, 2], [1, 1]))
  fraction = 0.5 * (1 + np.cos(np.pi * 0.1))  # the first of ten steps, no warm-up
  assert float(state.trainable['params/w']) == pytest.approx(2 - 0.1 * fraction, rel=1e-5)
  assert int(state.step) == 1
  assert int(state.statistics['batch_stats/seen']) == 1
  assert state.trainable.keys() == {'params/w'}


def test_noise_depends_on_the_step_and_is_reproducible():
  state, batch = _start(), _batch([1, 2], [1, 1])
  later = dataclasses.replace(state, step=jnp.int32(1))
  first, again, other = (_step(batch, start, noise=1.0)[1] for start in (state, state, later))
  assert first == again != other


def test_equal_runs_share_one_program():
  assert compiled_steps(Product(), _TRAINING, pretrained=False) is compiled_steps(
    Product(), dataclasses.replace(_TRAINING), pretrained=False
  )
  assert compiled_steps(Product(), _TRAINING, pretrained=True) is not compiled_steps(
    Product(), _TRAINING, pretrained=False
  )


def test_options_of_a_quick_compilation_are_known_to_the_compiler(monkeypatch):
  monkeypatch.setattr(step_module.jax.config, 'read', lambda name: False)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'cpu')
  options = step_module._quick_compilation()
  assert options
  assert jax.jit(lambda x: x + 1, compiler_options=options).lower(1.0).compile()(1.0) == 2


@pytest.mark.parametrize('wrap', [optimizer.unchanged, _doubled])
def test_several_steps_in_one_program_equal_single_steps(wrap):
  state, losses = _start(wrap), []
  batches = [_batch([1, 2], [1, 1]), _batch([3, -1], [1, 0]), _batch([5, 5], [1, 1])]
  for batch in batches[:2]:
    state, loss = _step(batch, state, noise=1.0, wrap=wrap)
    losses.append(loss)
  stacked = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
  train_steps = compiled_steps(Product(noise=1.0), _TRAINING, pretrained=False, wrap=wrap)
  end, step_losses = train_steps(_start(wrap), _frozen(), stacked, _KEY, jnp.int32(10), np.int32(2))
  assert int(end.step) == 2  # the third batch is padding
  np.testing.assert_allclose(step_losses[:2], losses, rtol=1e-5)
  np.testing.assert_allclose(end.trainable['params/w'], state.trainable['params/w'], rtol=1e-5)


def test_what_changes_a_loss_is_off_by_default(tiny, drawn, batch):
  """All but what augments windows, which is named in `config.Training`."""
  for objective in (Reconstruct(tiny), Classify(dataclasses.replace(tiny, head=()), 3)):
    held, training = drawn(objective.init), getattr(config.Experiment(), objective.part)
    found, _ = jax.jit(objective.losses, static_argnums=3)(held, batch, _KEY, training)
    expected = jax.jit(objective.predict)(held, batch, _KEY)
    if isinstance(objective, Classify):
      expected = -special.log_softmax(expected, axis=1)[np.arange(6), batch['label']]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_loss_drops_out_and_averages_the_heads_statistics(tiny, drawn, batch):
  objective = Classify(dataclasses.replace(tiny, depth=0, head=(8,), dropout=0.5), 3)
  held, losses = drawn(objective.init), jax.jit(objective.losses, static_argnums=3)
  (first, updated), (second, _) = (
    losses(held, batch, jax.random.key(seed), config.Training()) for seed in (0, 1)
  )
  assert (first != second).all()
  assert {path for path, leaf in updated.items() if (leaf != held[path]).any()} == set(updated) != set()
