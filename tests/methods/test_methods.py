"""Fine-tuning methods: what each adds, what moves, and what stays bit for bit."""

import dataclasses
import functools
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_method
import trained_paths

from har_jax import config, methods, variables
from har_jax.datasets.batches import Batch
from har_jax.errors import UserError
from har_jax.methods import unpack
from har_jax.train import optimizer
from har_jax.train.objective import Classify, initial_shapes
from har_jax.train.step import start, training_step
from har_jax.variables import Variables

Predict = Callable[[Variables, Batch], jax.Array]

_SETTINGS = methods.Settings(config.Lora(rank=4, alpha=8.0))
# No weight decay: it would move what the loss does not depend on.
_TRAINING = config.Training(learning_rate=0.01, encoder_learning_rate=0.01, weight_decay=0.0, warmup=0.0)
_STEPS = 3
# A classifier hides no patch, so the mask token has no gradient and, as no matrix, no decay.
_UNUSED = {'params/encoder/mask_token', 'params/side_encoder/mask_token'}
# What the softmax and the BatchNorm after them take out again: only rounding moves these, or nothing does.
_CANCELLED = re.compile(r'params/.*(/key/bias|/head/dense_0/bias)')


@dataclasses.dataclass(frozen=True)
class Run:
  """A method's variables before and after a few steps."""

  method: methods.Method
  before: Variables
  after: Variables
  trainable: frozenset[str]


@pytest.fixture(scope='module')
def with_one_block(objective) -> Classify:
  """What most methods train: a block more takes half the time more to compile."""
  return dataclasses.replace(objective, model=dataclasses.replace(objective.model, depth=1))


@pytest.fixture(scope='module')
def with_side(with_one_block) -> Classify:
  return dataclasses.replace(with_one_block, model=dataclasses.replace(with_one_block.model, side_width=8))


@pytest.fixture(scope='module')
def predict(objective, with_one_block, with_side) -> Predict:
  parts = {'/block_1/': objective, '/side_encoder/': with_side, 'params': with_one_block}
  jitted = {part: jax.jit(objective.predict) for part, objective in parts.items()}

  def predict(held: Variables, batch: Batch) -> jax.Array:
    part = next(part for part in parts if any(part in path for path in held))
    return jitted[part](held, batch, jax.random.key(0))

  return predict


@pytest.fixture(scope='module')
def run_of(objective, with_one_block, with_side, base, drawn, batch) -> Callable[[str], Run]:
  runs: dict[str, Run] = {}
  first = {path: leaf for path, leaf in base.items() if '/block_1/' not in path}

  def run(name: str) -> Run:
    if name not in runs:
      method = methods.METHODS[name]
      trained, plain = with_one_block, first
      if 'partial' in name:  # whose blocks differ
        trained, plain = objective, base
      elif method.side_width:
        trained, plain = with_side, drawn(with_side.init)
      prepared = methods.prepare(lambda _: dict(plain), method, _SETTINGS, 0)
      wrap = methods.Wrapped(method, _SETTINGS)
      transform = optimizer.build(_TRAINING, pretrained=True, wrap=wrap)
      state = start(prepared.trainable, prepared.statistics, transform)
      step = jax.jit(training_step(trained, _TRAINING, pretrained=True, wrap=wrap))
      for _ in range(_STEPS):
        state, _ = step(state, prepared.frozen, batch, jax.random.key(2), np.int32(2 * _STEPS))
      after = state.trainable | state.statistics | prepared.frozen
      runs[name] = Run(method, prepared.variables, after, frozenset(prepared.trainable))
    return runs[name]

  return run


@pytest.fixture
def method(method_name) -> methods.Method:
  return methods.METHODS[method_name]


def _adapt(name: str, base: Variables, settings: methods.Settings = _SETTINGS, seed: int = 1) -> Variables:
  return methods.METHODS[name].adapt(base, settings, jax.random.key(seed))


def test_every_trained_leaf_moves_and_no_other_does(run_of, method_name):
  run = run_of(method_name)
  moved = {path for path in run.before if not np.array_equal(run.before[path], run.after[path])}
  statistics = {path for path in run.before if path.startswith('batch_stats/')}
  expected = (trained_paths.select(method_name, run.before) | statistics) - _UNUSED
  assert {path for path in moved ^ expected if not _CANCELLED.fullmatch(path)} == set()
  assert moved <= expected
  assert run.before.keys() == run.after.keys()


