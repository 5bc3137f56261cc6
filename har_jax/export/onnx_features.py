"""What a token is embedded from, as nodes of ONNX: `har_jax.model.tokens`, operation by operation.

w windows, t tokens, p samples a patch, c channels, f frequencies.
"""

import numpy as np

from har_jax import config
from har_jax.export.onnx_nodes import Nodes
from har_jax.model import tokens

IN_FULL = '/wave'  # ends the names of products that int8 would spoil: powers over many orders of size, of which the logarithm is taken


def given(graph: Nodes, module: str, part: str, model: config.Model) -> str:
  """[w, t, values]. `part`: a stream's channels [w, n, c]; `module`: what node names begin with."""
  channels = config.CHANNELS // model.streams
  if model.invariant_features:
    part = graph.joined([part, _descriptors(graph, module, part, model)], f'{module}/channels')
    channels = 2 * config.CHANNELS
  parts = [graph.reshaped(part, (model.tokens, model.patch_size * channels), f'{module}/patches')]
  if model.log_std or model.invariant_features:
    cut = graph.reshaped(part, (model.tokens, model.patch_size, channels), f'{module}/cut')
    mean = graph.add('ReduceMean', cut, _axis(graph, f'{module}/of_patch', 2), name=f'{module}/mean')
    apart = graph.add('Sub', cut, mean, name=f'{module}/apart')
  if model.log_std:
    squares = graph.add('Mul', apart, apart, name=f'{module}/squares')
    variance = graph.add('ReduceMean', squares, f'{module}/of_patch', name=f'{module}/variance', keepdims=0)
    parts.append(
      _log(graph, f'{module}/deviation', variance, tokens.VAR_EPS, 0.5, tokens.LOG_MEAN, tokens.LOG_DEVIATION)
    )
  if model.invariant_features:
    parts.append(_log_spectrum(graph, f'{module}/spectrum', apart, channels, model))
  return graph.joined(parts, f'{module}/given')


def _descriptors(graph: Nodes, module: str, part: str, model: config.Model) -> str:
  """[w, n, 6]."""
  name = f'{module}/descriptors'
  triads = graph.reshaped(part, (model.tokens, model.patch_size, 2, 3), f'{name}/triads')
  first = graph.constant(f'{name}/first', np.array([0], np.int64))
  acc = graph.add('Gather', triads, first, name=f'{name}/acc', axis=3)
  mean = graph.add('ReduceMean', acc, _axis(graph, f'{name}/of_patch', 2), name=f'{name}/mean')
  xyz = _axis(graph, f'{name}/xyz', 4)
  size = _size(graph, f'{name}/pull', mean, xyz, tokens.GRAVITY_EPS)
  gravity = graph.add('Div', mean, size, name=f'{name}/gravity')
  parts = graph.add('Mul', triads, gravity, name=f'{name}/parts')
  along = graph.add('ReduceSum', parts, xyz, name=f'{name}/along')
  upright = graph.add('Mul', along, gravity, name=f'{name}/upright')
  flat = graph.add('Sub', triads, upright, name=f'{name}/flat')
  sizes = [
    _size(graph, f'{name}/{v}', x, xyz, tokens.NORM_EPS) for v, x in (('whole', triads), ('across', flat))
  ]
  joined = graph.add('Concat', sizes[0], along, sizes[1], name=f'{name}/joined', axis=3)
  return graph.reshaped(joined, (config.WINDOW_SAMPLES, config.CHANNELS), name)


def _size(graph: Nodes, name: str, vectors: str, axis: str, least: float) -> str:
  squares = graph.add('Mul', vectors, vectors, name=f'{name}/squares')
  total = graph.add('ReduceSum', squares, axis, name=f'{name}/total')
  least_square = graph.constant(f'{name}/least', np.float32(least))
  return graph.add('Sqrt', graph.add('Add', total, least_square, name=f'{name}/some'), name=f'{name}/size')


def _log_spectrum(graph: Nodes, name: str, apart: str, channels: int, model: config.Model) -> str:
  """[w, t, f c] of what is left of patches [w, t, p, c] without their means."""
  basis = tokens.dft_basis(model.patch_size)
  by_channel = graph.add('Transpose', apart, name=f'{name}/by_channel', perm=[0, 1, 3, 2])
  squares = []
  for kind, part in (('real', basis.real), ('imaginary', basis.imag)):
    product = graph.add(
      'MatMul',
      by_channel,
      graph.constant(f'{name}/{kind}/basis', part.astype(np.float32)),
      name=f'{name}/{kind}{IN_FULL}',
    )
    squares.append(graph.add('Mul', product, product, name=f'{name}/{kind}/square'))
  total = graph.add('Add', *squares, name=f'{name}/total')
  size = graph.constant(f'{name}/samples', np.float32(model.patch_size))
  power = graph.add('Div', total, size, name=f'{name}/power')
  logs = _log(graph, name, power, tokens.POWER_EPS, 1.0, tokens.LOG_POWER_MEAN, tokens.LOG_POWER_DEVIATION)
  by_frequency = graph.add('Transpose', logs, name=f'{name}/by_frequency', perm=[0, 1, 3, 2])
  return graph.reshaped(by_frequency, (model.tokens, basis.shape[1] * channels), f'{name}/flat')


def _log(graph: Nodes, name: str, x: str, least: float, slope: float, mean: float, deviation: float) -> str:
  """(slope * log(x + least) - mean) / deviation."""
  some = graph.add('Add', x, graph.constant(f'{name}/least', np.float32(least)), name=f'{name}/some')
  log = graph.add('Log', some, name=f'{name}/log')
  scale = graph.constant(f'{name}/slope', np.float32(slope / deviation))
  offset = graph.constant(f'{name}/offset', np.float32(mean / deviation))
  return graph.add('Sub', graph.add('Mul', log, scale, name=f'{name}/sloped'), offset, name=f'{name}/logs')


def _axis(graph: Nodes, name: str, axis: int) -> str:
  return graph.constant(name, np.array([axis], np.int64))
