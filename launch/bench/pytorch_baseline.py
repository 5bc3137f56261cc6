"""The same models in PyTorch, with adapters of peft and four-bit kernels of bitsandbytes, as a baseline.

Needs torch, peft and bitsandbytes, which nothing else needs: import this file only where it is used.
b batch, t tokens, q values per token.
"""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from har_jax import config
from har_jax.errors import UserError
from har_jax.model import tokens as ours
from launch.bench import running
from launch.bench.running import CLASSES

_PACKED = ('query', 'key', 'value', 'output', 'up', 'down')
_POSITION_STD = 0.02  # of initial positions and mask tokens, as ours
_EPSILON = 1e-6  # of LayerNorm, as in Flax


def variants(
  experiment: config.Experiment, kind: str, batch: int, steps: int
) -> dict[str, Callable[[], Any]]:
  """Name → a call: eager and compiled, each in float32 and bfloat16.

  A call makes `steps` steps of `batch` windows; of the kind 'epoch', one epoch over `running.EPOCH_WINDOWS`.
  Raises ModuleNotFoundError if peft or bitsandbytes is needed and not installed.
  Raises UserError if PyTorch lacks the model, an augmentation, or a compiler.
  """
  if experiment.model.streams != 1:
    raise UserError('the PyTorch model has one stream only: give --model_streams=1, or leave out --peers')
  training = experiment.pretrain if kind == 'pretraining' else experiment.finetune
  if experiment.model.stem or experiment.model.pooling != 'mean':
    raise UserError(
      'the PyTorch baseline has no stem and no pooled statistics; give --model_stem= --normalize=train '
      '--model_pooling=mean, or leave out --peers'
    )
  if kind != 'inference' and (training.amplitude_std or training.time_warp_std):
    raise UserError(
      'the PyTorch baseline has no amplitude or time warp augmentation; give --finetune_amplitude_std=0 '
      '--finetune_time_warp_std=0, and the same for pretraining, or leave out --peers'
    )
  if kind == 'epoch' and running.EPOCH_WINDOWS % batch == 1:
    raise UserError(
      f"the epoch's last batch has one window at batch {batch}, too few for PyTorch's BatchNorm; give another"
    )
  # Compilations of earlier kinds and batches count towards a limit, beyond which PyTorch runs uncompiled.
  torch.compiler.reset()
  calls = {}
  for compiled in (False, True):
    for half in (False, True):
      name = f'PyTorch{", compiled" if compiled else ""}{", bfloat16" if half else ""}'
      torch.manual_seed(0)
      calls[name] = _call(experiment, kind, batch, steps, compiled=compiled, half=half)
      if compiled:
        _compile(calls[name], name)
  return calls


def _compile(call: Callable[[], Any], name: str) -> None:
  """Calls once, which compiles, so that an error comes before any measurement."""
  try:
    call()
  except torch._dynamo.exc.BackendCompilerFailed as error:
    lines = [line for line in str(error).splitlines() if line.strip()]
    raise UserError(
      f'{name} could not be compiled ({lines[0] if lines else type(error).__name__}): torch.compile needs a '
      'C++ compiler, such as g++, on the PATH or in the variable CXX; install one, or leave out --peers'
    ) from error


def _call(
  experiment: config.Experiment, kind: str, batch: int, steps: int, *, compiled: bool, half: bool
) -> Callable[[], Any]:
  model = _model(experiment, kind)
  # The last batch of an epoch is shorter: one program per size is faster than one for any size.
  forward = torch.compile(model, dynamic=False) if compiled else model
  precision = torch.autocast('cpu', torch.bfloat16) if half else contextlib.nullcontext()
  rng = np.random.default_rng(0)
  size = running.EPOCH_WINDOWS if kind == 'epoch' else batch
  signal = torch.tensor(
    rng.standard_normal((size, experiment.model.window_samples, config.CHANNELS), np.float32)
  )
  labels = torch.tensor(rng.integers(0, CLASSES, size))
  if kind == 'inference':
    model.eval()

    def predict() -> None:
      for _ in range(steps):
        with torch.inference_mode(), precision:
          forward(signal)

    return predict

  training = experiment.pretrain if kind == 'pretraining' else experiment.finetune
  trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
  adamw = torch.optim.AdamW(trainable, lr=1e-9, weight_decay=training.weight_decay, fused=True)

  def step(signal: Any, labels: Any) -> None:
    adamw.zero_grad(set_to_none=True)
    if training.circular_shift:
      signal = _circular_shift(signal)
    if training.rotation_std_deg:
      signal = _rotate(signal, training.rotation_std_deg)
    with precision:
      output = forward(signal)
      loss = output if kind == 'pretraining' else nn.functional.cross_entropy(output, labels)
    loss.backward()
    if training.grad_clip_norm:
      nn.utils.clip_grad_norm_(trainable, training.grad_clip_norm)
    adamw.step()

  if kind == 'epoch':
    windows = torch.utils.data.TensorDataset(signal, labels)
    loader = torch.utils.data.DataLoader(windows, batch_size=batch, shuffle=True, num_workers=0)

    def one_epoch() -> None:
      for drawn in loader:
        step(*drawn)

    return one_epoch

  def several_steps() -> None:
    for _ in range(steps):
      step(signal, labels)

  return several_steps


