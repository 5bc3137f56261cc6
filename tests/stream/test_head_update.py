"""The addition to an output layer: its input, its optimum, and the adapter that holds it."""

import copy

import jax
import numpy as np
import pytest
from scipy import special

from har_jax.errors import UserError
from har_jax.stream import head_update
from har_jax.train.objective import Classify


def test_the_last_hidden_layer_gives_the_logits(drawn, tiny):
  objective = Classify(tiny, 3)
  variables = drawn(objective.init)
  batch = {'signal': np.random.default_rng(0).standard_normal((4, 128, 6), np.float32)}
  layer = f'params/head/dense_{len(tiny.head)}'
  outputs = np.asarray(jax.jit(objective.with_hidden.predict)(variables, batch, jax.random.key(0)))
  weights = np.concatenate([variables[f'{layer}/kernel'], variables[f'{layer}/bias'][None]])
  logits = np.asarray(jax.jit(objective.predict)(variables, batch, jax.random.key(0)))
  assert outputs[:, -3:] == pytest.approx(logits)
  assert outputs[:, :-3] @ weights == pytest.approx(logits, abs=1e-5)


def test_the_fitted_layer_is_where_the_penalized_loss_is_flat():
  rng = np.random.default_rng(0)
  hidden, logits = rng.standard_normal((8, 5)), rng.standard_normal((8, 3))
  targets = special.softmax(rng.standard_normal((8, 3)), axis=1)
  added = head_update.fit(hidden, logits, targets, penalty=10.0)
  errors = special.softmax(logits + hidden @ added, axis=1) - targets
  assert hidden.T @ errors + 10.0 * added == pytest.approx(np.zeros((5, 3)), abs=1e-3)
  assert np.abs(added).max() > 0.01


def test_windows_that_have_their_targets_change_nothing():
  hidden, logits = np.ones((3, 4)), 50.0 * np.eye(3)
  assert np.abs(head_update.fit(hidden, logits, np.eye(3), penalty=1.0)).max() < 1e-6
  logits = np.arange(9.0).reshape(3, 3) ** 0.5
  assert not head_update.fit(hidden, logits, special.softmax(logits, axis=1), penalty=1.0).any()


def test_an_output_layer_that_is_no_plain_sum_is_refused(fitted):
  packed = copy.copy(fitted)
  packed.variables_ = fitted.variables_ | {'nf4/head/dense_1/codes': np.zeros(3)}
  with pytest.raises(UserError, match='the output layer has nf4; adapt without `head`'):
    head_update.add(packed, np.zeros((17, 3)))
