"""The PyTorch models compute what ours compute from the same variables."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from har_jax import config, variables
from har_jax.errors import UserError
from har_jax.model import Autoencoder, Classifier, draw_mask, reconstruction_error, reconstruction_target
from launch.bench import running

torch = pytest.importorskip('torch')
baseline: Any = pytest.importorskip('launch.bench.pytorch_baseline')
models: Any = pytest.importorskip('launch.bench.pytorch_models')

_SIGNAL = jnp.asarray(
  np.random.default_rng(0).standard_normal((5, config.Windowing.samples, config.CHANNELS), np.float32)
)
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}


def _name(path: str) -> str:
  """Our path as PyTorch's name: params/encoder/block_1/attention/query/kernel → blocks.1.query.weight."""
  *modules, leaf = path.split('/')[1:]
  decoder = 'decoder' in modules
  parts = [part for part in modules if part not in ('encoder', 'decoder', 'attention')]
  if modules[0] == 'head':  # layers of dense, norm, ReLU and dropout
    kind, number = modules[1].split('_')
    return f'head.{4 * int(number) + (kind == "norm")}.{_LEAVES[leaf]}'
  if parts and parts[0].startswith('block_'):
    blocks = 'decoder_blocks' if decoder else 'blocks'
    return '.'.join([blocks, parts[0].removeprefix('block_'), *parts[1:], _LEAVES[leaf]])
  names = [
    f'decoder_{part}' if decoder and part in ('norm', 'positions') else part for part in [*parts, leaf]
  ]
  return '.'.join([*names[:-1], _LEAVES.get(names[-1], f'decoder_{leaf}' if decoder else leaf)])


def _with_ours(model: Any, ours: variables.Variables) -> Any:
  """The PyTorch model with all of our variables, and no others."""
  ours_by_name = {_name(path): (path, np.asarray(value)) for path, value in ours.items()}
  theirs = {name for name in model.state_dict() if not name.endswith('num_batches_tracked')}
  if 'mask_token' not in theirs:  # a classifier does not use it
    ours_by_name.pop('mask_token', None)
  assert set(ours_by_name) == theirs
  shapes = {name: leaf.shape for name, leaf in model.state_dict().items()}
  state = {
    name: torch.tensor(_weight(value, shapes[name]) if path.endswith('/kernel') else value)
    for name, (path, value) in ours_by_name.items()
  }
  model.load_state_dict(state, strict=False)
  return model.eval()


def _weight(kernel, shape):
  """A weight [o, i], or that of a convolution, [o, channels, 1, size]."""
  if len(shape) == 2:
    return kernel.T
  outputs, channels, _, size = shape
  return kernel.reshape(size, channels, outputs).transpose(2, 1, 0)[:, :, None]


@pytest.fixture(params=['embedding', 'stem'])
def model(request, tiny):
  if request.param == 'embedding':
    return tiny
  return dataclasses.replace(tiny, stem=(8, 8, 16, 16, 16), invariant_features=False, pooling='statistics')


def test_the_classifier_computes_our_logits(model, drawn):
  our_model = Classifier(model, running.CLASSES)
  ours = drawn(lambda key: variables.flatten(our_model.init(key, _SIGNAL)))
  theirs = _with_ours(models.Classifier(model), ours)
  with torch.inference_mode():
    logits = theirs(torch.tensor(np.asarray(_SIGNAL))).numpy()
  np.testing.assert_allclose(logits, our_model.apply(variables.nest(ours), _SIGNAL), rtol=1e-4, atol=1e-4)


def test_the_autoencoder_computes_our_error(model, drawn):
  visible, mask = draw_mask(jax.random.key(3), len(_SIGNAL), model.tokens, model.hidden)
  our_model = Autoencoder(model)
  ours = drawn(lambda key: variables.flatten(our_model.init(key, _SIGNAL, visible)))
  theirs = _with_ours(models.Autoencoder(model), ours)
  reconstructed: Any = our_model.apply(variables.nest(ours), _SIGNAL, visible)
  expected = reconstruction_error(reconstructed, reconstruction_target(_SIGNAL, model), mask).mean()
  with torch.inference_mode():
    error = theirs.error(torch.tensor(np.asarray(_SIGNAL)), torch.tensor(np.asarray(visible)).long())
  assert float(error) == pytest.approx(float(expected), rel=1e-5)


