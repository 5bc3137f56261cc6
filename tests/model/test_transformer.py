"""The model's properties, through gradients, and its parameter counts at full size."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config, methods, variables
from har_jax.model import Autoencoder, Classifier, draw_mask, reconstruction_error
from har_jax.model.tokens import patches
from har_jax.model.transformer import Encoder
from har_jax.train.objective import Classify, Reconstruct

Draw = Callable[[Callable[[jax.Array], Any]], Any]


def _windows(count: int, seed: int = 0) -> jax.Array:
  return jax.random.normal(jax.random.key(seed), (count, config.WINDOW_SAMPLES, config.CHANNELS))


def _init_encoder(model: config.Model) -> Callable[[jax.Array], dict]:
  return lambda key: Encoder(model).init(key, _windows(2))


@pytest.mark.parametrize(
  ('deviations', 'descriptors', 'values'),
  [(False, False, 32 * 6), (True, False, 33 * 6), (False, True, 48 * 12), (True, True, 49 * 12)],
)
def test_a_token_is_embedded_from_its_samples_and_what_else_is_asked_for(
  tiny: config.Model, drawn: Draw, deviations: bool, invariant_features: bool, values: int
):
  model = dataclasses.replace(tiny, log_std=deviations, invariant_features=invariant_features)
  assert drawn(_init_encoder(model))['params']['embed']['kernel'].shape == (values, tiny.width)


@pytest.mark.parametrize('streams', [1, 2])
def test_what_is_hidden_has_no_gradient_and_what_is_visible_has(
  tiny: config.Model, drawn: Draw, streams: int
):
  model = dataclasses.replace(tiny, streams=streams, invariant_features=streams == 1)
  signal = _windows(5)
  visible, mask = draw_mask(jax.random.key(1), 5, model.tokens, model.hidden)
  held = drawn(_init_encoder(model))
  direction = jax.random.normal(jax.random.key(2), (5, model.tokens - model.hidden, model.width))

  @jax.jit
  @jax.grad
  def gradient_of(patch_features: jax.Array) -> jax.Array:
    return jnp.sum(direction * Encoder(model).apply(held, patch_features, visible)[0])

  gradient = gradient_of(signal)
  of_patch = np.abs(patches(gradient, model.patch_size)).max(axis=-1)
  assert (of_patch[np.asarray(mask)] == 0).all()  # True: hidden
  assert (of_patch[~np.asarray(mask)] > 0).all()


def test_the_reconstruction_does_not_see_what_it_is_asked_for(tiny: config.Model, drawn: Draw):
  signal = _windows(3)
  visible, mask = draw_mask(jax.random.key(1), 3, tiny.tokens, tiny.hidden)
  held = variables.nest(drawn(Reconstruct(tiny).init))
  noise = jnp.repeat(mask, tiny.patch_size, axis=1)[:, :, None] * _windows(3, seed=9)
  reconstruct = jax.jit(Autoencoder(tiny).apply)
  np.testing.assert_array_equal(
    reconstruct(held, signal + noise, visible), reconstruct(held, signal, visible)
  )


def test_the_loss_is_the_mean_over_hidden_patches_alone():
  reconstruction_target = jax.random.normal(jax.random.key(0), (4, 8, 6))
  reconstructed = jax.random.normal(jax.random.key(1), (4, 8, 6))
  _, mask = draw_mask(jax.random.key(2), 4, 8, 6)
  errors = reconstruction_error(reconstructed, reconstruction_target, mask)
  squares = np.square(np.asarray(reconstructed) - np.asarray(reconstruction_target))
  expected = [squares[window][np.asarray(mask)[window]].mean() for window in range(4)]
  np.testing.assert_allclose(errors, expected, rtol=1e-5)
  elsewhere = reconstruction_target + 100 * ~mask[:, :, None]  # mask True: hidden
  np.testing.assert_array_equal(reconstruction_error(reconstructed, elsewhere, mask), errors)


def test_the_loss_trains_every_weight_of_the_autoencoder(tiny: config.Model, drawn: Draw):
  objective = Reconstruct(
    dataclasses.replace(tiny, mask=0.5)
  )  # of one visible token there is nothing to attend to
  held, batch = drawn(objective.init), {'signal': _windows(4)}
  gradient = jax.jit(
    jax.grad(lambda patch_features: objective.losses(patch_features, batch, jax.random.key(1))[0].sum())
  )(held)
  # A shift of all keys cancels in the softmax: rounding alone reaches their bias.
  still = [path for path, leaf in gradient.items() if not jnp.abs(leaf).max() > 0 and '/key/bias' not in path]
  assert still == []


def test_with_two_streams_a_sensors_embedding_sees_that_sensor_alone(tiny: config.Model, drawn: Draw):
  model = dataclasses.replace(tiny, streams=2, invariant_features=False)
  held = drawn(_init_encoder(model))

  def embedded(signal: jax.Array, name: str) -> jax.Array:
    _, seen = Encoder(model).apply(held, signal, capture_intermediates=True)
    return jnp.sum(jnp.square(seen['intermediates'][name]['__call__'][0]))

  for name, own, other in (
    ('embed_acc', slice(0, 3), slice(3, 6)),
    ('embed_gyro', slice(3, 6), slice(0, 3)),
  ):
    gradient = jax.jit(jax.grad(embedded), static_argnums=1)(_windows(2), name)
    assert (gradient[..., other] == 0).all()
    assert (gradient[..., own] != 0).all()


def test_positions_tell_tokens_apart(tiny: config.Model, drawn: Draw):
  same = jnp.tile(_windows(2)[:, : tiny.patch_size], (1, tiny.tokens, 1))
  tokens, _ = jax.jit(Encoder(tiny).apply)(drawn(_init_encoder(tiny)), same)
  assert not jnp.allclose(tokens[:, 0], tokens[:, 1])


def test_a_windows_logits_do_not_depend_on_its_neighbors(tiny: config.Model, drawn: Draw):
  held = variables.nest(drawn(Classify(tiny, 3).init))
  gradient = jax.jit(jax.grad(lambda signal: Classifier(tiny, 3).apply(held, signal)[0].sum()))(_windows(4))
  assert (gradient[1:] == 0).all()
  assert (gradient[0] != 0).any()


def test_windows_that_fill_up_move_neither_statistics_nor_losses(tiny: config.Model, drawn: Draw):
  objective = Classify(dataclasses.replace(tiny, dropout=0.0), 3)
  held, signal = drawn(objective.init), _windows(6)
  losses_of = jax.jit(objective.losses)
  batch = {'signal': signal, 'label': jnp.arange(6) % 3, 'weight': jnp.float32([1, 1, 1, 1, 0, 0])}
  losses, statistics = losses_of(held, batch, jax.random.key(1))
  other = batch | {'signal': signal.at[4:].multiply(50)}
  losses_other, statistics_other = losses_of(held, other, jax.random.key(1))
  np.testing.assert_array_equal(losses[:4], losses_other[:4])
  alone = {name: value[:4] for name, value in batch.items()}
  losses_alone, statistics_alone = losses_of(held, alone, jax.random.key(1))
  np.testing.assert_allclose(losses[:4], losses_alone, rtol=1e-5)
  assert statistics.keys() == {f'batch_stats/head/norm_0/{name}' for name in ('mean', 'var')}
  for path, leaf in statistics.items():
    np.testing.assert_array_equal(leaf, statistics_other[path])
    np.testing.assert_allclose(leaf, statistics_alone[path], rtol=1e-5, atol=1e-7)
    assert not np.array_equal(leaf, held[path])


def test_dropout_follows_its_key_and_rests_in_prediction(tiny: config.Model, drawn: Draw):
  objective = Classify(tiny, 3)
  held = drawn(objective.init)
  batch = {'signal': _windows(6), 'label': jnp.arange(6) % 3, 'weight': jnp.ones(6)}
  losses_of, predict = jax.jit(objective.losses), jax.jit(objective.predict)
  first, again, other = (losses_of(held, batch, jax.random.key(seed))[0] for seed in (1, 1, 2))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)
  logits = [predict(held, batch, jax.random.key(seed)) for seed in (1, 2)]
  np.testing.assert_array_equal(*logits)


def _counts(experiment: config.Experiment, classes: int, method: str) -> tuple[int, int]:
  """Trainable and total parameters, without computing."""
  objective = Classify(experiment.model, classes)
  chosen = methods.METHODS[method]
  start = jax.eval_shape(objective.init, jax.random.key(0))
  adapted = jax.eval_shape(
    lambda: chosen.adapt(objective.init(jax.random.key(0)), experiment, jax.random.key(1))
  )
  total = [path for path in start if path.startswith('params/')]
  in_base = variables.count({path: start[path] for path in total})
  in_adapters = variables.count({path: leaf for path, leaf in adapted.items() if path.startswith('lora/')})
  trained = {path: leaf for path, leaf in adapted.items() if chosen.trains(path, experiment)}
  return variables.count(trained), in_base + in_adapters


@pytest.mark.parametrize(
  ('method', 'trainable', 'total'),
  [('full', 2_210_857, 2_210_857), ('lora', 428_832, 2_636_105), ('qlora', 428_832, 2_636_105)],
)
def test_the_paper_configuration_has_the_papers_counts(method: str, trainable: int, total: int):
  assert _counts(config.Experiment.paper(), 9, method) == (trainable, total)  # Table III


@pytest.mark.parametrize(
  ('method', 'trainable', 'total'),
  [
    # Embedding 12·(8 + 1 + 4)·192 + 192, positions 16·192, mask token 192, last norm 384 = 33,792; six blocks of four 192·192 + 192,
    # up 192·576 + 576, down 576·192 + 192, two norms of 384 = 370,944 each; head 192·128 + 128 + 256 + 128·6 + 6 = 25,734.
    ('full', 2_285_190, 2_285_190),
    ('probe', 25_734, 2_285_190),
    # Adapters of rank 32, a block: 4·32·(192 + 192) + 2·32·(192 + 576) = 98,304.
    ('lora', 615_558, 2_875_014),
    ('qlora', 615_558, 2_875_014),
  ],
)
def test_the_base_configuration_has_these_counts(method: str, trainable: int, total: int):
  assert _counts(config.Experiment(), 6, method) == (trainable, total)


def test_the_paper_decoder_mirrors_the_encoder():
  shapes = jax.eval_shape(Reconstruct(config.Experiment.paper().model).init, jax.random.key(0))
  block = {path.split('/', 3)[3]: leaf.shape for path, leaf in shapes.items() if '/encoder/block_5/' in path}
  mirrored = {
    path.split('/', 3)[3]: leaf.shape for path, leaf in shapes.items() if '/decoder/block_5/' in path
  }
  assert block == mirrored != {}
