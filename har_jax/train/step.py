"""One training step and one prediction, compiled once for all runs alike.   b windows a batch."""

import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from har_jax import config
from har_jax.train import optimizer
from har_jax.train.mesh import whole
from har_jax.train.objective import Objective
from har_jax.variables import Variables


@flax.struct.dataclass
class State:
  """All that changes in a run."""

  step: Any  # Int[Array, '']; or its shape, under jax.eval_shape
  trainable: Variables
  statistics: Variables  # BatchNorm's running ones: they move, but by no gradient
  optimizer: Any


def start(trainable: Variables, statistics: Variables, transform: optax.GradientTransformation) -> State:
  return State(jnp.int32(0), trainable, statistics, transform.init(trainable))


Step = Callable[[State, Variables, dict, Array, Any], tuple[State, Float[Array, '']]]


def training_step(objective: Objective, training: config.Training, *, pretrained: bool) -> Step:
  """One step, not compiled: (state, frozen, batch, key, steps) → (state, the batch's mean loss).

  Only the trainable variables are an argument of the gradient. Frozen ones are an argument of the step, never a
  closure, which would bake them into the program.
  """
  transform = optimizer.build(training, pretrained=pretrained)

  def step(
    state: State, frozen: Variables, batch: dict, key: Array, steps: Any
  ) -> tuple[State, Float[Array, '']]:
    def loss(trainable: Variables) -> tuple[Float[Array, ''], Variables]:
      variables = trainable | frozen | state.statistics
      losses, statistics = objective.losses(variables, batch, jax.random.fold_in(key, state.step))
      return jnp.sum(losses * batch['weight']) / jnp.sum(batch['weight']), statistics

    (mean_loss, statistics), gradient = jax.value_and_grad(loss, has_aux=True)(state.trainable)
    updates, optimizer_state = transform.update(gradient, state.optimizer, state.trainable)
    share = optimizer.rate_share(state.step, steps, training.warmup)
    trainable = optimizer.apply(updates, state.trainable, share)
    return State(state.step + 1, trainable, statistics, optimizer_state), mean_loss

  return step


@functools.lru_cache(maxsize=64)
def compiled_step(
  objective: Objective, training: config.Training, *, pretrained: bool, mesh: Mesh | None = None
) -> Step:
  """`training_step` under jit. The state given is used up.

  Over a mesh: for a batch that is split over it, with state and frozen variables whole on each device, as the state stays.
  """
  step = training_step(objective, training, pretrained=pretrained)
  return jax.jit(step, donate_argnums=0, out_shardings=whole(mesh))


@functools.lru_cache(maxsize=64)
def compiled_predict(
  objective: Objective, mesh: Mesh | None = None
) -> Callable[[Variables, dict, Array], Array]:
  """Over a mesh: predictions come back whole on each device, so that each process can read them all."""
  return jax.jit(objective.predict, out_shardings=whole(mesh))
