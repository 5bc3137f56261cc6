"""Temperature: found again where it is known, never a false certainty, kept with the adapter."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from har_jax import config, config_fields, files
from har_jax.errors import UserError
from har_jax.inference.calibration import calibrate, temperature
from har_jax.inference.recognizer import Recognizer
from har_jax.train.objective import Classify

pytestmark = pytest.mark.usefixtures('compiled_fast')


def _drawn(windows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
  """Logits, and labels drawn from the very probabilities that these say."""
  rng = np.random.default_rng(seed)
  logits = 2 * rng.standard_normal((windows, classes))
  shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
  return logits, (shares.cumsum(axis=1) < rng.random((windows, 1))).sum(axis=1).clip(0, classes - 1)


@pytest.mark.parametrize('factor', [0.5, 1.0, 3.0])
def test_logits_that_are_too_large_by_a_factor_are_divided_by_it(factor: float):
  logits, labels = _drawn(20_000, 5)
  assert temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize('windows', [5, 50])
def test_a_few_windows_that_are_all_right_make_no_certainty(windows: int):
  labels = np.arange(windows) % 3
  logits = 20.0 * np.eye(3)[labels]
  scaled = np.exp(logits / temperature(logits, labels))
  shares = (scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1)
  np.testing.assert_allclose(shares, (windows + 1) / (windows + 2), atol=2e-3)


@pytest.fixture(scope='module')
def fitted(tiny: config.Model, drawn: Callable[[Callable[[jax.Array], Any]], Any]) -> Recognizer:
  base = files.make_base(drawn(Classify(tiny, 2).init), {'model': config_fields.to_json(tiny)})
  return Recognizer(base, rank=4, max_steps=20, batch=16, learning_rate=0.01).fit(_X, _Y, held_out=_APART)


_Y = np.array(['still', 'walking'] * 30)
_X = np.array([0, 0, 9.8, 0, 0, 0]) + np.where(_Y == 'walking', 3.0, 0.1)[
  :, None, None
] * np.random.default_rng(0).standard_normal((60, 128, 6))
_APART = np.arange(60) >= 48


def test_windows_given_as_kept_apart_are_those_that_are(fitted: Recognizer):
  assert fitted.adapter_.card['split'] == {'by': 'given', 'windows': {'train': 48, 'validation': 12}}
  learned = _X[~_APART].reshape(-1, 2, 3)
  np.testing.assert_allclose(fitted.adapter_.card['normalizer']['mean'], learned.mean(axis=(0, 2)), atol=1e-5)


@pytest.mark.parametrize(
  ('apart', 'says'),
  [
    (_APART[:5], r'held_out is \[5\] of bool'),
    (_APART.astype(int), r'held_out is \[60\] of int64'),
    (_Y == 'walking', 'keeps all windows of a class apart'),
  ],
)
def test_windows_that_cannot_be_kept_apart_are_refused(fitted: Recognizer, apart: np.ndarray, says: str):
  with pytest.raises(UserError, match=says):
    Recognizer(fitted.base, rank=4, max_steps=1).fit(_X, _Y, held_out=apart)


def test_it_changes_confidence_alone_and_stays_with_the_adapter(fitted: Recognizer, tmp_path: pathlib.Path):
  before = fitted.predict_proba(_X)
  found = calibrate(fitted, _X[_APART], _Y[_APART])
  after = fitted.predict_proba(_X)
  assert not np.allclose(before, after, atol=1e-3)
  np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
  np.testing.assert_allclose(after[_APART].max(axis=1).mean(), found.confidence[1], rtol=1e-6)
  assert found.windows == 12
  # Again, from what is calibrated already: the same.
  assert calibrate(fitted, _X[_APART], _Y[_APART]).temperature == pytest.approx(found.temperature, rel=1e-3)
  fitted.save(tmp_path)
  np.testing.assert_array_equal(Recognizer.load(tmp_path).predict_proba(_X), fitted.predict_proba(_X))


def test_a_label_that_it_does_not_know_is_named(fitted: Recognizer):
  with pytest.raises(UserError, match='no class of the recognizer: flying; it has still, walking'):
    calibrate(fitted, _X[:2], ['walking', 'flying'])


def test_rotation_is_not_heeded_where_none_was_learned(fitted: Recognizer):
  without = np.concatenate([_X[..., :3], np.zeros((60, 128, 3))], axis=2)
  made = Recognizer(fitted.base, method='probe', max_steps=5, batch=16).fit(without, _Y, held_out=_APART)
  assert (fitted.has_gyro, made.has_gyro) == (True, False)
  np.testing.assert_array_equal(made.predict_proba(_X), made.predict_proba(without))
