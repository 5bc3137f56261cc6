"""Parts of a classifier have what the classifier was made with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from har_jax import config
from har_jax.model import Classifier, transformer


def test_parts_of_a_classifier_have_its_precision_dropout_and_rate(tiny, monkeypatch):
  rates_hz = []

  def statistics(channels, rate_hz, xp):
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