def _model(experiment: config.Experiment, kind: str) -> nn.Module:
  if kind == 'pretraining':
    return Autoencoder(experiment.model)
  model = Classifier(experiment.model)
  if kind in ('full', 'inference'):
    return model
  import peft

  if kind == 'qlora':
    _pack(model)
  adapters = peft.LoraConfig(
    r=experiment.lora.rank,
    lora_alpha=experiment.lora.alpha,  # type: ignore[arg-type]  # it takes fractions too
    target_modules=list(experiment.lora.targets),
    modules_to_save=['head'],
  )
  return peft.get_peft_model(model, adapters)


def _pack(model: nn.Module) -> None:
  """The kernels of every block as bitsandbytes' NF4."""
  import bitsandbytes

  for module in list(model.modules()):
    for name in _PACKED:
      if (dense := getattr(module, name, None)) is not None:
        packed = bitsandbytes.nn.Linear4bit(dense.in_features, dense.out_features, quant_type='nf4')
        packed.load_state_dict(dense.state_dict())
        setattr(module, name, packed.to('cpu'))


def _circular_shift(signal):
  """Each window starts at a random sample and wraps around."""
  batch, samples, _ = signal.shape
  indices = (torch.randint(samples, (batch, 1)) + torch.arange(samples)) % samples
  return signal[torch.arange(batch)[:, None], indices]


def _rotate(signal, degrees: float):
  """Rotates each window by normal angles about the axes, of this standard deviation."""
  x, y, z = (math.radians(degrees) * torch.randn(3, len(signal))).unbind()
  zero = torch.zeros_like(x)
  generators = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
  rotations = torch.linalg.matrix_exp(generators)
  return torch.einsum('bij,bnsj->bnsi', rotations, signal.unflatten(2, (2, 3))).flatten(2)


def _patch_features(signal, model: config.Model):
  """[b, t, q], as `har_jax.model.tokens.patch_features`."""
  cut = signal.reshape(len(signal), model.tokens, model.patch_size, config.CHANNELS)
  if model.invariant_features:
    cut = torch.cat([cut, _invariant_features(cut)], dim=-1)
  parts = [cut]
  if model.log_std:
    log = 0.5 * torch.log(cut.var(dim=2, correction=0, keepdim=True) + ours.VAR_EPS)
    parts.append((log - ours.LOG_MEAN) / ours.LOG_DEVIATION)
  if model.invariant_features:
    parts.append(_log_spectrum(cut))
  return torch.cat(parts, dim=2).flatten(2)


def _invariant_features(cut):
  """Features per sensor of patches [b, t, p, 6]: norm, part along gravity, norm of the part across."""
  triads = cut.unflatten(3, (2, 3))
  gravity = triads[..., 0, :].mean(dim=2)[:, :, None, None]
  gravity = gravity / (gravity.square().sum(dim=-1, keepdim=True) + ours.GRAVITY_EPS).sqrt()
  along = (triads * gravity).sum(dim=-1, keepdim=True)
  norms = [
    (vectors.square().sum(dim=-1) + ours.NORM_EPS).sqrt() for vectors in (triads, triads - along * gravity)
  ]
  return torch.cat([norms[0], along[..., 0], norms[1]], dim=-1)


def _log_spectrum(cut):
  """Log power of patches [b, t, p, c] at each frequency except zero, [b, t, f, c]."""
  spectrum = torch.fft.rfft(cut - cut.mean(dim=2, keepdim=True), dim=2)[:, :, 1:]
  logs = torch.log(torch.view_as_real(spectrum).square().sum(dim=-1) / cut.shape[2] + ours.POWER_EPS)
  return (logs - ours.LOG_POWER_MEAN) / ours.LOG_POWER_DEVIATION


