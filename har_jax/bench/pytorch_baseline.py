"""The same models in PyTorch, with peft's adapters and bitsandbytes' four-bit kernels: what our steps are measured against.

Needs torch, peft and bitsandbytes, which nothing else here does: import this file where it is used.   b batch, t tokens.
"""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from har_jax import config
from har_jax.bench import running
from har_jax.bench.running import CLASSES
from har_jax.errors import UserError
from har_jax.model import tokens as ours

_ADAPTED = ('query', 'key', 'value', 'output', 'up', 'down')
_POSITION_DEVIATION = 0.02  # of learned positions and mask tokens at the start, as ours
_EPSILON = 1e-6  # of a LayerNorm, as Flax has it


def variants(
  experiment: config.Experiment, kind: str, batch: int, steps: int
) -> dict[str, Callable[[], Any]]:
  """Name → a call: as a user writes it, compiled, and each under bfloat16.

  A call makes `steps` steps of `batch` windows; of kind 'epoch' it makes one pass over `running.EPOCH_WINDOWS`.
  Raises ModuleNotFoundError where peft or bitsandbytes is needed and missing; UserError where there is no such model here, or
  nothing to compile with.
  """
  if experiment.model.streams != 1:
    raise UserError('PyTorch has the model of one stream only: give --model_streams=1, or leave out --peers')
  if kind == 'epoch' and running.EPOCH_WINDOWS % batch == 1:
    raise UserError(
      f"batch {batch} leaves one window to the epoch's last batch, which PyTorch's BatchNorm refuses; take another"
    )
  # Without this, what was compiled for earlier kinds and batches counts towards a limit beyond which PyTorch goes on uncompiled.
  torch.compiler.reset()
  found = {}
  for compiled in (False, True):
    for half in (False, True):
      name = f'PyTorch{", compiled" if compiled else ""}{", bfloat16" if half else ""}'
      torch.manual_seed(0)
      found[name] = _call(experiment, kind, batch, steps, compiled=compiled, half=half)
      if compiled:
        _compile(found[name], name)
  return found


def _compile(call: Callable[[], Any], name: str) -> None:
  """Compilation comes with the first call; here, so that what is amiss is told before anything is measured."""
  try:
    call()
  except torch._dynamo.exc.BackendCompilerFailed as error:
    lines = [line for line in str(error).splitlines() if line.strip()]
    raise UserError(
      f'{name} could not be compiled ({lines[0] if lines else type(error).__name__}): torch.compile needs a C++ compiler, '
      'such as g++, on the PATH or in the variable CXX; install one, or leave out --peers'
    ) from error


def _call(
  experiment: config.Experiment, kind: str, batch: int, steps: int, *, compiled: bool, half: bool
) -> Callable[[], Any]:
  model = _model(experiment, kind)
  # Of an epoch the last batch is shorter: each size is compiled for itself, as one program for any size is slower.
  forward = torch.compile(model, dynamic=False) if compiled else model
  precision = torch.autocast('cpu', torch.bfloat16) if half else contextlib.nullcontext()
  rng = np.random.default_rng(0)
  size = running.EPOCH_WINDOWS if kind == 'epoch' else batch
  signal = torch.tensor(rng.standard_normal((size, config.WINDOW_SAMPLES, config.CHANNELS), np.float32))
  labels = torch.tensor(rng.integers(0, CLASSES, size))
  if kind == 'inference':
    model.eval()

    def predict() -> None:
      for _ in range(steps):
        with torch.inference_mode(), precision:
          forward(signal)

    return predict

  training = experiment.pretrain if kind == 'pretraining' else experiment.finetune
  moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
  adamw = torch.optim.AdamW(moving, lr=1e-9, weight_decay=training.weight_decay, fused=True)

  def step(signal: Any, labels: Any) -> None:
    adamw.zero_grad(set_to_none=True)
    if training.circular_shift:
      signal = _roll(signal)
    if training.rotation_std_deg:
      signal = _rotate(signal, training.rotation_std_deg)
    with precision:
      given = forward(signal)
      loss = given if kind == 'pretraining' else nn.functional.cross_entropy(given, labels)
    loss.backward()
    if training.grad_clip_norm:
      nn.utils.clip_grad_norm_(moving, training.grad_clip_norm)
    adamw.step()

  if kind == 'epoch':
    windows = torch.utils.data.TensorDataset(signal, labels)
    loader = torch.utils.data.DataLoader(windows, batch_size=batch, shuffle=True, num_workers=0)

    def one_pass() -> None:
      for drawn in loader:
        step(*drawn)

    return one_pass

  def several() -> None:
    for _ in range(steps):
      step(signal, labels)

  return several


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
    target_modules=list(_ADAPTED),
    modules_to_save=['head'],
  )
  return peft.get_peft_model(model, adapters)


