"""An addition to a model's output layer: fitted to windows' features in milliseconds, and folded into it.

w windows, y classes, f features: the output layer's inputs, and a 1 for the bias.
"""

import copy
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from har_jax import files, methods, products
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.variables import collection

_MAX_ITERATIONS = 100


def fit(
  hidden: Float[np.ndarray, 'w f'],
  logits: Float[np.ndarray, 'w y'],
  targets: Float[np.ndarray, 'w y'],
  *,
  penalty: float,
) -> Float[np.ndarray, 'f y']:
  """Addition to the output layer's weights; `logits` are those without it, `targets` probabilities.

  Minimizes the sum of the windows' cross-entropies, plus penalty / 2 times the sum of squares of what is
  added. This is the maximum a posteriori estimate, with the old weights as the prior's mean. The loss is
  strictly convex.
  """
  from scipy import optimize, special  # late, as all that recognizing may do without

  def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
    added = flat.reshape(hidden.shape[1], -1)
    log_probabilities = special.log_softmax(logits + hidden @ added, axis=1)
    gradient = hidden.T @ (np.exp(log_probabilities) - targets) + penalty * added
    value = penalty / 2 * np.square(added).sum() - (targets * log_probabilities).sum()
    return float(value), gradient.ravel()

  start = np.zeros(hidden.shape[1] * logits.shape[1])
  options = {'maxiter': _MAX_ITERATIONS}
  with products.on_one_thread():
    minimum = optimize.minimize(loss, start, jac=True, method='L-BFGS-B', options=options)
  return minimum.x.reshape(hidden.shape[1], -1)


def add(
  recognizer: Recognizer, added: Float[np.ndarray, 'f y'], new: Sequence[str] = (), **entries: Any
) -> Recognizer:
  """A copy of the recognizer with the addition in its adapter's head, and these entries in its card.

  new: names of classes that the recognizer does not have. Their columns are the last ones.
  Raises UserError where a method changes the output layer itself in another way than LoRA's sum, and for a
  baseline.
  """
  pairs = recognizer.adapter_.method.pairs
  layer, variables = methods.output_layer(recognizer.variables_), recognizer.variables_
  name = layer.removeprefix('params')
  if others := {collection(path) for path in variables if f'{name}/' in path} - {'params', pairs}:
    raise UserError(f'the output layer has {", ".join(sorted(others))}; adapt without `head` as a target')
  # Each leaf of the layer has a column for each class, but for the first one of LoRA's pair.
  wide = {
    path: np.pad(variables[path], [(0, 0)] * (np.ndim(variables[path]) - 1) + [(0, len(new))])
    for path in variables
    if f'{name}/' in path and not path.endswith('/a')
  }
  parts = {f'{layer}/kernel': added[:-1], f'{layer}/bias': added[-1]}
  changed = wide | {path: (wide[path] + part).astype(wide[path].dtype) for path, part in parts.items()}
  corrected = copy.copy(recognizer)
  card = recognizer.adapter_.card
  # No window is here to measure the changed layer on.
  entries |= dict.fromkeys(('class_logits', 'set_scores', 'class_means', 'class_spread', 'unknown_scores'))
  card = msgspec.structs.replace(card, classes=[*card.classes, *new], **entries)
  corrected.adapter_ = files.make_adapter(recognizer.base_, variables | changed, card)
  corrected.classes_ = np.array(card.classes)
  corrected.variables_ = files.attach(recognizer.base_, corrected.adapter_)
  return corrected
