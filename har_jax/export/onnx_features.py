"""`har_jax.model.tokens.patch_features` as ONNX nodes, operation by operation.

w windows, t tokens, p samples a patch, c channels, f frequencies.
"""

import numpy as np

from har_jax import config
from har_jax.export.onnx_nodes import Nodes
from har_jax.model import tokens

# Ends the names of products that int8 would spoil: powers of many orders of magnitude, before a logarithm.
KEEP_FLOAT32 = '/float32'


def patch_features(graph: Nodes, module: str, part: str, model: config.Model) -> str:
  """[w, t, values] of a stream's channels `part` [w, n, c]. Node names start with `module`."""
  channels = config.CHANNELS // model.streams
  if model.invariant_features:
    part = graph.concat([part, _invariant_features(graph, module, part, model)], f'{module}/channels')
    channels = 2 * config.CHANNELS
  parts = [graph.reshape(part, (model.tokens, model.patch_size * channels), f'{module}/patches')]
  if model.log_std or model.invariant_features:
    cut = graph.reshape(part, (model.tokens, model.patch_size, channels), f'{module}/cut')
    mean = graph.add('ReduceMean', cut, graph.ints(f'{module}/of_patch', 2), name=f'{module}/mean')
    centered = graph.add('Sub', cut, mean, name=f'{module}/centered')
  if model.log_std:
    squares = graph.add('Mul', centered, centered, name=f'{module}/squares')
    variance = graph.add('ReduceMean', squares, f'{module}/of_patch', name=f'{module}/variance', keepdims=0)
    parts.append(
      _log(graph, f'{module}/log_std', variance, tokens.VAR_EPS, 0.5, tokens.LOG_MEAN, tokens.LOG_DEVIATION)
    )
  if model.invariant_features:
    parts.append(_log_spectrum(graph, f'{module}/spectrum', centered, channels, model))
  return graph.concat(parts, f'{module}/features')


def _invariant_features(graph: Nodes, module: str, part: str, model: config.Model) -> str:
  """[w, n, 6]."""
  name = f'{module}/invariant_features'
  triads = graph.reshape(part, (model.tokens, model.patch_size, 2, 3), f'{name}/triads')
  first = graph.ints(f'{name}/first', 0)
  acc = graph.add('Gather', triads, first, name=f'{name}/acc', axis=3)
  mean = graph.add('ReduceMean', acc, graph.ints(f'{name}/of_patch', 2), name=f'{name}/mean')
  joined = relative_to_gravity(graph, name, triads, mean, 4)
  return graph.reshape(joined, (model.window_samples, config.CHANNELS), name)


def relative_to_gravity(graph: Nodes, name: str, triads: str, mean: str, axis: int) -> str:
  """`tokens.relative_to_gravity`: [..., 6, 1] of triads [..., 2, 3], whose last axis is number `axis`.

  mean: gravity, which broadcasts with the triads.
  """
  xyz = graph.ints(f'{name}/xyz', axis)
  size = _norm(graph, f'{name}/gravity_norm', mean, xyz, tokens.GRAVITY_EPS)
  gravity = graph.add('Div', mean, size, name=f'{name}/gravity')
  parts = graph.add('Mul', triads, gravity, name=f'{name}/parts')
  along = graph.add('ReduceSum', parts, xyz, name=f'{name}/along')
  vertical = graph.add('Mul', along, gravity, name=f'{name}/vertical')
  horizontal = graph.add('Sub', triads, vertical, name=f'{name}/horizontal')
  norms = [
    _norm(graph, f'{name}/{v}', x, xyz, tokens.NORM_EPS)
    for v, x in (('total', triads), ('across', horizontal))
  ]
  return graph.add('Concat', norms[0], along, norms[1], name=f'{name}/joined', axis=axis - 1)


def _norm(graph: Nodes, name: str, vectors: str, axis: str, epsilon: float) -> str:
  squares = graph.add('Mul', vectors, vectors, name=f'{name}/squares')
  total = graph.add('ReduceSum', squares, axis, name=f'{name}/total')
  positive = graph.add('Add', total, graph.scalar(f'{name}/epsilon', epsilon), name=f'{name}/sum')
  return graph.add('Sqrt', positive, name=f'{name}/norm')


def _log_spectrum(graph: Nodes, name: str, centered: str, channels: int, model: config.Model) -> str:
  """[w, t, f c] of centered patches [w, t, p, c]."""
  basis = tokens.dft_basis(model.patch_size)
  by_channel = graph.add('Transpose', centered, name=f'{name}/by_channel', perm=[0, 1, 3, 2])
  squares = []
  for kind, part in (('real', basis.real), ('imaginary', basis.imag)):
    product = graph.add(
      'MatMul',
      by_channel,
      graph.constant(f'{name}/{kind}/basis', part.astype(np.float32)),
      name=f'{name}/{kind}{KEEP_FLOAT32}',
    )
    squares.append(graph.add('Mul', product, product, name=f'{name}/{kind}/square'))
  total = graph.add('Add', *squares, name=f'{name}/total')
  size = graph.scalar(f'{name}/samples', model.patch_size)
  power = graph.add('Div', total, size, name=f'{name}/power')
  logs = _log(graph, name, power, tokens.POWER_EPS, 1.0, tokens.LOG_POWER_MEAN, tokens.LOG_POWER_DEVIATION)
  by_frequency = graph.add('Transpose', logs, name=f'{name}/by_frequency', perm=[0, 1, 3, 2])
  return graph.reshape(by_frequency, (model.tokens, basis.shape[1] * channels), f'{name}/flat')


def _log(graph: Nodes, name: str, x: str, epsilon: float, slope: float, mean: float, std: float) -> str:
  """(slope * log(x + epsilon) - mean) / std."""
  positive = graph.add('Add', x, graph.scalar(f'{name}/epsilon', epsilon), name=f'{name}/sum')
  log = graph.add('Log', positive, name=f'{name}/log')
  scale = graph.scalar(f'{name}/slope', slope / std)
  offset = graph.scalar(f'{name}/offset', mean / std)
  return graph.add('Sub', graph.add('Mul', log, scale, name=f'{name}/scaled'), offset, name=f'{name}/logs')
