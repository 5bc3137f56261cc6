"""Parts that the strategies share: a growing head, training, predictions and features.

y activities of the whole stream, w windows, f features.

The output layer has a row for each activity of the stream, so that all domains share one compiled program.
A row that was not trained yet is hidden: its bias is so low that its probability, and so its gradient, is
exactly zero. `Learner.adapter` leaves it out.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from har_jax import files
from har_jax.continual.domains import Stream
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.methods import output_layer
from har_jax.recognizer.parameters import Parameters
from har_jax.recognizer.short_training import ShortTraining
from har_jax.train import evaluation
from har_jax.train.objective import Classify
from har_jax.variables import Variables

_HIDDEN = -3e4  # bias of a hidden row; a float16 holds it
State = dict[str, np.ndarray]  # what a strategy stores between domains: 'model/lora/…', 'replay/signal', ...


class Features(Classify):
  """Predicts the head's input."""

  def predict(self, variables: Variables, batch: dict[str, jax.Array], key: jax.Array) -> Float[Array, 'w f']:
    return self.features(variables, batch['signal'])


def part(state: Variables, name: str) -> Variables:
  """The entries below a name, without it."""
  return {path.removeprefix(f'{name}/'): leaf for path, leaf in state.items() if path.startswith(f'{name}/')}


def under(name: str, variables: Variables) -> State:
  return {f'{name}/{path}': np.asarray(leaf) for path, leaf in variables.items()}


class Learner:
  """A method on a base for the activities of a stream. `start`: what training changes, before any."""

  stream: Stream
  steps: int
  training: ShortTraining
  start: Variables
  output: list[str]

  def __init__(self, stream: Stream, parameters: Parameters):
    self.stream, self.steps = stream, int(parameters.max_steps)
    self.training = ShortTraining(stream.classes, parameters)
    self.start, self._frozen = self.training.start, self.training.prepared.frozen
    self.output = [f'{output_layer(self.start)}/{leaf}' for leaf in ('kernel', 'bias')]
    self._objective = objective = self.training.objective
    self._features = Features(objective.model, objective.classes, objective.precision)

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

  def train(self, variables: Variables, windows: Batch, number: int, *, steps: int = 0) -> Variables:
    """The variables after the steps of a domain. Raises UserError where the loss is not finite."""
    seed = int(np.random.SeedSequence([self.training.seed, number]).generate_state(1)[0])
    steps = steps or self.steps
    trained, losses = self.training.run(variables, windows, seed=seed, steps=steps, total=steps)
    if not np.isfinite(losses).all():
      name = self.stream.domains[number].name
      raise UserError(f'the loss is not finite on {name}; lower --learning_rate')
    return trained

  def logits(self, variables: Variables, windows: Batch) -> Float[np.ndarray, 'w y']:
    return evaluation.predict(self._objective, self._frozen | variables, windows)

  def features(self, windows: Batch) -> Float[np.ndarray, 'w f']:
    """Features of the frozen base: no adapter, and no label, has a part in them."""
    return evaluation.predict(self._features, self._frozen | self.start, windows)

  def adapter(self, variables: Variables, labels: Int[np.ndarray, 'n']) -> files.Adapter:
    """An ordinary adapter, whose head has these activities alone."""
    cut = {path: variables[path][..., labels] for path in self.output}
    classes = [self.stream.classes[label] for label in labels]
    return self.training.adapter(self._frozen | variables | cut, classes)
