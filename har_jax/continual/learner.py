"""Parts that the strategies share: a growing head, training with a penalty, predictions and features.

y activities of the whole stream, w windows, f features.

The output layer has a row for each activity of the stream, so that all domains share one compiled program.
A row that was not trained yet is hidden: its bias is so low that its probability, and so its gradient, is
exactly zero. `Learner.adapter` leaves it out.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from har_jax import config, files
from har_jax.continual.domains import Stream
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.methods import output_layer
from har_jax.recognizer.parameters import Parameters
from har_jax.recognizer.short_training import ShortTraining, as_arrays
from har_jax.train import evaluation
from har_jax.train.mesh import ShardOverBatch, on_one_device
from har_jax.train.objective import Classify
from har_jax.variables import Variables, split

_HIDDEN = -3e4  # bias of a hidden row; a float16 holds it
State = dict[str, np.ndarray]  # what a strategy stores between domains: 'model/lora/…', 'replay/signal', ...


@dataclasses.dataclass(frozen=True)
class Anchored(Classify):
  """Cross-entropy plus half of Σ importance (variable - anchor)².

  The anchors are frozen variables, anchor/<path> and importance/<path>: arguments of the compiled step.
  """

  def losses(
    self,
    variables: Variables,
    batch: dict,
    key: jax.Array,
    training: config.Training,
    shard_over_batch: ShardOverBatch = on_one_device,
  ) -> tuple[Float[Array, 'b'], Variables]:
    extra, plain = split(variables, lambda path: path.startswith(('anchor/', 'importance/')))
    losses, statistics = super().losses(plain, batch, key, training, shard_over_batch)
    return losses + penalty(plain, extra), statistics


def penalty(variables: Variables, extra: Variables) -> Any:
  """Half of Σ importance (variable - anchor)² over the leaves that have an anchor."""
  anchors = part(extra, 'anchor')
  return 0.5 * sum(
    jnp.sum(extra[f'importance/{path}'] * jnp.square(variables[path] - anchor))
    for path, anchor in anchors.items()
  )


class Features(Classify):
  """Predicts the head's input."""

  def predict(self, variables: Variables, batch: dict, key: jax.Array) -> Float[Array, 'w f']:
    return self.features(variables, batch['signal'])


def part(state: Variables, name: str) -> Variables:
  """The entries below a name, without it."""
  return {path.removeprefix(f'{name}/'): leaf for path, leaf in state.items() if path.startswith(f'{name}/')}


def under(name: str, variables: Variables) -> State:
  return {f'{name}/{path}': np.asarray(leaf) for path, leaf in variables.items()}


class Learner:
  """A method on a base for the activities of a stream. `start`: what training changes, before any."""

  def __init__(self, stream: Stream, parameters: Parameters):
    self.stream, self.steps = stream, int(parameters.max_steps)
    self.training = ShortTraining(stream.classes, parameters)
    prepared, objective = self.training.prepared, self.training.objective
    self.start = as_arrays(prepared.trainable | prepared.statistics)
    self.trained_paths = sorted(prepared.trainable)
    self._frozen = prepared.frozen
    self._alone: dict[int, Variables] = {}
    self.output = [f'{output_layer(self.start)}/{leaf}' for leaf in ('kernel', 'bias')]
    shape = objective.model, objective.classes, objective.precision
    self._objective, self._anchored, self._features = Classify(*shape), Anchored(*shape), Features(*shape)

  def show(self, variables: Variables, labels: Sequence[int] | Int[np.ndarray, 'n']) -> Variables:
    """Shows the rows of these activities as they are drawn; all others stay as they are."""
    rows = {path: np.array(variables[path]) for path in self.output}
    for path, leaf in rows.items():
      leaf[..., labels] = self.start[path][..., labels]
    return variables | rows

  def start_with(self, labels: Sequence[int] | Int[np.ndarray, 'n']) -> Variables:
    """The start, which answers these activities alone."""
    hidden = np.full_like(self.start[self.output[1]], _HIDDEN)
    return self.show(self.start | {self.output[1]: hidden}, labels)

  def grow(self, state: State, number: int) -> Variables:
    """Adds rows for the new activities of a domain to the model so far. Without one, the start."""
    model = part(state, 'model') or self.start_with([])
    return self.show(model, np.setdiff1d(self.stream.seen(number + 1), self.stream.seen(number)))

  def alone(self, number: int) -> Variables:
    """The variables after training on one domain, from the base. Trained once."""
    if number not in self._alone:
      domain = self.stream.domains[number]
      self._alone[number] = self.train(self.start_with(domain.labels), domain.train, number)
    return self._alone[number]

  def train(
    self,
    variables: Variables,
    windows: Batch,
    number: int,
    *,
    steps: int = 0,
    anchor: Variables | None = None,
    importance: Variables | None = None,
  ) -> Variables:
    """The variables after the steps of a domain. Raises UserError where the loss is not finite."""
    seed = int(np.random.SeedSequence([self.training.seed, number]).generate_state(1)[0])
    steps = steps or self.steps
    anchor = anchor or {path: variables[path] for path in self.trained_paths}
    importance = importance or {path: np.zeros_like(leaf) for path, leaf in anchor.items()}
    extra = under('anchor', anchor) | under('importance', importance)
    frozen = self._frozen | jax.device_put(extra)
    trained, losses = self.training.run(
      variables, frozen, windows, seed=seed, steps=steps, total=steps, objective=self._anchored
    )
    if not np.isfinite(losses).all():
      name = self.stream.domains[number].name
      raise UserError(f'the loss is not finite on {name}; lower --learning_rate or --penalty')
    return trained

  def logits(self, variables: Variables, windows: Batch) -> Float[np.ndarray, 'w y']:
    return evaluation.predict(self._objective, self._frozen | variables, _inputs(windows))

  def features(self, windows: Batch) -> Float[np.ndarray, 'w f']:
    """Features of the frozen base: no adapter, and no label, has a part in them."""
    return evaluation.predict(self._features, self._frozen | self.start, _inputs(windows))

  @functools.cached_property
  def _squares(self) -> Callable[[Variables, Variables, Array, Array], Variables]:
    """Function of one window: (trained, all others, signal, label) → squared gradients."""

    def loss(trained: Variables, others: Variables, signal: Array, label: Array) -> Array:
      logits = self._objective.predict(trained | others, {'signal': signal[None]}, jax.random.key(0))
      return -jax.nn.log_softmax(logits[0])[label]

    return jax.jit(lambda *inputs: jax.tree.map(jnp.square, jax.grad(loss)(*inputs)))

  def squared_gradients(self, variables: Variables, windows: Batch) -> Variables:
    """The mean over windows of each trained variable's squared gradient: the empirical Fisher's diagonal."""
    trained, others = split(variables, set(self.trained_paths).__contains__)
    total = {path: np.zeros_like(leaf) for path, leaf in trained.items()}
    for signal, label in zip(windows['signal'], windows['label'], strict=True):
      squares = self._squares(trained, self._frozen | others, signal, label)
      total = {path: total[path] + np.asarray(leaf) for path, leaf in squares.items()}
    return {path: leaf / len(windows['label']) for path, leaf in total.items()}

  def adapter(self, variables: Variables, labels: Int[np.ndarray, 'n'], **entries: Any) -> files.Adapter:
    """An ordinary adapter, whose head has these activities alone."""
    cut = {path: variables[path][..., labels] for path in self.output}
    classes = [self.stream.classes[label] for label in labels]
    return self.training.adapter(self._frozen | variables | cut, classes, **entries)


def _inputs(windows: Batch) -> Batch:
  return {name: windows[name] for name in ('signal', 'label')}