def _reconstruction_target(signal, model: config.Model):
  """[b, t, q], as `har_jax.model.tokens.reconstruction_target`."""
  cut = signal.reshape(len(signal), model.tokens, model.patch_size, config.CHANNELS)
  return torch.cat([cut, _log_spectrum(cut)] if model.reconstruct_spectrum else [cut], dim=2).flatten(2)


def _feature_dim(model: config.Model) -> int:
  """q of `_patch_features`."""
  spectrum = model.invariant_features * (model.patch_size // 2)
  return (model.patch_size + model.log_std + spectrum) * config.CHANNELS * (1 + model.invariant_features)


def _parameter(*sizes: int) -> nn.Parameter:
  return nn.Parameter(_POSITION_STD * torch.randn(*sizes))


class Block(nn.Module):
  """A pre-norm Transformer block."""

  def __init__(self, model: config.Model):
    super().__init__()
    width = model.width
    self.num_heads = model.num_heads
    self.norm_attention, self.norm_ffn = nn.LayerNorm(width, eps=_EPSILON), nn.LayerNorm(width, eps=_EPSILON)
    self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
    self.up, self.down = nn.Linear(width, model.mlp_dim), nn.Linear(model.mlp_dim, width)

  def forward(self, x):
    batch, tokens, width = x.shape
    normed = self.norm_attention(x)
    q, k, v = (
      dense(normed).view(batch, tokens, self.num_heads, -1).transpose(1, 2)
      for dense in (self.query, self.key, self.value)
    )
    # Plain attention: over so few tokens it is faster than the fused one on a CPU.
    weights = torch.softmax(q @ k.transpose(2, 3) * (width // self.num_heads) ** -0.5, dim=-1)
    x = x + self.output((weights @ v).transpose(1, 2).reshape(x.shape))
    return x + self.down(nn.functional.gelu(self.up(self.norm_ffn(x)), approximate='tanh'))


class Classifier(nn.Module):
  """Logits of windows."""

  def __init__(self, model: config.Model):
    super().__init__()
    self.model = model
    self.embed = nn.Linear(_feature_dim(model), model.width)
    self.positions = _parameter(1, model.tokens, model.width)
    self.blocks = nn.ModuleList(Block(model) for _ in range(model.depth))
    self.norm = nn.LayerNorm(model.width, eps=_EPSILON)
    layers: list[nn.Module] = []
    width = model.width
    for hidden in model.head:
      layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(model.dropout)]
      width = hidden
    self.head = nn.Sequential(*layers, nn.Linear(width, CLASSES))

  def forward(self, signal):
    x = self.embed(_patch_features(signal, self.model)) + self.positions
    for block in self.blocks:
      x = block(x)
    return self.head(self.norm(x).mean(dim=1))


class Autoencoder(nn.Module):
  """Mean squared error of windows over their hidden patches."""

  def __init__(self, model: config.Model):
    super().__init__()
    self.model = model
    self.embed = nn.Linear(_feature_dim(model), model.width)
    self.positions = _parameter(1, model.tokens, model.width)
    self.mask_token = _parameter(model.width)
    self.blocks = nn.ModuleList(Block(model) for _ in range(model.depth))
    self.norm = nn.LayerNorm(model.width, eps=_EPSILON)
    self.decoder_positions = _parameter(1, model.tokens, model.width)
    self.decoder_blocks = nn.ModuleList(Block(model) for _ in range(model.decoder_depth))
    self.decoder_norm = nn.LayerNorm(model.width, eps=_EPSILON)
    self.reconstruct = nn.Linear(model.width, ours.target_dim(model))

  def forward(self, signal):
    order = torch.rand(len(signal), self.model.tokens).argsort(dim=1)
    return self.error(signal, order[:, self.model.hidden :].sort(dim=1).values)

  def error(self, signal, visible):
    """The error if the tokens with these indices [b, v], in rising order, are visible."""
    embedded = self.embed(_patch_features(signal, self.model)) + self.positions
    indices = visible[:, :, None].expand(-1, -1, embedded.shape[-1])
    x = embedded.gather(1, indices)
    for block in self.blocks:
      x = block(x)
    x = self.norm(x)
    x = self.mask_token.to(x.dtype).expand(embedded.shape).scatter(1, indices, x) + self.decoder_positions
    for block in self.decoder_blocks:
      x = block(x)
    errors = (
      (self.reconstruct(self.decoder_norm(x)) - _reconstruction_target(signal, self.model))
      .square()
      .mean(dim=-1)
    )
    mask = torch.ones_like(errors).scatter(1, visible, 0.0)  # 1: hidden from the encoder
    return (errors * mask).sum() / mask.sum()