def test_the_method_alone_decides_on_a_side_encoder(method_name):
  method, with_side = methods.METHODS[method_name], config.Model(side_width=8)
  assert method.model(with_side).side_width == (64 if method_name in ('side', 'qside') else 0)


@pytest.mark.parametrize('name', [*methods.METHODS, toy_method.NAME])
def test_each_method_trains_the_paths_of_the_table(objective, name):
  with toy_method.installed():
    method = methods.METHODS[name]
    model = dataclasses.replace(objective.model, side_width=method.side_width)
    plain = initial_shapes(dataclasses.replace(objective, model=model))
    prepared = jax.eval_shape(
      lambda drawn: dataclasses.asdict(methods.prepare(lambda _: drawn, method, _SETTINGS, 0)), plain
    )
  expected = trained_paths.select(name, [path for part in prepared.values() for path in part])
  assert prepared['trainable'].keys() == expected
  in_head = {path for path in expected if path.startswith('params/head/')}
  assert (len(in_head), len(expected - in_head)) == (6, trained_paths.count(name))


def test_settings_of_an_experiment_have_its_depth_and_parts():
  parts = {'lora': config.Lora(rank=3), 'methods': config.Methods(vera_rank=7)}
  usual = config.Experiment()
  experiment = dataclasses.replace(usual, model=dataclasses.replace(usual.model, depth=5), **parts)
  assert methods.Settings.from_experiment(experiment) == methods.Settings(**parts, depth=5)


def test_at_the_papers_targets_the_head_trains_adapters_and_norms_alone(base):
  settings = methods.Settings(config.Lora(targets=('up', 'head')))
  adapted = _adapt('lora', base, settings)
  trained = {path for path in adapted if methods.METHODS['lora'].trains(path, settings) and '/head/' in path}
  assert trained == {
    *(f'lora/head/dense_{i}/{leaf}' for i in (0, 1) for leaf in 'ab'),
    *(f'params/head/norm_0/{leaf}' for leaf in ('scale', 'bias')),
  }


def test_the_optimizer_holds_no_state_of_frozen_leaves(run_of, method_name):
  run = run_of(method_name)
  trainable = {path: run.before[path] for path in run.trainable}
  state = optimizer.build(_TRAINING, pretrained=True).init(trainable)
  held = sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.ndim)
  assert held <= 2 * variables.count(trainable)  # AdamW's two moments
  matrices = sum(leaf.size for leaf in trainable.values() if leaf.ndim == 2)
  assert held >= 2 * matrices


def test_at_its_start_lora_gives_the_pretrained_output_bit_for_bit(predict, base, batch):
  np.testing.assert_array_equal(predict(_adapt('lora', base), batch), predict(base, batch))


def test_merged_predicts_what_unmerged_predicts(run_of, predict, batch, method_name):
  run = run_of(method_name)
  if run.method.unmerged:
    with pytest.raises(UserError, match=f'{method_name} cannot be merged.*: {run.method.unmerged}'):
      methods.merge(run.method, run.after)
    return
  merged = methods.merge(run.method, run.after)
  assert {variables.collection(path) for path in merged} == {'params', 'batch_stats'}
  found, expected = (predict(held, batch) for held in (merged, run.after))
  # x W + s (x A) B and x (W + s A B) differ by float32 rounding: some 50 rounded sums over up to 192 terms,
  # one after the other, on values of order one: 50 · √192 · 2⁻²⁴ ≈ 4e-5 of the largest logit.
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
  assert not np.allclose(found, predict(methods.merge(run.method, run.before), batch), atol=1e-2)


@pytest.mark.parametrize('name', ['lora', 'qlora'])
def test_a_merged_kernel_is_the_kernel_plus_the_scaled_product(run_of, name):
  run = run_of(name)
  merged, unpacked = methods.merge(run.method, run.after), unpack(run.after)
  for path, b in run.after.items():
    if path.startswith('lora/') and path.endswith('/b'):
      module = path.split('/', 1)[1].rsplit('/', 1)[0]
      change = np.asarray(run.after[f'lora/{module}/a'], np.float64) @ np.asarray(b, np.float64) * 8 / 4
      kernel = unpacked[f'params/{module}/kernel'] + change
      np.testing.assert_allclose(merged[f'params/{module}/kernel'], kernel, rtol=0, atol=1e-6)


