"""Properties of the model, through gradients, and its parameter counts at full size."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config, variables
from har_jax.methods import METHODS, Settings, prepare
from har_jax.model import Autoencoder, Classifier, draw_mask, head_input_widths, reconstruction_error
from har_jax.model.tokens import patches
from har_jax.model.transformer import Encoder, Head
from har_jax.train.objective import Classify, Reconstruct, initial_shapes
from launch.bench import running

_TRAINING = config.Training()
Draw = Callable[[Callable[[jax.Array], Any]], Any]


_drawn_mask = jax.jit(draw_mask, static_argnums=(1, 2, 3))


def _normal(*shape: int, seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _windows(count: int, seed: int = 0) -> np.ndarray:
  return _normal(count, config.Windowing.samples, config.CHANNELS, seed=seed)


@pytest.fixture(scope='module')
def tiny(tiny) -> config.Model:
  """One block; the tests of methods have two."""
  return dataclasses.replace(tiny, depth=1)


def _init_encoder(model: config.Model) -> Callable[[jax.Array], dict]:
  return lambda key: Encoder(model).init(key, jnp.asarray(_windows(2)))


@pytest.mark.parametrize(
  ('log_std', 'invariant', 'values'),
  [(False, False, 32 * 6), (True, False, 33 * 6), (False, True, 48 * 12), (True, True, 49 * 12)],
)
def test_the_embedding_reads_samples_and_the_configured_features(tiny, drawn, log_std, invariant, values):
  model = dataclasses.replace(tiny, log_std=log_std, invariant_features=invariant)
  assert drawn(_init_encoder(model))['params']['embed']['kernel'].shape == (values, tiny.width)


@pytest.mark.parametrize(
  'changes', [{}, {'streams': 2, 'invariant_features': False}, {'patch_size': 4, 'stem': (8, 16)}]
)
def test_only_visible_patches_have_a_gradient(tiny, drawn, changes):
  model = dataclasses.replace(tiny, **changes)
  signal = _windows(5)
  visible, mask = _drawn_mask(jax.random.key(1), 5, model.tokens, model.hidden)
  model_variables = drawn(_init_encoder(model))
  direction = _normal(5, model.tokens - model.hidden, model.width, seed=2)

  @jax.jit
  @jax.grad
  def gradient_of(signal: jax.Array) -> jax.Array:
    return jnp.sum(direction * Encoder(model).apply(model_variables, signal, visible)[0])

  gradient = gradient_of(signal)
  largest = np.abs(patches(gradient, model.patch_size)).max(axis=-1)
  assert (largest[np.asarray(mask)] == 0).all()  # True: hidden
  assert (largest[~np.asarray(mask)] > 0).all()


_STATISTICS = {'pooling': 'statistics', 'window_statistics': True, 'head': ()}


@pytest.mark.parametrize(
  ('changes', 'logits'),
  [
    ({}, [-0.588243, -0.325703, 0.302559]),
    ({'streams': 2, 'invariant_features': False, 'log_std': False}, [-0.230275, -1.373307, 1.005748]),
    ({'patch_size': 4, 'stem': (8, 16)} | _STATISTICS, [0.222004, 0.735168, 0.695104]),
  ],
)
def test_stored_weights_give_the_logits_that_they_gave_when_bases_were_first_stored(
  tiny, drawn, changes, logits
):
  objective = Classify(dataclasses.replace(tiny, **changes), 3)
  signal = 0.3 * _windows(1) + np.float32([0, 0.6, 0.8, 0, 0, 0])
  found = jax.jit(objective.predict)(drawn(objective.init), {'signal': signal}, jax.random.key(0))
  np.testing.assert_allclose(found[0], logits, rtol=1e-3)


def test_the_heads_input_is_that_of_the_encoder_then_that_of_the_side_encoder(tiny, drawn):
  stem = dataclasses.replace(tiny, patch_size=4, stem=(8, 16), pooling='statistics', side_width=8)
  both, signal = drawn(Classify(stem, 3).init), 0.3 * _windows(2)
  alone = {path.replace('/encoder/', '/other/').replace('/side_', '/'): leaf for path, leaf in both.items()}
  # Half of the stem's widths, and no blocks.
  small = dataclasses.replace(stem, stem=(4, 8), width=8, depth=0, num_heads=1, side_width=0)
  cases = ((stem, both), (dataclasses.replace(stem, side_width=0), both), (small, alone))
  found, first, second = (jax.jit(Classify(model, 3).features)(held, signal) for model, held in cases)
  assert (first.shape[1], second.shape[1]) == (3 * stem.width, 3 * 8)
  np.testing.assert_allclose(found, np.concatenate([first, second], axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('changes', [{}, {'patch_size': 4, 'stem': (8, 16)}])
def test_the_reconstruction_does_not_depend_on_hidden_patches(tiny, drawn, changes):
  tiny = dataclasses.replace(tiny, **changes)
  signal = _windows(3)
  visible, mask = _drawn_mask(jax.random.key(1), 3, tiny.tokens, tiny.hidden)
  model_variables = variables.nest(drawn(Reconstruct(tiny).init))
  noise = np.repeat(mask, tiny.patch_size, axis=1)[:, :, None] * _windows(3, seed=9)
  reconstruct = jax.jit(Autoencoder(tiny).apply)
  np.testing.assert_array_equal(
    reconstruct(model_variables, signal + noise, visible), reconstruct(model_variables, signal, visible)
  )


def test_the_loss_is_the_mean_over_hidden_patches_only():
  target = _normal(4, 8, 6)
  reconstructed = _normal(4, 8, 6, seed=1)
  _, mask = _drawn_mask(jax.random.key(2), 4, 8, 6)
  error = jax.jit(reconstruction_error)
  errors = error(reconstructed, target, mask)
  squares = np.square(np.asarray(reconstructed) - np.asarray(target))
  expected = [squares[window][np.asarray(mask)[window]].mean() for window in range(4)]
  np.testing.assert_allclose(errors, expected, rtol=1e-5)
  other = target + 100 * ~np.asarray(mask)[:, :, None]  # mask True: hidden
  np.testing.assert_array_equal(error(reconstructed, np.float32(other), mask), errors)


@pytest.mark.slow
def test_the_loss_trains_every_weight_of_the_autoencoder(tiny, drawn):
  # With one visible token, attention would have no gradient.
  objective = Reconstruct(dataclasses.replace(tiny, depth=2, mask_ratio=0.5))
  model_variables, batch = drawn(objective.init), {'signal': jnp.asarray(_windows(4))}
  gradient = jax.jit(
    jax.grad(lambda trainable: objective.losses(trainable, batch, jax.random.key(1), _TRAINING)[0].sum())
  )(model_variables)
  # Not the bias of keys: it cancels in the softmax, up to rounding.
  zero = [path for path, leaf in gradient.items() if not np.abs(leaf).max() > 0 and '/key/bias' not in path]
  assert zero == []


def test_modules_have_the_names_of_stored_pretrainings(tiny):
  names = {'/'.join(path.split('/')[1:3]) for path in initial_shapes(Reconstruct(tiny))}
  both = {f'{part}/{name}' for part in ('encoder', 'decoder') for name in ('block_0', 'norm', 'positions')}
  assert names == both | {'encoder/embed', 'encoder/mask_token', 'decoder/reconstruct'}


def test_with_two_streams_each_embedding_sees_one_sensor(tiny, drawn):
  model = dataclasses.replace(tiny, streams=2, invariant_features=False)
  model_variables = drawn(_init_encoder(model))

  def embedded(signal: jax.Array, name: str) -> jax.Array:
    _, captured = Encoder(model).apply(model_variables, signal, capture_intermediates=True)
    return jnp.sum(jnp.square(captured['intermediates'][name]['__call__'][0]))

  for name, sensor, other in (
    ('embed_acc', slice(0, 3), slice(3, 6)),
    ('embed_gyro', slice(3, 6), slice(0, 3)),
  ):
    gradient = jax.jit(jax.grad(embedded), static_argnums=1)(_windows(2), name)
    assert (np.asarray(gradient)[..., other] == 0).all()
    assert (np.asarray(gradient)[..., sensor] != 0).all()


def test_positions_distinguish_equal_patches(tiny, drawn):
  same = np.tile(_windows(2)[:, : tiny.patch_size], (1, tiny.tokens, 1))
  tokens, _ = jax.jit(Encoder(tiny).apply)(drawn(_init_encoder(tiny)), same)
  assert not np.allclose(*np.asarray(tokens)[:, :2].swapaxes(0, 1))


def test_the_logits_of_a_window_depend_on_that_window_only(tiny, drawn):
  model_variables = variables.nest(drawn(Classify(tiny, 3).init))
  gradient = jax.jit(jax.grad(lambda signal: Classifier(tiny, 3).apply(model_variables, signal)[0].sum()))(
    _windows(4)
  )
  assert (np.asarray(gradient)[1:] == 0).all()
  assert (np.asarray(gradient)[0] != 0).any()


def test_padding_changes_neither_statistics_nor_losses(tiny, drawn, batch):
  objective = Classify(dataclasses.replace(tiny, dropout=0.0), 3)
  model_variables, batch = drawn(objective.init), batch | {'weight': np.float32([1, 1, 1, 1, 0, 0])}
  losses_of = jax.jit(functools.partial(objective.losses, training=_TRAINING))
  losses, statistics = losses_of(model_variables, batch, jax.random.key(1))
  other = batch | {'signal': batch['signal'] * np.float32([1, 1, 1, 1, 50, 50])[:, None, None]}
  losses_other, statistics_other = losses_of(model_variables, other, jax.random.key(1))
  np.testing.assert_array_equal(np.asarray(losses)[:4], np.asarray(losses_other)[:4])
  alone = {name: value[:4] for name, value in batch.items()}
  losses_alone, statistics_alone = losses_of(model_variables, alone, jax.random.key(1))
  np.testing.assert_allclose(np.asarray(losses)[:4], losses_alone, rtol=1e-5)
  assert statistics.keys() == {f'batch_stats/head/norm_0/{name}' for name in ('mean', 'var')}
  for path, leaf in statistics.items():
    np.testing.assert_array_equal(leaf, statistics_other[path])
    np.testing.assert_allclose(leaf, statistics_alone[path], rtol=1e-5, atol=1e-7)
    assert not np.array_equal(leaf, model_variables[path])


def test_dropout_depends_on_the_key_and_is_off_in_prediction(tiny, drawn, batch):
  objective = Classify(tiny, 3)
  model_variables = drawn(objective.init)
  losses_of, predict = (
    jax.jit(functools.partial(objective.losses, training=_TRAINING)),
    jax.jit(objective.predict),
  )
  first, again, other = (losses_of(model_variables, batch, jax.random.key(seed))[0] for seed in (1, 1, 2))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)
  logits = [predict(model_variables, batch, jax.random.key(seed)) for seed in (1, 2)]
  np.testing.assert_array_equal(*logits)


def test_the_head_averages_statistics_with_momentum_09():
  head, features = Head((4,), 0.0, 2), _normal(6, 3)
  initial = head.init(jax.random.key(1), jnp.asarray(features), training=False)
  apply = jax.jit(functools.partial(head.apply, training=True, mutable=['batch_stats']))
  _, updated = apply(initial, features)
  dense = initial['params']['dense_0']
  batch_mean = np.asarray(features @ dense['kernel']).mean(axis=0)  # biases are zero
  statistics = updated['batch_stats']['norm_0']
  np.testing.assert_allclose(statistics['mean'], 0.1 * batch_mean, rtol=1e-4, atol=1e-6)  # from 0
  batch_variance = np.asarray(features @ dense['kernel']).var(axis=0)
  np.testing.assert_allclose(statistics['var'], 0.9 + 0.1 * batch_variance, rtol=1e-4)  # from 1


@pytest.mark.parametrize('pooling', ['mean', 'statistics'])
def test_the_heads_input_is_the_mean_over_tokens_or_also_maximum_and_deviation(tiny, drawn, pooling):
  model = dataclasses.replace(tiny, pooling=pooling)
  objective, signal = Classify(model, 3), _windows(2)
  held = drawn(objective.init)
  tokens, _ = jax.jit(Encoder(model).apply)({'params': variables.nest(held)['params']['encoder']}, signal)
  features = jax.jit(objective.features)(held, signal)
  mean, maximum, variance = (of(np.asarray(tokens), axis=1) for of in (np.mean, np.max, np.var))
  parts = [mean] if pooling == 'mean' else [mean, maximum, np.sqrt(variance + 1e-4)]
  np.testing.assert_allclose(features, np.concatenate(parts, axis=-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('pooling', ['mean', 'statistics'])
def test_a_head_drawn_alone_has_the_numbers_of_one_drawn_with_its_encoder(tiny, pooling):
  objective = Classify(dataclasses.replace(tiny, invariant_features=False, pooling=pooling), 3)
  whole, head = objective.init(jax.random.key(0)), objective.init_new(jax.random.key(0))
  assert head.keys() == {path for path in whole if '/head/' in path}
  for path, leaf in head.items():
    np.testing.assert_array_equal(leaf, whole[path])


def test_pooled_statistics_have_finite_gradients(tiny):
  # Not so by `jnp.max`, whose gradient divides by zero where XLA rounds a token in two ways.
  objective = Classify(dataclasses.replace(tiny, invariant_features=False, pooling='statistics'), 3)
  held = objective.init(jax.random.key(0))
  batch = {
    'signal': _windows(16),
    'label': np.arange(16, dtype=np.int32) % 3,
    'weight': np.ones(16, np.float32),
  }

  def loss(trained: variables.Variables, batch: dict) -> jax.Array:
    return objective.losses(held | trained, batch, jax.random.key(1), _TRAINING)[0].mean()

  params = {path: leaf for path, leaf in held.items() if path.startswith('params/')}
  gradient = jax.jit(jax.grad(loss))(params, batch)
  assert all(np.isfinite(leaf).all() for leaf in gradient.values())


def _counts(experiment: config.Experiment, classes: int, method: str) -> tuple[int, int]:
  """Trainable and total parameters, from shapes alone."""
  base = initial_shapes(Classify(experiment.model, classes))

  def split(base: variables.Variables) -> tuple[variables.Variables, variables.Variables]:
    prepared = prepare(lambda _: dict(base), METHODS[method], Settings.from_experiment(experiment), seed=0)
    return prepared.trainable, prepared.variables

  trainable, adapted = jax.eval_shape(split, base)
  base_count = variables.count({path: leaf for path, leaf in base.items() if path.startswith('params/')})
  lora_count = variables.count({path: leaf for path, leaf in adapted.items() if path.startswith('lora/')})
  return variables.count(trainable), base_count + lora_count


@pytest.mark.parametrize(
  ('preset', 'classes', 'method', 'trainable', 'total'),
  [
    ('paper', 9, 'full', 2_210_857, 2_210_857),  # Table III of the paper
    ('paper', 9, 'lora', 428_832, 2_636_105),
    ('paper', 9, 'qlora', 428_832, 2_636_105),
    # A stage of width w over c channels: down k·c·w + w, conv 3·w·w + w, shortcut c·w + w, two norms of
    # 2·w. Of 12 channels to 64 with k = 7: 18,880; then k = 5, to 96: 65,184, to 128: 123,776, to 128:
    # 148,352. With the projection 128·192 + 192, the stem has 380,960. Positions 8·192, mask token 192,
    # last norm 384: 2,112. Two blocks of four 192·192 + 192, up 192·576 + 576, down 576·192 + 192, two
    # norms of 384: 370,944 each. Head 3·192·128 + 128 + 256 + 128·6 + 6 = 74,886.
    ('base', 6, 'full', 1_199_846, 1_199_846),
    ('base', 6, 'probe', 74_886, 1_199_846),
    # Adapters of rank 32, a block: 4·32·(192 + 192) + 2·32·(192 + 576) = 98,304. A stage:
    # 32·((k·c + w) + (3·w + w) + (c + w)), that is 15,360 + 30,720 + 43,008 + 49,152, and 32·(128 + 192):
    # 148,480 for the stem.
    ('base', 6, 'lora', 419_974, 1_544_934),
    ('base', 6, 'qlora', 419_974, 1_544_934),
  ],
)
def test_a_preset_has_these_counts_of_parameters(preset, classes, method, trainable, total):
  assert _counts(config.PRESETS[preset](), classes, method) == (trainable, total)


def test_the_paper_decoder_mirrors_the_encoder():
  shapes = initial_shapes(Reconstruct(config.Experiment.paper().model))
  block = {path.split('/', 3)[3]: leaf.shape for path, leaf in shapes.items() if '/encoder/block_5/' in path}
  mirrored = {
    path.split('/', 3)[3]: leaf.shape for path, leaf in shapes.items() if '/decoder/block_5/' in path
  }
  assert block == mirrored != {}


def test_the_error_of_each_window_is_the_mean_over_its_own_hidden_patches():
  squares = jnp.array([[[1.0, 3], [5, 5], [9, 9]], [[2, 2], [4, 4], [6, 6]]])  # their roots are the errors
  mask = jnp.array([[True, False, False], [True, True, True]])
  errors = reconstruction_error(jnp.sqrt(squares), jnp.zeros_like(squares), mask)
  np.testing.assert_allclose(errors, [2, 4], rtol=1e-6)


@pytest.mark.parametrize(
  'changes', [{}, {'patch_size': 4, 'stem': (8, 16), 'side_width': 8}, {'head': (16, 8)}], ids=str
)
def test_products_with_all_kernels_are_in_the_precision_of_the_model(tiny, changes):
  model = dataclasses.replace(tiny, **changes)
  objective = Classify(model, 3, config.Precision(dtype='bfloat16'))
  held = initial_shapes(objective)
  signal = jax.ShapeDtypeStruct((2, model.window_samples, config.CHANNELS), np.float32)
  traced = jax.make_jaxpr(objective.predict)(held, {'signal': signal}, jax.random.key(0))
  of_half = [
    equation
    for equation in running.products(traced.jaxpr)
    if {operand.aval.dtype.name for operand in equation.invars} == {'bfloat16'}
  ]
  # Each kernel once, and two of each attention: with the keys, and with the values.
  assert len(of_half) == sum(path.endswith('/kernel') for path in held) + 2 * model.depth


def test_a_heads_input_has_three_statistics_of_the_tokens_of_either_encoder():
  model = config.Model(width=24, side_width=8, pooling='statistics')
  assert head_input_widths(model)[:2] == (72, 24)
  assert head_input_widths(dataclasses.replace(model, pooling='mean'))[:2] == (24, 8)
