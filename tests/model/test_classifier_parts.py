"""Parts of a classifier have what the classifier was made with, and the shapes of the whole."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config
from har_jax.model import Classifier, transformer
from har_jax.train.objective import Classify, encoder_shapes, initial_shapes


def test_parts_of_a_classifier_have_its_precision_dropout_and_rate(tiny, monkeypatch):
  rates_hz = []

  def statistics(channels, rate_hz, xp, sort):
    rates_hz.append(rate_hz)
    return jnp.zeros((len(channels), len(transformer.statistics.NAMES)))

  monkeypatch.setattr(transformer.statistics, 'statistics', statistics)
  model = dataclasses.replace(
    tiny,
    patch_size=4,
    stem=(8, 8),
    log_std=False,
    side_width=8,
    dropout=0.25,
    rate_hz=25,
    window_statistics=True,
  )
  precision = config.Precision('bfloat16')
  classifier = Classifier(model, 3, precision)
  bound = classifier.bind({})
  assert (bound.head.dropout, bound.head.classes) == (0.25, 3)
  assert {part.precision for part in (bound.encoder, bound.side_encoder, bound.head)} == {precision}
  jax.eval_shape(classifier.init, jax.random.key(0), np.zeros((2, 128, 6), np.float32))
  assert set(rates_hz) == {25}


@pytest.mark.parametrize(
  ('encoder', 'head'),
  [
    ({}, {}),
    ({'streams': 2}, {'dropout': 0.5}),
    ({'patch_size': 4, 'stem': (8, 8)}, {'side_width': 8, 'window_statistics': True, 'head': ()}),
    ({'depth': 0}, {'pooling': 'statistics', 'head': (4, 4)}),
  ],
)
def test_shapes_of_a_classifier_are_those_that_it_draws_with_an_encoder_that_all_heads_share(
  tiny, encoder, head
):
  plain = dataclasses.replace(tiny, log_std=False, invariant_features=False, **encoder)
  objective = Classify(dataclasses.replace(plain, **head), 3)
  drawn, shapes = jax.eval_shape(objective.init, jax.random.key(0)), initial_shapes(objective)
  assert list(shapes.items()) == list(drawn.items())
  of_encoder = encoder_shapes(objective.model)
  assert of_encoder.keys() == {path for path in drawn if path.startswith('params/encoder/')}
  assert of_encoder is encoder_shapes(plain)