def test_prepared_parts_are_disjoint_and_owned(base, method, method_name):
  prepared = methods.prepare(lambda _: dict(base), method, _SETTINGS, 0)
  parts = (prepared.trainable, prepared.statistics, prepared.frozen)
  assert sum(map(len, parts)) == len(prepared.variables)
  held = {variables.collection(path) for path in prepared.variables}
  assert held == {*methods.MODEL_COLLECTIONS, *method.collections}
  trains = [
    {path.replace(block, ''): path in prepared.trainable for path in prepared.variables if block in path}
    for block in ('/block_0/', '/block_1/')
  ]
  assert all(trains)
  assert (trains[0] == trains[1]) is ('partial' not in method_name)


def test_pretrained_weights_and_head_replace_drawn_ones(base, method):
  drawn = jax.tree.map(jnp.zeros_like, base)
  encoder = {path: leaf for path, leaf in base.items() if path.startswith('params/encoder/')}
  bias = 'params/head/dense_0/bias'
  replaced = {'pretrained': encoder, 'head': lambda drawn: {bias: drawn[bias] + 7}}
  prepared = methods.prepare(lambda _: drawn, method, _SETTINGS, 0, **replaced)
  kernel = 'params/encoder/embed/kernel'
  assert np.array_equal(prepared.variables[kernel], base[kernel]) is method.pretrained
  takes_head = method.name not in ('scratch', 'linear', 'qlinear', 'side', 'qside')
  assert bool(np.all(prepared.variables[bias] == 7)) is takes_head


def test_a_head_is_arranged_by_the_names_of_its_classes_in_its_last_layer():
  last, hidden = 'params/head/dense_10/bias', 'params/head/dense_2/bias'
  drawn = {last: np.array([-1.0, -2, -3, -4]), hidden: np.zeros(1)}
  head = {last: np.array([1.0, 2, 3]), hidden: np.array([5.0])}
  classes = ['cycling', 'new', 'walking', 'lying']
  arranged = methods.arrange_head(head, drawn, ['walking', 'lying', 'Cycling'], classes)
  assert (arranged[last].tolist(), arranged[hidden].tolist()) == ([3, -2, 1, 2], [5])


def test_vera_has_a_pair_for_the_encoder_and_one_for_the_head(objective, base):
  adapted = _adapt('vera', base, methods.Settings(config.Lora(targets=('up', 'head'))))
  module = 'head/dense_0'
  gain = np.arange(adapted[f'vera/{module}/b'].size)
  adapted[f'vera/{module}/b'] = jnp.asarray(gain, jnp.float32)
  merged = methods.merge(methods.METHODS['vera'], adapted)
  a, b = (np.asarray(adapted[f'vera_shared/head/{leaf}']) for leaf in 'ab')
  kernel = np.asarray(base[f'params/{module}/kernel'])
  added = 0.1 * a[: len(kernel)] @ b[:, : len(gain)] * gain
  np.testing.assert_allclose(merged[f'params/{module}/kernel'], kernel + added, atol=1e-4)
  features = jnp.asarray(np.random.default_rng(0).standard_normal((2, len(kernel))), jnp.float32)
  unmerged, plain = (objective.classify(held, features) for held in (adapted, merged))
  np.testing.assert_allclose(unmerged, plain, rtol=1e-4, atol=1e-4)
  assert set(methods.METHODS['qvera'].rebuilt) == {'vera_shared', 'nf4'}


def test_a_block_has_as_many_prompts_as_the_settings_say(base):
  settings = methods.Settings(methods=config.Methods(prompt_tokens=3, adapter_width=5))
  assert _adapt('prompt', base, settings)['prompt/encoder/block_0/tokens'].shape == (1, 3, 24)


def test_a_collection_without_an_owner_is_an_error(base, method, method_name):
  def adapt(held: Variables, settings: methods.Settings, key: jax.Array) -> Variables:
    return method.adapt(held, settings, key) | {'stray/encoder/value': jnp.ones(())}

  with pytest.raises(UserError, match=f'{method_name} does not own the collection stray'):
    methods.prepare(lambda _: dict(base), dataclasses.replace(method, adapt=adapt), _SETTINGS, 0)
  with pytest.raises(UserError, match='does not own the collection stray'):
    methods.merge(method, base | {'stray/encoder/value': jnp.ones(())})


