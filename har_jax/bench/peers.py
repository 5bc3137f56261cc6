"""The same model in PyTorch, with peft's adapters and bitsandbytes' four-bit kernels: what a training step is measured against.

Needs torch, peft and bitsandbytes, which nothing else here does: imported where they are used.   b batch, t tokens.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from har_jax import config
from har_jax.bench.running import CLASSES

_ADAPTED = ('query', 'key', 'value', 'output', 'up', 'down')


def variants(experiment: config.Experiment, kind: str, batch: int) -> dict[str, Callable[[], Any]]:
  """Name → one step: as a user writes it, compiled, and each under bfloat16. Empty where no peer does this kind.

  Raises ModuleNotFoundError where one of the libraries is missing.
  """
  import torch

  if kind not in ('full', 'lora', 'qlora', 'inference'):
    return {}
  found = {}
  for compiled in (False, True):
    for half in (False, True):
      name = f'PyTorch{", compiled" if compiled else ""}{", bfloat16" if half else ""}'
      torch.manual_seed(0)
      found[name] = _step(experiment, kind, batch, compiled=compiled, half=half)
  return found


def _step(
  experiment: config.Experiment, kind: str, batch: int, *, compiled: bool, half: bool
) -> Callable[[], Any]:
  import torch

  model = _adapted(_classifier(experiment.model), experiment, kind)
  rng = np.random.default_rng(0)
  signal = torch.tensor(rng.standard_normal((batch, config.WINDOW_SAMPLES, config.CHANNELS), np.float32))
  labels = torch.tensor(rng.integers(0, CLASSES, batch))
  precision = torch.autocast('cpu', torch.bfloat16) if half else contextlib.nullcontext()
  forward = torch.compile(model) if compiled else model
  if kind == 'inference':
    model.eval()

    def predict() -> None:
      with torch.inference_mode(), precision:
        forward(signal)

    return predict

  training = experiment.finetune
  moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
  adamw = torch.optim.AdamW(moving, lr=1e-9, weight_decay=training.weight_decay, fused=True)

  def step() -> None:
    adamw.zero_grad(set_to_none=True)
    with precision:
      loss = torch.nn.functional.cross_entropy(forward(signal), labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(moving, training.clip)
    adamw.step()

  return step


def _adapted(model: Any, experiment: config.Experiment, kind: str) -> Any:
  if kind in ('full', 'inference'):
    return model
  import peft

  if kind == 'qlora':
    _pack(model)
  adapters = peft.LoraConfig(
    r=experiment.lora.rank,
    lora_alpha=experiment.lora.alpha,
    target_modules=list(_ADAPTED),
    modules_to_save=['head'],
  )
  return peft.get_peft_model(model, adapters)


def _pack(model: Any) -> None:
  """Every adapted kernel as bitsandbytes' NF4."""
  import bitsandbytes

  for module in list(model.modules()):
    for name in _ADAPTED:
      if (dense := getattr(module, name, None)) is not None:
        packed = bitsandbytes.nn.Linear4bit(dense.in_features, dense.out_features, quant_type='nf4')
        packed.load_state_dict(dense.state_dict())
        setattr(module, name, packed.to('cpu'))


def _classifier(shape: config.Model) -> Any:
  import torch
  from torch import nn

  class Block(nn.Module):
    def __init__(self):
      super().__init__()
      width = shape.width
      self.norm_attention, self.norm_ffn = nn.LayerNorm(width), nn.LayerNorm(width)
      self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
      self.up, self.down = nn.Linear(width, shape.ffn), nn.Linear(shape.ffn, width)

    def forward(self, x):
      batch, tokens, width = x.shape
      normed = self.norm_attention(x)
      q, k, v = (
        dense(normed).view(batch, tokens, shape.heads, -1).transpose(1, 2)
        for dense in (self.query, self.key, self.value)
      )
      # Plain attention: over so few tokens it beats the fused one on a CPU.
      weights = torch.softmax(q @ k.transpose(2, 3) * (width // shape.heads) ** -0.5, dim=-1)
      x = x + self.output((weights @ v).transpose(1, 2).reshape(x.shape))
      return x + self.down(nn.functional.gelu(self.up(self.norm_ffn(x)), approximate='tanh'))

  class Classifier(nn.Module):
    def __init__(self):
      super().__init__()
      self.embed = nn.Linear(shape.patch * config.CHANNELS, shape.width)
      self.positions = nn.Parameter(0.02 * torch.randn(1, shape.tokens, shape.width))
      self.blocks = nn.ModuleList(Block() for _ in range(shape.blocks))
      self.norm = nn.LayerNorm(shape.width)
      layers, width = [], shape.width
      for hidden in shape.head:
        layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(shape.dropout)]
        width = hidden
      self.head = nn.Sequential(*layers, nn.Linear(width, CLASSES))

    def forward(self, signal):
      x = self.embed(signal.reshape(len(signal), shape.tokens, -1)) + self.positions
      for block in self.blocks:
        x = block(x)
      return self.head(self.norm(x).mean(dim=1))

  return Classifier()
