"""`har_jax.model.stem.Stem` and `Classifier.features`' pooling as ONNX nodes, operation by operation.

w windows, n samples, m samples after a stage, c channels, t tokens, d width.
"""

from collections.abc import Callable

import numpy as np

from har_jax import config
from har_jax.export.onnx_features import relative_to_gravity
from har_jax.export.onnx_nodes import Nodes
from har_jax.model import stem, transformer

Layer = Callable[[str, str], str]  # a module's name and its input → its output


def stem_tokens(graph: Nodes, name: str, signal: str, model: config.Model, dense: Layer, norm: Layer) -> str:
  """[w, t, d] of a signal [w, n, c]. `dense` and `norm` add the layers of a module."""
  samples = model.window_samples
  x = _standardized(graph, name, signal, samples)
  channels = 2 * config.CHANNELS
  for i, width in enumerate(model.stem):
    down, conv = f'{name}/down_{i}', f'{name}/conv_{i}'
    samples //= 2
    y = dense(down, _neighbors(graph, down, x, stem.KERNEL if i else stem.FIRST_KERNEL, 2))
    y = graph.add('Relu', norm(f'{name}/norm_down_{i}', y), name=f'{down}/relu')
    y = norm(f'{name}/norm_conv_{i}', dense(conv, _neighbors(graph, conv, y, stem.SECOND_KERNEL, 1)))
    pairs = graph.reshape(x, (samples, 2, channels), f'{name}/pairs_{i}')
    means = graph.add(
      'ReduceMean', pairs, graph.ints(f'{name}/of_pair_{i}', 2), name=f'{name}/means_{i}', keepdims=0
    )
    total = graph.add('Add', y, dense(f'{name}/shortcut_{i}', means), name=f'{conv}/with_shortcut')
    x, channels = graph.add('Relu', total, name=f'{name}/stage_{i}'), width
  return dense(f'{name}/project', x)


def statistics(graph: Nodes, name: str, x: str) -> str:
  """[w, 3 d] of tokens [w, t, d]: mean, maximum, standard deviation."""
  axis = graph.ints(f'{name}/tokens', 1)
  mean = graph.add('ReduceMean', x, axis, name=f'{name}/mean', keepdims=0)
  largest = graph.add('ReduceMax', x, axis, name=f'{name}/max', keepdims=0)
  broadcast_mean = graph.add('ReduceMean', x, axis, name=f'{name}/mean_kept')
  centered = graph.add('Sub', x, broadcast_mean, name=f'{name}/centered')
  squares = graph.add('Mul', centered, centered, name=f'{name}/squares')
  variance = graph.add('ReduceMean', squares, axis, name=f'{name}/variance', keepdims=0)
  epsilon = graph.scalar(f'{name}/std/epsilon', transformer.VAR_EPS)
  positive = graph.add('Add', variance, epsilon, name=f'{name}/std/positive')
  return graph.concat([mean, largest, graph.add('Sqrt', positive, name=f'{name}/std/root')], f'{name}/pooled')


def _standardized(graph: Nodes, name: str, signal: str, samples: int) -> str:
  triads = graph.reshape(signal, (samples, 2, 3), f'{name}/triads')
  acc = graph.add('Gather', triads, graph.ints(f'{name}/first', 0), name=f'{name}/acc', axis=2)
  mean = graph.add('ReduceMean', acc, graph.ints(f'{name}/of_window', 1), name=f'{name}/mean_acc')
  joined = relative_to_gravity(graph, name, triads, mean, 3)
  flat = graph.reshape(joined, (samples, config.CHANNELS), f'{name}/invariant')
  channels = graph.concat([signal, flat], f'{name}/channels')
  centered = graph.add(
    'Sub', channels, graph.constant(f'{name}/mean', np.array(stem.MEAN, np.float32)), name=f'{name}/centered'
  )
  return graph.add(
    'Div',
    centered,
    graph.constant(f'{name}/std', np.array(stem.STD, np.float32)),
    name=f'{name}/standardized',
  )


def _neighbors(graph: Nodes, module: str, x: str, size: int, stride: int) -> str:
  before = (size - 1) // 2
  pads = graph.ints(f'{module}/pads', 0, before, 0, 0, size - 1 - before, 0)
  padded = graph.add('Pad', x, pads, name=f'{module}/padded')
  axis, step = graph.ints(f'{module}/axis', 1), graph.ints(f'{module}/step', stride)
  shifted = []
  for first in range(size):
    # The end counts from the last sample, so that every slice has the same number of samples.
    start, end = (
      graph.ints(f'{module}/{kind}_{first}', value)
      for kind, value in (('start', first), ('end', first - size + 1 or 2**31))
    )
    shifted.append(graph.add('Slice', padded, start, end, axis, step, name=f'{module}/slice_{first}'))
  return graph.concat(shifted, f'{module}/neighbors')