def test_a_merge_that_leaves_a_collection_is_an_error(base):
  lora = dataclasses.replace(methods.METHODS['lora'], merge=dict)
  with pytest.raises(UserError, match='leaves the collection lora, lora_scale'):
    methods.merge(lora, _adapt('lora', base))


def test_a_target_stands_for_the_modules_of_both_streams(tiny, drawn):
  objective = Classify(dataclasses.replace(tiny, streams=2, invariant_features=False), 3)
  adapted = _adapt('lora', drawn(objective.init))
  assert {'lora/encoder/embed_acc/a', 'lora/encoder/embed_gyro/a'} <= adapted.keys()


def test_qlora_is_lora_on_the_dequantized_kernels(predict, base, batch):
  qlora = _adapt('qlora', base)
  lora = _adapt('lora', unpack(qlora))
  assert lora.keys() == unpack(qlora).keys()
  found, expected = (predict(held, batch) for held in (qlora, lora))
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
  assert not np.array_equal(found, predict(base, batch))


@pytest.mark.parametrize('name', ['lora', 'qlora'])
@pytest.mark.parametrize('target', ['qurey', 'kernel', 'params', ''])
def test_a_target_that_matches_nothing_lists_the_modules(base, name, target):
  with pytest.raises(UserError) as caught:
    _adapt(name, base, methods.Settings(config.Lora(targets=('query', target))))
  assert repr(target) in str(caught.value)
  for module in ('query', 'output', 'up', 'embed', 'head'):
    assert module in str(caught.value)


def test_a_pair_starts_as_its_source_says(base):
  adapted = _adapt('lora', base)
  a, b = (adapted[f'lora/encoder/block_0/up/{leaf}'] for leaf in 'ab')
  assert (a.shape, b.shape) == ((24, 4), (4, 48))
  assert not b.any()
  assert 0.8 * 24**-0.5 < jnp.abs(a).max() <= 24**-0.5
  assert not np.array_equal(a, _adapt('lora', base, seed=2)['lora/encoder/block_0/up/a'])


def test_adapting_leaves_its_argument_unchanged(base, method_name):
  before = {path: np.asarray(leaf) for path, leaf in base.items()}
  _adapt(method_name, base)
  assert base.keys() == before.keys()
  assert all(np.array_equal(before[path], base[path]) for path in before)


@functools.cache
def _at_full_size(preset: str) -> tuple[Classify, dict[str, jax.ShapeDtypeStruct]]:
  """A preset's objective, and the shapes of its variables: to trace `init` takes as long as a step."""
  model = dataclasses.replace(config.PRESETS[preset]().model, depth=1)  # blocks differ in their names only
  objective = Classify(model, 6)
  return objective, initial_shapes(objective)


@pytest.mark.slow
def test_a_full_step_is_traced_at_full_size(method):
  _trace_step('base', method)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['full', 'lora', 'qlora'])  # others as on the tiny model: neither has a stem
def test_a_full_step_is_traced_at_the_papers_size(name):
  _trace_step('paper', methods.METHODS[name])


def _trace_step(preset: str, method: methods.Method) -> None:
  experiment = config.PRESETS[preset]()
  # Augmentation depends on no method, and takes as long to trace as the rest.
  training = experiment.finetune if method.name == 'full' else config.Training()
  objective, drawn = _at_full_size(preset)
  count = training.batch

  def full_step(drawn: Variables, key: jax.Array, batch: Batch) -> tuple[Variables, Variables]:
    prepared = methods.prepare(lambda _: drawn, method, methods.Settings.from_experiment(experiment), 0)
    state = start(prepared.trainable, prepared.statistics, optimizer.build(training, pretrained=True))
    step = training_step(objective, training, pretrained=True)
    after, _ = step(state, prepared.frozen, batch, key, jnp.int32(100))
    return prepared.variables, after.trainable | after.statistics | prepared.frozen

  batch = {
    'signal': jax.ShapeDtypeStruct((count, config.Windowing.samples, config.CHANNELS), jnp.float32),
    'origin': jax.ShapeDtypeStruct((count, 2), jnp.float32),
    'label': jax.ShapeDtypeStruct((count,), jnp.int32),
    'weight': jax.ShapeDtypeStruct((count,), jnp.float32),
  }
  before, after = jax.eval_shape(full_step, drawn, jax.random.key(0), batch)
  assert variables.difference(before, after) == ''
