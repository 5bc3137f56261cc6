"""Our models in PyTorch, which nothing but the benchmark needs: import this file only where it is used.

b batch, n samples, c channels, t tokens, q values per token.
"""

import functools

import torch
from torch import nn

from har_jax import config
from har_jax.model import stem
from har_jax.model import tokens as ours
from har_jax.model.transformer import VAR_EPS
from launch.bench.running import CLASSES

_POSITION_STD = 0.02  # of initial positions and mask tokens, as ours
_EPSILON = 1e-6  # of LayerNorm, as in Flax


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


def _invariant_features(cut, weight=None):
  """Features per sensor of patches [b, t, p, 6]: norm, part along gravity, norm of the part across.

  weight: of each sample in its patch's gravity, [b, t, p, 1]; by default one.
  """
  triads = cut.unflatten(3, (2, 3))
  weight = torch.ones_like(cut[..., :1]) if weight is None else weight
  gravity = ((triads[..., 0, :] * weight).sum(dim=2) / weight.sum(dim=2))[:, :, None, None]
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


class Stem(nn.Module):
  """The convolutional stem, with channels last: as fast as channels first, or faster."""

  def __init__(self, model: config.Model):
    super().__init__()
    channels = 2 * config.CHANNELS
    for i, width in enumerate(model.stem):
      size = stem.KERNEL if i else stem.FIRST_KERNEL
      down = nn.Conv2d(channels, width, (1, size), stride=(1, 2), padding=(0, size // 2))
      conv = nn.Conv2d(width, width, (1, stem.SECOND_KERNEL), padding=(0, stem.SECOND_KERNEL // 2))
      stage = {'down': down, 'conv': conv, 'shortcut': nn.Linear(channels, width)}
      norms = {f'norm_{name}': nn.LayerNorm(width, eps=_EPSILON) for name in ('down', 'conv')}
      for name, layer in (stage | norms).items():
        self.add_module(f'{name}_{i}', layer)
      channels = width
    self.stages, self.project = len(model.stem), nn.Linear(channels, model.width)

  def forward(self, signal, is_visible=None):
    """Tokens of windows [b, n, 6]; hidden samples count as zero before each convolution."""
    hide = functools.partial(_hide, is_visible=is_visible)
    weight = None if is_visible is None else hide(torch.ones_like(signal[..., :1]))[:, None]
    x = torch.cat([signal, _invariant_features(signal[:, None], weight)[:, 0]], dim=-1)
    x = (x - x.new_tensor(stem.MEAN)) / x.new_tensor(stem.STD)
    for i in range(self.stages):
      x = hide(x)
      y = torch.relu(getattr(self, f'norm_down_{i}')(_convolve(getattr(self, f'down_{i}'), x)))
      y = getattr(self, f'norm_conv_{i}')(_convolve(getattr(self, f'conv_{i}'), hide(y)))
      pairs = x.unflatten(1, (-1, 2)).mean(dim=2)
      x = torch.relu(y + getattr(self, f'shortcut_{i}')(pairs))
    return self.project(x)


def _convolve(layer, x):
  """A convolution over the samples of [b, n, c]."""
  return layer(x.permute(0, 2, 1).unsqueeze(2)).squeeze(2).permute(0, 2, 1)


def _hide(x, is_visible):
  """Windows [b, n, c] without the samples of hidden tokens."""
  if is_visible is None:
    return x
  return x * is_visible.repeat_interleave(x.shape[1] // is_visible.shape[1], dim=1)[..., None]


def _embedding(model: config.Model) -> nn.Module:
  # A plain Linear: an adapter of peft takes what the layer takes.
  return Stem(model) if model.stem else nn.Linear(_feature_dim(model), model.width)


def _embedded(embedding, signal, model: config.Model, is_visible=None):
  """[b, t, d], of windows [b, n, 6]."""
  return embedding(signal, is_visible) if model.stem else embedding(_patch_features(signal, model))


class Classifier(nn.Module):
  """Logits of windows."""

  def __init__(self, model: config.Model):
    super().__init__()
    self.model = model
    self.embed = _embedding(model)
    self.positions = _parameter(1, model.tokens, model.width)
    self.blocks = nn.ModuleList(Block(model) for _ in range(model.depth))
    self.norm = nn.LayerNorm(model.width, eps=_EPSILON)
    layers: list[nn.Module] = []
    width = model.width * (3 if model.pooling == 'statistics' else 1)
    for hidden in model.head:
      layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(model.dropout)]
      width = hidden
    self.head = nn.Sequential(*layers, nn.Linear(width, CLASSES))

  def forward(self, signal):
    x = _embedded(self.embed, signal, self.model) + self.positions
    for block in self.blocks:
      x = block(x)
    x = self.norm(x)
    parts = [x.mean(dim=1)]
    if self.model.pooling == 'statistics':
      parts += [x.max(dim=1).values, (x.var(dim=1, correction=0) + VAR_EPS).sqrt()]
    return self.head(torch.cat(parts, dim=1))


class Autoencoder(nn.Module):
  """Mean squared error of windows over their hidden patches."""

  def __init__(self, model: config.Model):
    super().__init__()
    self.model = model
    self.embed = _embedding(model)
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
    is_visible = torch.zeros(len(signal), self.model.tokens).scatter(1, visible, 1.0)
    embedded = _embedded(self.embed, signal, self.model, is_visible) + self.positions
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
