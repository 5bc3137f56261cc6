"""An addition to a model's output layer: fitted to windows' features in milliseconds, and folded into it.

w windows, y classes, f features: the output layer's inputs, and a 1 for the bias.
"""

import copy
from typing import Any

import numpy as np
from jaxtyping import Float

from har_jax import files, methods
from har_jax.errors import UserError
from har_jax.inference.recognizer import Recognizer
from har_jax.variables import collection

_MAX_ITERATIONS = 100


def fit(
  hidden: Float[np.ndarray, 'w f'],
  logits: Float[np.ndarray, 'w y'],
  targets: Float[np.ndarray, 'w y'],
  *,
  penalty: float,
) -> Float[np.ndarray, 'f y']:
  """What to add to the output layer's weights; `logits` are those without it, `targets` probabilities.

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
  found = optimize.minimize(loss, start, jac=True, method='L-BFGS-B', options=options)
  return found.x.reshape(hidden.shape[1], -1)


def add(recognizer: Recognizer, added: Float[np.ndarray, 'f y'], **entries: Any) -> Recognizer:
  """A copy of the recognizer with the addition in its adapter's head, and these entries in its card.

  Raises UserError where a method changes the output layer itself in another way than LoRA's sum.
  """
  layer, held = methods.output_layer(recognizer.variables_), recognizer.variables_
  name = layer.removeprefix('params')
  if others := {collection(path) for path in held if f'{name}/' in path} - {'params', 'lora'}:
    raise UserError(f'the output layer has {", ".join(sorted(others))}; adapt without `head` as a target')
  parts = {f'{layer}/kernel': added[:-1], f'{layer}/bias': added[-1]}
  changed = {path: (np.asarray(held[path]) + part).astype(held[path].dtype) for path, part in parts.items()}
  corrected = copy.copy(recognizer)
  card = {**recognizer.adapter_.card, **entries}
  corrected.adapter_ = files.make_adapter(recognizer.base_, held | changed, card)
  corrected.variables_ = files.attach(recognizer.base_, corrected.adapter_)
  return corrected