def _pack(model: nn.Module) -> None:
  """Every adapted kernel as bitsandbytes' NF4."""
  import bitsandbytes

  for module in list(model.modules()):
    for name in _ADAPTED:
      if (dense := getattr(module, name, None)) is not None:
        packed = bitsandbytes.nn.Linear4bit(dense.in_features, dense.out_features, quant_type='nf4')
        packed.load_state_dict(dense.state_dict())
        setattr(module, name, packed.to('cpu'))


def _roll(signal):
  """Each window from a sample of its own on, its end joined to its start."""
  batch, samples, _ = signal.shape
  places = (torch.randint(samples, (batch, 1)) + torch.arange(samples)) % samples
  return signal[torch.arange(batch)[:, None], places]


def _rotate(signal, degrees: float):
  """Each window turned, about each axis by a normal angle of this deviation."""
  x, y, z = (math.radians(degrees) * torch.randn(3, len(signal))).unbind()
  nought = torch.zeros_like(x)
  turns = torch.linalg.matrix_exp(
    torch.stack([nought, -z, y, z, nought, -x, -y, x, nought], dim=-1).view(-1, 3, 3)
  )
  return torch.einsum('bij,bnsj->bnsi', turns, signal.unflatten(2, (2, 3))).flatten(2)


def _embedded(signal, model: config.Model):
  """What a token is embedded from, [b, t, q], as ours."""
  cut = signal.reshape(len(signal), model.tokens, model.patch_size, config.CHANNELS)
  if model.invariant_features:
    cut = torch.cat([cut, _descriptors(cut)], dim=-1)
  parts = [cut]
  if model.log_std:
    log = 0.5 * torch.log(cut.var(dim=2, correction=0, keepdim=True) + ours.VAR_EPS)
    parts.append((log - ours.LOG_MEAN) / ours.LOG_DEVIATION)
  if model.invariant_features:
    parts.append(_log_spectrum(cut))
  return torch.cat(parts, dim=2).flatten(2)


def _descriptors(cut):
  """Of both sensors' patches [b, t, p, 6]: magnitude, part along gravity, part across."""
  triads = cut.unflatten(3, (2, 3))
  gravity = triads[..., 0, :].mean(dim=2)[:, :, None, None]
  gravity = gravity / (gravity.square().sum(dim=-1, keepdim=True) + ours.GRAVITY_EPS).sqrt()
  along = (triads * gravity).sum(dim=-1, keepdim=True)
  sizes = [
    (vectors.square().sum(dim=-1) + ours.NORM_EPS).sqrt() for vectors in (triads, triads - along * gravity)
  ]
  return torch.cat([sizes[0], along[..., 0], sizes[1]], dim=-1)


def _log_spectrum(cut):
  """Of patches [b, t, p, c] the logarithm of their power at each frequency but nought, [b, t, f, c]."""
  waves = torch.fft.rfft(cut - cut.mean(dim=2, keepdim=True), dim=2)[:, :, 1:]
  logs = torch.log(torch.view_as_real(waves).square().sum(dim=-1) / cut.shape[2] + ours.POWER_EPS)
  return (logs - ours.LOG_POWER_MEAN) / ours.LOG_POWER_DEVIATION


