"""The same models in PyTorch, with adapters of peft and four-bit kernels of bitsandbytes, as a baseline.

Needs torch, peft and bitsandbytes, which nothing else needs: import this file only where it is used.
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
from launch.bench import running
from launch.bench.pytorch_models import Autoencoder, Classifier
from launch.bench.running import CLASSES

_PACKED = ('query', 'key', 'value', 'output', 'up', 'down')


def variants(
  experiment: config.Experiment, kind: str, batch: int, steps: int
) -> dict[str, Callable[[], Any]]:
  """Name → a call: eager and compiled, each in float32 and bfloat16.

  A call makes `steps` steps of `batch` windows; of the kind 'epoch', one epoch over `running.EPOCH_WINDOWS`.
  Raises ModuleNotFoundError if peft or bitsandbytes is needed and not installed.
  Raises UserError if PyTorch lacks the model, or a compiler.
  """
  if experiment.model.streams != 1:
    raise UserError('the PyTorch model has one stream only: give --model_streams=1, or leave out --peers')
  if experiment.model.window_statistics:
    raise UserError(
      'the PyTorch model has no window statistics: give --nomodel_window_statistics, or leave out --peers'
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
    signal = _augment(signal, training)
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
    target_modules=[
      name for target in experiment.lora.targets for name in _modules(target, experiment.model)
    ],
    modules_to_save=['head'],
  )
  return peft.get_peft_model(model, adapters)


def _modules(target: str, model: config.Model) -> list[str]:
  """Names of PyTorch's layers for one of our targets: those of a stem, if there is one, or the target's."""
  if target != 'embed' or not model.stem:
    return [target]
  return [
    'project',
    *(f'{name}_{i}' for name in ('down', 'conv', 'shortcut') for i in range(len(model.stem))),
  ]


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


def _scale_amplitude(signal, std: float):
  """Scales each window's movements by one factor: acceleration about its mean, rotation about zero."""
  gravity = signal[..., :3].mean(dim=1, keepdim=True)
  center = torch.cat([gravity, torch.zeros_like(gravity)], dim=2)
  return center + torch.exp(std * torch.randn(len(signal), 1, 1)) * (signal - center)


def _augment(signal: Any, training: config.Training) -> Any:
  if training.time_warp_std:
    signal = _warp_time(signal, training.time_warp_std)
  if training.circular_shift:
    signal = _circular_shift(signal)
  if training.amplitude_std:
    signal = _scale_amplitude(signal, training.amplitude_std)
  return _rotate(signal, training.rotation_std_deg) if training.rotation_std_deg else signal


def _warp_time(signal, std: float):
  """Interpolates each window at another pace, mirrored at its ends, and scales its rotation by the pace."""
  samples = signal.shape[1]
  last, middle = samples - 1, (samples - 1) / 2
  pace = torch.exp(std * torch.randn(len(signal), 1))
  position = (middle + pace * (torch.arange(samples) - middle)).abs() % (2 * last)
  position = torch.where(position > last, 2 * last - position, position)
  before = position.floor().long().clamp(0, last - 1)
  windows = torch.arange(len(signal))[:, None]
  warped = torch.lerp(signal[windows, before], signal[windows, before + 1], (position - before)[..., None])
  return torch.cat([warped[..., :3], pace[..., None] * warped[..., 3:]], dim=2)