def test_the_autoencoder_draws_masks_and_has_gradients(tiny):
  torch.manual_seed(0)
  model = models.Autoencoder(tiny)
  errors = [model(torch.tensor(np.asarray(_SIGNAL))) for _ in range(2)]
  assert float(errors[0].detach()) != float(errors[1].detach())
  errors[0].backward()
  assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.fixture
def experiment(tiny) -> config.Experiment:
  return config.Experiment(protocol=config.Protocol(), model=tiny, finetune=config.Training())


@pytest.mark.parametrize('kind', ['full', 'pretraining', 'inference', 'epoch'])
def test_a_call_makes_as_many_steps_as_requested(experiment, kind, monkeypatch):
  monkeypatch.setattr(running, 'EPOCH_WINDOWS', 11)
  seen: list[int] = []
  if kind == 'epoch':
    pytest.importorskip('peft')

  def compiled(model: Any, **_: Any) -> Any:
    """Records batch sizes and does not compile, which would take a minute."""

    def forward(signal: Any) -> Any:
      seen.append(len(signal))
      return model(signal)

    return forward

  monkeypatch.setattr(torch, 'compile', compiled)
  calls = baseline.variants(experiment, kind, 4, 3)
  names = ['PyTorch', 'PyTorch, compiled']
  assert list(calls) == [f'{name}{dtype}' for name in names for dtype in ('', ', bfloat16')]
  for name, call in calls.items():
    seen.clear()
    call()
    if 'compiled' in name:
      assert seen == ([4, 4, 3] if kind == 'epoch' else [4, 4, 4])


def test_a_missing_compiler_is_an_error(experiment):
  from torch._inductor import config as inductor

  torch.compiler.reset()
  with (
    inductor.patch({'cpp.cxx': ('no-such-compiler',), 'fx_graph_cache': False}),
    pytest.raises(UserError, match=r'(?s)PyTorch, compiled .*C\+\+'),
  ):
    baseline.variants(experiment, 'inference', 2, 1)


def test_models_and_batches_that_pytorch_lacks_are_errors(experiment, monkeypatch):
  two_streams = config.Experiment.paper()
  with pytest.raises(UserError, match='--model_streams=1'):
    baseline.variants(two_streams, 'full', 4, 1)
  with pytest.raises(UserError, match='--nomodel_window_statistics'):
    baseline.variants(config.Experiment(model=config.Model(window_statistics=True)), 'inference', 4, 1)
  monkeypatch.setattr(running, 'EPOCH_WINDOWS', 9)
  with pytest.raises(UserError, match='batch 4'):
    baseline.variants(experiment, 'epoch', 4, 1)


def test_augmentations_change_pace_and_strength_of_movements_and_leave_gravity():
  torch.manual_seed(0)
  time = torch.arange(128) / 50
  wave = torch.sin(2 * torch.pi * time)[None, :, None].expand(50, -1, 6)
  scaled = baseline._scale_amplitude(wave + 1, 0.2)
  torch.testing.assert_close(scaled[..., :3].mean(dim=1), (wave + 1)[..., :3].mean(dim=1))
  factors = scaled[..., 3:] / (wave + 1)[..., 3:]
  torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors))
  torch.testing.assert_close(baseline._warp_time(wave, 0.0), wave, atol=1e-5, rtol=0)


def test_rotation_keeps_angles_and_has_the_standard_deviation():
  signal = torch.randn(2000, 4, 6, generator=torch.Generator().manual_seed(0))
  rotated = baseline._rotate(signal, 5.0)
  before, after = (vectors.reshape(2000, 8, 3).numpy() for vectors in (signal, rotated))
  products = np.einsum('bij,bkj->bik', before, before)
  np.testing.assert_allclose(np.einsum('bij,bkj->bik', after, after), products, atol=1e-4)
  # A small rotation moves a vector by its cross product with the angles: two of the three angles count.
  moved = np.square(after - before).sum(axis=2).mean() / np.square(before).sum(axis=2).mean()
  np.testing.assert_allclose(np.degrees(np.sqrt(moved / 2)), 5.0, rtol=0.05)
