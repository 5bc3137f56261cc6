"""The training step, and its compiled forms.   s steps, r runs side by side."""

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
  """Everything that changes during a run."""

  step: Any  # Int[Array, '']; or its shape, under jax.eval_shape
  trainable: Variables
  statistics: Variables  # BatchNorm's running mean and variance, updated without a gradient
  optimizer: Any


def start(
  trainable: Variables, statistics: Variables, transform: optax.GradientTransformationExtraArgs
) -> State:
  """The state before the first step."""
  return State(jnp.int32(0), trainable, statistics, transform.init(trainable))


def compiled_start(
  training: config.Training, *, pretrained: bool, wrap: optimizer.Wrap
) -> Callable[[Variables, Variables], State]:
  """`start` as one program: (trainable, statistics) → a state that shares no memory with them."""
  return _compiled_start(training.fixed_length(1), pretrained, wrap)


@functools.lru_cache(maxsize=64)
def _compiled_start(
  training: config.Training, pretrained: bool, wrap: optimizer.Wrap
) -> Callable[[Variables, Variables], State]:
  transform = optimizer.build(training, pretrained=pretrained, wrap=wrap)

  def start_of_copies(trainable: Variables, statistics: Variables) -> State:
    copies = jax.tree.map(jnp.copy, trainable), jax.tree.map(jnp.copy, statistics)
    return start(*copies, transform)

  return jax.jit(start_of_copies)


Step = Callable[[State, Variables, dict, Array, Any], tuple[State, Array]]


def training_step(
  objective: Objective,
  training: config.Training,
  *,
  pretrained: bool,
  wrap: optimizer.Wrap = optimizer.unchanged,
  mesh: Mesh | None = None,
) -> Step:
  """One step, not compiled: (state, frozen, batch, key, total steps) → (state, mean loss of the batch).

  The gradient's only argument is the trainable variables. Frozen variables are an argument of the step: a
  closure would bake them into the program.
  """
  transform = optimizer.build(training, pretrained=pretrained, wrap=wrap)

  def step(
    state: State, frozen: Variables, batch: dict, key: Array, total_steps: Any
  ) -> tuple[State, Float[Array, '']]:
    key = jax.random.fold_in(key, state.step)
    key, batch = augment.augment(batch, key, training)

    def loss(trainable: Variables) -> tuple[Float[Array, ''], Variables]:
      variables = trainable | frozen | state.statistics
      shard = shard_over_batch(mesh, trainable.keys())
      losses, statistics = objective.losses(variables, batch, key, training, shard)
      return jnp.sum(losses * batch['weight']) / jnp.sum(batch['weight']), statistics

    (mean_loss, statistics), gradient = jax.value_and_grad(loss, has_aux=True)(state.trainable)
    updates, optimizer_state = transform.update(
      gradient, state.optimizer, state.trainable, step=state.step, total_steps=total_steps
    )
    trainable = optax.apply_updates(state.trainable, updates)
    return State(state.step + 1, trainable, statistics, optimizer_state), mean_loss

  return step


Steps = Callable[[State, Variables, dict, Array, Any, Any], tuple[State, Array]]


def compiled_steps(
  objective: Objective,
  training: config.Training,
  *,
  pretrained: bool,
  wrap: optimizer.Wrap = optimizer.unchanged,
  mesh: Mesh | None = None,
  per_run_paths: frozenset[str] | None = None,
) -> Steps:
  """Compiles several steps: (state, frozen, batches, key, total steps, count) → (state, losses [s]).

  Batches are stacked along a first axis of s; the program trains on the first `count` of them. One call for
  several steps allocates its temporary memory once. The state is donated.
  With `per_run_paths`, r runs train side by side. State, key, total steps and the frozen variables at these
  paths have a first axis of runs, batches have it second; losses are [s, r].
  Over a mesh, batches are split over the devices; state and frozen variables are replicated.
  Runs whose settings differ in length alone share one program.
  """
  return _compiled_steps(objective, training.fixed_length(1), pretrained, wrap, mesh, per_run_paths)


@functools.lru_cache(maxsize=64)
def _compiled_steps(
  objective: Objective,
  training: config.Training,
  pretrained: bool,
  wrap: optimizer.Wrap,
  mesh: Mesh | None,
  per_run_paths: frozenset[str] | None,
) -> Steps:
  step = training_step(objective, training, pretrained=pretrained, wrap=wrap, mesh=mesh)

  def train_steps(
    state: State, frozen: Variables, batches: dict, key: Array, total_steps: Any, count: Any
  ) -> tuple[State, Array]:
    step_runs = step
    if per_run_paths is not None:
      axes = {path: 0 if path in per_run_paths else None for path in frozen}
      step_runs = jax.vmap(step, in_axes=(0, axes, 0, 0, 0))

    def body(index: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
      state, losses = carry
      batch = jax.tree.map(lambda stacked: stacked[index], batches)
      state, loss = step_runs(state, frozen, batch, key, total_steps)
      return state, losses.at[index].set(loss)

    size = len(batches['weight'])
    losses = jnp.zeros(size if per_run_paths is None else (size, len(total_steps)))
    return jax.lax.fori_loop(0, count, body, (state, losses))

  return jax.jit(train_steps, donate_argnums=0, out_shardings=replicated(mesh))


@functools.lru_cache(maxsize=64)
def compiled_predict(
  objective: Objective, mesh: Mesh | None = None
) -> Callable[[Variables, dict, Any], Array]:
  """The objective's prediction: (variables, batch, number of the batch) → predictions.

  The batch's key follows from its number. Over a mesh the output is replicated, so that every process can
  read it.
  """

  def predict(variables: Variables, batch: dict, number: Any) -> Array:
    return objective.predict(variables, batch, jax.random.fold_in(jax.random.key(0), number))

  return jax.jit(predict, out_shardings=replicated(mesh), compiler_options=_quick_compilation())


def _quick_compilation() -> dict[str, int] | None:
  """XLA's options for a prediction: on a CPU, level 1 compiles faster than 3, and predicts 3 % slower."""
  if jax.default_backend() != 'cpu' or jax.config.read('jax_disable_most_optimizations'):  # level 0
    return None
  return {'xla_backend_optimization_level': 1}
