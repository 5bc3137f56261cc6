"""Training steps and a prediction, compiled once for all runs alike.   s steps, r runs side by side."""

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
from har_jax.train import augment, optimizer
from har_jax.train.mesh import replicated, shard_over_batch
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


Step = Callable[[State, Variables, dict, Array, Any], tuple[State, Array]]


def training_step(
  objective: Objective, training: config.Training, *, pretrained: bool, mesh: Mesh | None = None
) -> Step:
  """One step, not compiled: (state, frozen, batch, key, steps) → (state, the batch's mean loss).

  Only the trainable variables are an argument of the gradient. Frozen ones are an argument of the step, never a
  closure, which would bake them into the program.
  """
  transform = optimizer.build(training, pretrained=pretrained)

  def step(
    state: State, frozen: Variables, batch: dict, key: Array, steps: Any
  ) -> tuple[State, Float[Array, '']]:
    key = jax.random.fold_in(key, state.step)
    if training.circular_shift:
      key, to_roll = jax.random.split(key)
      batch = batch | {'signal': augment.circular_shift(batch['signal'], to_roll)}
    if training.rotation_std_deg:
      key, to_turn = jax.random.split(key)
      turned = augment.rotate(batch['signal'], batch['origin'], to_turn, training.rotation_std_deg)
      batch = batch | {'signal': turned}

    def loss(trainable: Variables) -> tuple[Float[Array, ''], Variables]:
      variables = trainable | frozen | state.statistics
      losses, statistics = objective.losses(variables, batch, key, shard_over_batch(mesh, trainable.keys()))
      return jnp.sum(losses * batch['weight']) / jnp.sum(batch['weight']), statistics

    (mean_loss, statistics), gradient = jax.value_and_grad(loss, has_aux=True)(state.trainable)
    updates, optimizer_state = transform.update(gradient, state.optimizer, state.trainable)
    share = optimizer.rate_fraction(state.step, steps, training.warmup)
    trainable = optimizer.apply(updates, state.trainable, share)
    return State(state.step + 1, trainable, statistics, optimizer_state), mean_loss

  return step


Steps = Callable[[State, Variables, dict, Array, Any, Any], tuple[State, Array]]


@functools.lru_cache(maxsize=64)
def compiled_steps(
  objective: Objective,
  training: config.Training,
  *,
  pretrained: bool,
  mesh: Mesh | None = None,
  per_run_paths: frozenset[str] | None = None,
) -> Steps:
  """Several steps in one program: (state, frozen, batches, key, steps, count) → (state, their mean losses [s]).

  Of the s batches, stacked in front, the first `count` are taken. One program for them all: what a step computes on the way
  lies in memory that is asked for once, not anew each step, and Python waits out the whole.
  With `own`, several runs side by side against one frozen backbone: state, key, steps and those frozen variables whose
  paths are `own` have an axis of runs in front, batches have it second, and losses are [s, r].
  The state given is used up. Over a mesh: for batches that are split over it, with state and frozen variables whole on each
  device, as the state stays.
  """
  step = training_step(objective, training, pretrained=pretrained, mesh=mesh)

  def several(
    state: State, frozen: Variables, batches: dict, key: Array, steps: Any, count: Any
  ) -> tuple[State, Array]:
    take = step
    if per_run_paths is not None:
      axes = {path: 0 if path in per_run_paths else None for path in frozen}
      take = jax.vmap(step, in_axes=(0, axes, 0, 0, 0))

    def body(number: Array, carried: tuple[State, Array]) -> tuple[State, Array]:
      state, losses = carried
      batch = jax.tree.map(lambda stacked: stacked[number], batches)
      state, loss = take(state, frozen, batch, key, steps)
      return state, losses.at[number].set(loss)

    size = len(batches['weight'])
    losses = jnp.zeros(size if per_run_paths is None else (size, len(steps)))
    return jax.lax.fori_loop(0, count, body, (state, losses))

  return jax.jit(several, donate_argnums=0, out_shardings=replicated(mesh))


@functools.lru_cache(maxsize=64)
def compiled_predict(
  objective: Objective, mesh: Mesh | None = None
) -> Callable[[Variables, dict, Array], Array]:
  """Over a mesh: predictions come back whole on each device, so that each process can read them all."""
  return jax.jit(objective.predict, out_shardings=replicated(mesh))
