"""Where LoRA's pairs start, their rates, and what AdaLoRA prunes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trained_paths

from har_jax import config, methods, records
from har_jax.errors import UserError
from har_jax.methods import adalora, initial_pairs, packing
from har_jax.train import optimizer
from har_jax.train.objective import Classify
from har_jax.variables import Variables, modules_with

_UP = 'encoder/block_0/up'


@pytest.fixture(scope='module')
def base(tiny, drawn) -> Variables:
  return drawn(Classify(tiny, 3).init)


def _adapted(base: Variables, name: str, **lora: Any) -> Variables:
  settings = methods.Settings(config.Lora(rank=4, alpha=8.0, targets=('up', 'down'), **lora))
  return methods.METHODS[name].adapt(base, settings, jax.random.key(0))


def _pair(adapted: Variables) -> np.ndarray:
  a, b, scale = (adapted[path] for path in (f'lora/{_UP}/a', f'lora/{_UP}/b', f'lora_scale/{_UP}/value'))
  return np.asarray(scale * (a @ b))


def _start_error(base: Variables, name: str, start: str) -> float:
  """The distance of the kernel, merged before the first step, from that of the base."""
  merged = methods.merge(methods.METHODS[name], _adapted(base, name, start=start))
  return float(np.linalg.norm(merged[f'params/{_UP}/kernel'] - base[f'params/{_UP}/kernel']))


def _optimizer(
  base: Variables, name: str, training: config.Training, lora: config.Lora
) -> tuple[Variables, optimizer.Wrap]:
  """What the method trains of the base, and its optimizer."""
  method, settings = methods.METHODS[name], methods.Settings(lora)
  wrap = methods.Wrapped(method, settings)
  trainable = methods.prepare(lambda _: dict(base), method, settings, 0).trainable
  return trainable, optimizer.build(training, pretrained=True, wrap=wrap)


@pytest.mark.parametrize(('scaling', 'scale', 'alpha'), [('rank', 2, 16), ('root', 4, 8 * 2**0.5)])
def test_pairs_at_singular_values_are_pairs_of_twice_the_rank_for_the_kernels_of_the_base(
  base, scaling, scale, alpha
):
  lora = config.Lora(rank=4, alpha=8.0, targets=('up', 'down'), start='pissa', scaling=scaling)
  settings = methods.Settings(lora)
  adapted = methods.METHODS['lora'].adapt(base, settings, jax.random.key(0))
  trained = {path: leaf + 0.1 for path, leaf in adapted.items() if path.startswith('lora/')}
  plain, changed = initial_pairs.plain_start(base, trained, settings)
  assert (plain.rank, plain.alpha, plain.start) == (8, pytest.approx(alpha), 'zero')
  for module in (_UP, 'encoder/block_0/down'):
    kernel, a, b = f'params/{module}/kernel', f'lora/{module}/a', f'lora/{module}/b'
    merged = adapted[kernel] + scale * trained[a] @ trained[b]
    np.testing.assert_allclose(base[kernel] + scale * changed[a] @ changed[b], merged, atol=1e-5)


def test_pissa_starts_at_the_closest_product_of_its_rank(base):
  adapted = _adapted(base, 'lora', start='pissa')
  kernel = np.asarray(base[f'params/{_UP}/kernel'])
  rest = np.asarray(adapted[f'params/{_UP}/kernel'])
  np.testing.assert_allclose(rest + _pair(adapted), kernel, atol=1e-6)
  values = np.linalg.svd(kernel, compute_uv=False)
  assert np.linalg.norm(rest) == pytest.approx(np.linalg.norm(values[4:]), rel=1e-5)
  assert _start_error(base, 'lora', 'pissa') < 1e-5


def test_loftq_starts_closer_to_the_base_than_four_bits_alone(base):
  errors = {start: _start_error(base, 'qlora', start) for start in ('zero', 'pissa', 'loftq')}
  assert errors['loftq'] < 0.8 * errors['zero']
  assert errors['pissa'] < errors['zero']
  with pytest.raises(UserError, match='loftq needs kernels in four bits'):
    _adapted(base, 'lora', start='loftq')


@pytest.mark.parametrize('double', [False, True])
def test_loftq_rounds_kernels_as_they_are_packed(base, monkeypatch, double):
  doubled, rounded = [], packing.rounded
  monkeypatch.setattr(
    packing, 'rounded', lambda kernel, *, double: doubled.append(double) or rounded(kernel, double=double)
  )
  lora, precision = config.Lora(rank=4, start='loftq'), config.Precision(nf4_double=double)
  path = f'params/{_UP}/kernel'
  settings = methods.Settings(lora, precision, four_bits=True)
  initial_pairs.start(base[path], path, settings, jax.random.key(0))
  assert set(doubled) == {double}


def test_more_iterations_of_loftq_start_closer(base, monkeypatch):
  five = _start_error(base, 'qlora', 'loftq')
  monkeypatch.setattr('har_jax.methods.initial_pairs._LOFTQ_ITERATIONS', 1)
  assert five < _start_error(base, 'qlora', 'loftq')


@pytest.mark.parametrize(
  ('name', 'scaling', 'scale'), [('adalora', 'rank', 8 / 4), ('lora', 'rank', 8 / 4), ('lora', 'root', 8 / 2)]
)
def test_pairs_are_scaled_by_alpha_over_the_rank_or_its_root(base, name, scaling, scale):
  assert _adapted(base, name, scaling=scaling)[f'{name}_scale/{_UP}/value'] == scale


def test_veras_shared_pair_is_uniform_within_kaimings_bound(base):
  a = np.asarray(_adapted(base, 'vera')['vera_shared/encoder/a'])
  bound = (6 / len(a)) ** 0.5
  assert 0.95 * bound < a.max() <= bound
  assert -bound <= a.min() < -0.95 * bound
  assert a.std() == pytest.approx(bound / 3**0.5, rel=0.05)  # of a uniform distribution


def test_dora_scales_the_columns_of_its_targets_alone(base):
  scaled = modules_with(_adapted(base, 'dora'), 'dora', 'magnitude')
  assert sorted(scaled) == [f'encoder/block_{i}/{name}' for i in (0, 1) for name in ('down', 'up')]


@pytest.mark.parametrize(
  ('name', 'leaf'), [('prompt', 'tokens'), ('adapter', 'down/down'), ('lora', 'up/a'), ('adalora', 'up/b')]
)
def test_each_block_draws_leaves_of_its_own(base, name, leaf):
  adapted = _adapted(base, name)
  assert not np.array_equal(*(adapted[f'{name}/encoder/block_{block}/{leaf}'] for block in (0, 1)))


def test_adalora_draws_both_sides_of_a_pair_apart(base):
  settings = methods.Settings(config.Lora(rank=4, alpha=8.0, targets=('query',)))  # square kernels
  adapted = methods.METHODS['adalora'].adapt(base, settings, jax.random.key(0))
  a, b = (adapted[f'adalora/encoder/block_0/attention/query/{leaf}'] for leaf in 'ab')
  assert np.abs(np.asarray(a) - np.asarray(b).T).max() > 0.1


def test_a_rank_beyond_the_kernels_own_is_filled(base):
  settings = methods.Settings(config.Lora(rank=60, alpha=8.0, targets=('query',), start='pissa'))
  adapted = methods.METHODS['lora'].adapt(base, settings, jax.random.key(0))
  assert adapted['lora/encoder/block_0/attention/query/a'].shape == (24, 60)
  assert not np.asarray(adapted['lora/encoder/block_0/attention/query/b'])[24:].any()
  np.testing.assert_allclose(adapted['params/encoder/block_0/attention/query/kernel'], 0, atol=1e-6)


def test_kernels_that_train_are_not_packed(base):
  settings = methods.Settings(depth=2)
  packed = methods.METHODS['qpartial'].adapt(base, settings, jax.random.key(0))
  kernels = {path for path in packed if packing.is_packed(path)}
  assert kernels == {path for path in base if packing.is_packed(path) and '/block_1/' in path} != set()


def test_adalora_keeps_the_most_important_entries_of_all_layers(base):
  lora = config.Lora(rank=4, alpha=8.0, targets=('up', 'down'))
  trainable, transform = _optimizer(base, 'adalora', config.Training(learning_rate=0.01, warmup=0.0), lora)
  rng = np.random.default_rng(0)
  # The gradients of the first block are the larger, so its entries matter more.
  gradients = {
    path: jnp.asarray((10.0 if 'block_0' in path else 1.0) * rng.standard_normal(leaf.shape), jnp.float32)
    for path, leaf in trainable.items()
  }

  @jax.jit
  def step(params: Any, state: Any, index: jax.Array) -> tuple[Any, Any]:
    updates, state = transform.update(gradients, state, params, step=index, total_steps=jnp.int32(20))
    return {path: leaf + updates[path] for path, leaf in params.items()}, state

  state = transform.init(trainable)
  buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state)]
  assert len(set(buffers)) == len(buffers)  # or the step could not donate them
  params, first = step(trainable, state, jnp.int32(0))
  state = first
  for index in range(1, 20):
    params, state = step(params, state, jnp.int32(index))
  for path, leaf in first.sensitivity.items():
    product = np.abs(trainable[path] * gradients[path])
    np.testing.assert_allclose(leaf, 0.15 * product, rtol=1e-4)
    np.testing.assert_allclose(first.uncertainty[path], 0.15 * 0.85 * product, rtol=1e-4)
  kept = {path: int((np.asarray(leaf) != 0).sum()) for path, leaf in params.items() if path.endswith('/e')}
  assert sum(kept.values()) == 4 * len(kept)  # of six at the start
  assert max(kept.values()) > 4
  assert sum(n for path, n in kept.items() if 'block_0' in path) > sum(
    n for path, n in kept.items() if 'block_1' in path
  )


def test_adalora_prunes_from_a_tenth_to_six_tenths_of_the_steps():
  fractions = [float(adalora._fraction(jnp.float32(progress), 0.5)) for progress in (0, 0.1, 0.35, 0.6, 1)]
  assert fractions == pytest.approx([1, 1, 0.5 + 0.5 / 8, 0.5, 0.5])  # a cubic


def test_adaloras_penalty_keeps_columns_orthonormal():
  leaf = jax.random.normal(jax.random.key(0), (5, 3))

  def penalty(a: jax.Array) -> jax.Array:
    return 0.1 * jnp.sum((a.T @ a - jnp.eye(3)) ** 2)

  found = adalora._penalty_gradient('adalora/encoder/x/a', leaf)
  np.testing.assert_allclose(found, jax.grad(penalty)(leaf), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(adalora._penalty_gradient('adalora/encoder/x/b', leaf.T), found.T, rtol=1e-6)


def test_settings_follow_from_an_adapters_card(base):
  lora = dataclasses.replace(config.Lora(), start='pissa', scaling='root', rate_ratio=4.0)
  settings = methods.Settings(lora, methods=config.Methods(vera_rank=8))
  from har_jax.files.adapter import Adapter, method_entries

  model = config.Model()
  entries = method_entries('lora', settings, model) | {
    'classes': ['sitting', 'walking'],
    'normalizer': {'mean': [0.0, 0.0], 'deviation': [1.0, 1.0]},
  }
  card = records.check(entries, records.Adapter, 'the card', to_do='give others')
  assert Adapter({}, card).settings == dataclasses.replace(settings, depth=model.depth)


@pytest.mark.parametrize('name', [name for name, method in methods.METHODS.items() if method.pairs])
def test_the_second_matrix_of_lora_plus_has_a_rate_of_its_own(base, name):
  training = config.Training(learning_rate=0.01, warmup=0.0)
  trainable, transform = _optimizer(base, name, training, config.Lora(rank=4, alpha=8.0, rate_ratio=8.0))
  gradients = jax.tree.map(jnp.ones_like, trainable)
  at = {'step': jnp.int32(0), 'total_steps': jnp.int32(10**6)}
  update = jax.jit(transform.update)  # one program, not a hundred
  updates, _ = update(gradients, jax.jit(transform.init)(trainable), trainable, **at)
  pair = f'{methods.METHODS[name].pairs}/{_UP}'
  # Adam's first step is the rate; b is zero.
  assert float(updates[f'{pair}/b'].min()) == pytest.approx(8 * -training.learning_rate, rel=1e-4)
  if f'{pair}/a' in trainable:  # and a decays a little
    assert float(updates[f'{pair}/a'].min()) == pytest.approx(-training.learning_rate, rel=1e-2)


@pytest.mark.parametrize('name', methods.METHODS)
def test_a_method_with_loras_pairs_names_their_collection(base, name):
  settings = methods.Settings(config.Lora(rank=4), depth=2)
  shapes = jax.eval_shape(lambda: methods.METHODS[name].adapt(base, settings, jax.random.key(0)))
  adds = {
    of for of in methods.METHODS[name].collections if {f'{of}/{_UP}/{leaf}' for leaf in 'ab'} <= shapes.keys()
  }
  assert {of for of in adds if f'{of}/{_UP}/e' not in shapes} == {methods.METHODS[name].pairs} - {''}


@pytest.mark.slow
def test_every_method_over_four_bits_packs_what_it_does_not_train(tiny):
  objective = Classify(tiny, 3)
  for name, method in methods.METHODS.items():
    if 'nf4' in method.collections:
      settings = methods.Settings(config.Lora(rank=4), depth=tiny.depth)
      shapes = jax.eval_shape(
        lambda method=method, settings=settings: (
          methods.prepare(objective.init, method, settings, 0).variables
        )
      )
      kernels = {path for path in shapes if packing.is_packed(path)}
      assert kernels == trained_paths.select(name, kernels), name
      assert any(path.startswith('nf4/') for path in shapes), name


def _leaves(base: Variables, name: str, end: str) -> np.ndarray:
  """All numbers of the leaves that a method adds whose paths have this end."""
  adapted = _adapted(base, name).items()
  return np.concatenate(
    [np.ravel(leaf) for path, leaf in adapted if path.startswith(f'{name}/') and path.endswith(end)]
  )


def test_the_first_layer_of_an_adapter_is_normal_up_to_two_deviations(base):
  drawn = _leaves(base, 'adapter', '/down') / 0.01
  assert len(drawn) > 500
  assert -2 <= drawn.min() < -1.9
  assert 1.9 < drawn.max() <= 2
  assert drawn.std() == pytest.approx(0.88, abs=0.06)  # of a normal number between -2 and 2


def test_tokens_of_prompts_are_as_small_as_positions(base):
  tokens = _leaves(base, 'prompt', '')
  assert tokens.std() == pytest.approx(0.02, rel=0.15)
  assert abs(tokens.mean()) < 0.005


def test_the_shared_pair_of_vera_is_as_large_as_the_largest_layer(base):
  adapted = _adapted(base, 'vera')  # of layers with 24 inputs and 48 outputs, and the reverse
  rank = config.Methods().vera_rank
  assert adapted['vera_shared/encoder/a'].shape == (48, rank)
  assert adapted['vera_shared/encoder/b'].shape == (rank, 48)


def test_adapters_are_drawn_by_another_key_than_heads(base):
  method, settings = methods.METHODS['lora'], methods.Settings(config.Lora(rank=4, targets=('up',)))
  prepared = methods.prepare(lambda _: dict(base), method, settings, 3)
  _, adapter_key = jax.random.split(jax.random.key(3))
  expected = method.adapt(dict(base), settings, adapter_key)[f'lora/{_UP}/a']
  np.testing.assert_array_equal(prepared.trainable[f'lora/{_UP}/a'], expected)


def test_adaloras_score_of_an_entry_has_the_means_of_its_column_and_row():
  pair = {'a': np.array([[2.0, 4], [4, 8]]), 'e': np.array([1.0, 2]), 'b': np.array([[1.0, 3, 5], [2, 2, 2]])}
  scores = adalora._scores({f'adalora/up/{name}': leaf for name, leaf in pair.items()})
  np.testing.assert_allclose(scores['adalora/up/e'], [1 + 3 + 3, 2 + 6 + 2])


def test_adalora_scores_entries_by_sensitivity_times_uncertainty(base, monkeypatch):
  lora = config.Lora(rank=2, targets=('up',))
  trainable, transform = _optimizer(base, 'adalora', config.Training(), lora)
  scored, scores = [], adalora._scores
  monkeypatch.setattr(adalora, '_scores', lambda importance: scored.append(importance) or scores(importance))
  gradients = {
    path: jnp.cos(jnp.arange(leaf.size, dtype=jnp.float32)).reshape(leaf.shape)
    for path, leaf in trainable.items()
  }
  _, state = transform.update(
    gradients, transform.init(trainable), trainable, step=jnp.int32(0), total_steps=jnp.int32(20)
  )
  for path, leaf in scored[0].items():
    np.testing.assert_allclose(leaf, state.sensitivity[path] * state.uncertainty[path], rtol=1e-6)