def _wanted(signal, model: config.Model):
  """What is reconstructed of a token, [b, t, q], as ours."""
  cut = signal.reshape(len(signal), model.tokens, model.patch_size, config.CHANNELS)
  return torch.cat([cut, _log_spectrum(cut)] if model.reconstruct_spectrum else [cut], dim=2).flatten(2)


def _values(model: config.Model) -> int:
  """q of `_embedded`."""
  spectrum = model.invariant_features * (model.patch_size // 2)
  return (model.patch_size + model.log_std + spectrum) * config.CHANNELS * (1 + model.invariant_features)


def _started(*sizes: int) -> nn.Parameter:
  return nn.Parameter(_POSITION_DEVIATION * torch.randn(*sizes))


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
    # Plain attention: over so few tokens it beats the fused one on a CPU.
    weights = torch.softmax(q @ k.transpose(2, 3) * (width // self.num_heads) ** -0.5, dim=-1)
    x = x + self.output((weights @ v).transpose(1, 2).reshape(x.shape))
    return x + self.down(nn.functional.gelu(self.up(self.norm_ffn(x)), approximate='tanh'))


class Classifier(nn.Module):
  """Windows to logits."""

  def __init__(self, model: config.Model):
    super().__init__()
    self.model = model
    self.embed = nn.Linear(_values(model), model.width)
    self.positions = _started(1, model.tokens, model.width)
    self.blocks = nn.ModuleList(Block(model) for _ in range(model.depth))
    self.norm = nn.LayerNorm(model.width, eps=_EPSILON)
    layers: list[nn.Module] = []
    width = model.width
    for hidden in model.head:
      layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(model.dropout)]
      width = hidden
    self.head = nn.Sequential(*layers, nn.Linear(width, CLASSES))

  def forward(self, signal):
    x = self.embed(_embedded(signal, self.model)) + self.positions
    for block in self.blocks:
      x = block(x)
    return self.head(self.norm(x).mean(dim=1))


class Autoencoder(nn.Module):
  """Windows to the mean squared error over their hidden patches."""

  def __init__(self, model: config.Model):
    super().__init__()
    self.model = model
    self.embed = nn.Linear(_values(model), model.width)
    self.positions = _started(1, model.tokens, model.width)
    self.mask_token = _started(model.width)
    self.blocks = nn.ModuleList(Block(model) for _ in range(model.depth))
    self.norm = nn.LayerNorm(model.width, eps=_EPSILON)
    self.decoder_positions = _started(1, model.tokens, model.width)
    self.decoder_depth = nn.ModuleList(Block(model) for _ in range(model.decoder_depth))
    self.decoder_norm = nn.LayerNorm(model.width, eps=_EPSILON)
    self.reconstruct = nn.Linear(model.width, ours.target_dim(model))

  def forward(self, signal):
    order = torch.rand(len(signal), self.model.tokens).argsort(dim=1)
    return self.error(signal, order[:, self.model.hidden :].sort(dim=1).values)

  def error(self, signal, visible):
    """The error where these tokens [b, v] are visible, in rising order."""
    embedded = self.embed(_embedded(signal, self.model)) + self.positions
    places = visible[:, :, None].expand(-1, -1, embedded.shape[-1])
    x = embedded.gather(1, places)
    for block in self.blocks:
      x = block(x)
    x = self.norm(x)
    x = self.mask_token.to(x.dtype).expand(embedded.shape).scatter(1, places, x) + self.decoder_positions
    for block in self.decoder_depth:
      x = block(x)
    errors = (self.reconstruct(self.decoder_norm(x)) - _wanted(signal, self.model)).square().mean(dim=-1)
    mask = torch.ones_like(errors).scatter(1, visible, 0.0)  # one: hidden from the encoder
    return (errors * mask).sum() / mask.sum()
