"""`har_jax.signal.statistics` as ONNX nodes, operation by operation.

w windows, n samples, c channels, s spectral bins, d bands, f statistics.
"""

import numpy as np

from har_jax import config
from har_jax.export.onnx_nodes import Nodes
from har_jax.model.transformer import TO_PHYSICAL
from har_jax.signal import statistics

_CHANNELS = len(statistics.CHANNELS)
_ENDS = {'first': 0, 'second': 1, 'last': -1, 'end': 2**31}  # of slices of consecutive samples


def window_statistics(graph: Nodes, name: str, signal: str, model: config.Model) -> str:
  """[w, f] of a signal [w, n, 6] in g and rad/s."""
  samples = model.window_samples
  time = graph.ints(f'{name}/time', 1)
  channels = _with_norms(graph, name, signal, samples)
  means = graph.add('ReduceMean', channels, time, name=f'{name}/means')
  centered = graph.add('Sub', channels, means, name=f'{name}/centered')
  squares = graph.add('Mul', centered, centered, name=f'{name}/squares')
  variances = graph.add('ReduceMean', squares, time, name=f'{name}/variances')
  deviations = graph.add('Sqrt', variances, name=f'{name}/deviations')
  is_above = _is_more(graph, f'{name}/is_above', centered, statistics.LEAST_EXCESS)
  above = graph.add('Cast', is_above, name=f'{name}/above', to=1)  # float32
  steps, crossings = (
    _steps(graph, f'{name}/{kind}', x) for kind, x in (('steps', channels), ('sign', above))
  )
  power = _power(graph, f'{name}/power', centered, samples)
  frequencies_hz, bands = statistics.spectral_bins(samples, model.rate_hz)
  parts = {
    'mean': means,
    'deviation': deviations,
    'quantiles': _quantiles(graph, f'{name}/quantiles', channels, samples),
    'step': graph.add('ReduceMean', steps, time, name=f'{name}/step'),
    'crossings': graph.add('ReduceSum', crossings, time, name=f'{name}/crossings'),
    'peak': _peak(graph, f'{name}/peak', power, frequencies_hz),
    'bands': _log_sums(graph, f'{name}/bands', power, bands),
    'correlations': _correlations(graph, f'{name}/correlations', centered, deviations, samples),
  }
  flat = [graph.reshape(part, (-1,), f'{name}/{kind}/flat') for kind, part in parts.items()]
  return graph.concat(flat, f'{name}/all')


def _with_norms(graph: Nodes, name: str, signal: str, samples: int) -> str:
  physical = graph.add('Mul', signal, graph.constant(f'{name}/units', TO_PHYSICAL), name=f'{name}/physical')
  triads = graph.reshape(physical, (samples, 2, 3), f'{name}/sensors')
  squares = graph.add('Mul', triads, triads, name=f'{name}/squared')
  axes = graph.ints(f'{name}/axes', 3)
  totals = graph.add('ReduceSum', squares, axes, name=f'{name}/totals', keepdims=0)
  return graph.concat([physical, graph.add('Sqrt', totals, name=f'{name}/norms')], f'{name}/channels')


def _quantiles(graph: Nodes, name: str, channels: str, samples: int) -> str:
  """[w, quantiles, c]: each is a weighted sum of sorted samples."""
  import onnx

  size, ascending = graph.ints(f'{name}/size', samples), f'{name}/ascending'
  graph.nodes.append(
    onnx.helper.make_node(
      'TopK', [channels, size], [ascending, f'{name}/order'], name=ascending, axis=1, largest=0
    )
  )
  weights = np.stack(statistics.quantiles(np.eye(samples, dtype=np.float32)[None]))[:, 0]
  return _product(graph, name, weights, ascending)


def _steps(graph: Nodes, name: str, x: str) -> str:
  """Absolute differences of consecutive samples."""
  axis = graph.ints(f'{name}/axis', 1)
  first, second, last, end = (graph.ints(f'{name}/{kind}', index) for kind, index in _ENDS.items())
  later = graph.add('Slice', x, second, end, axis, name=f'{name}/later')
  earlier = graph.add('Slice', x, first, last, axis, name=f'{name}/earlier')
  return graph.add('Abs', graph.add('Sub', later, earlier, name=f'{name}/difference'), name=name)


def _power(graph: Nodes, name: str, centered: str, samples: int) -> str:
  """[w, s, c]."""
  squares = []
  for kind, basis in zip(('real', 'imaginary'), statistics.fourier_basis(samples), strict=True):
    product = _product(graph, f'{name}/{kind}', basis.T / samples, centered)
    squares.append(graph.add('Mul', product, product, name=f'{name}/{kind}/square'))
  return graph.add('Add', *squares, name=name)


def _peak(graph: Nodes, name: str, power: str, frequencies_hz: np.ndarray) -> str:
  is_known = _is_more(graph, f'{name}/is_more', power, statistics.LEAST_POWER)
  zero = graph.scalar(f'{name}/zero', 0)
  loud = graph.add('Where', is_known, power, zero, name=f'{name}/known')
  bins = graph.add('ArgMax', loud, name=f'{name}/bin', axis=1)
  return graph.add('Gather', graph.constant(f'{name}/frequencies', frequencies_hz), bins, name=name, axis=0)


def _log_sums(graph: Nodes, name: str, power: str, bands: np.ndarray) -> str:
  """[w, d, c]."""
  sums = _product(graph, f'{name}/sums', bands.T, power)
  epsilon = graph.scalar(f'{name}/epsilon', statistics.POWER_EPS)
  return graph.add('Log', graph.add('Add', sums, epsilon, name=f'{name}/positive'), name=name)


def _correlations(graph: Nodes, name: str, centered: str, deviations: str, samples: int) -> str:
  is_varying = _is_more(graph, f'{name}/is_varying', deviations, statistics.LEAST_DEVIATION)
  infinite = graph.scalar(f'{name}/infinite', np.inf)
  divisors = graph.add('Where', is_varying, deviations, infinite, name=f'{name}/divisors')
  scaled = graph.add('Div', centered, divisors, name=f'{name}/scaled')
  by_channel = graph.add('Transpose', scaled, name=f'{name}/by_channel', perm=[0, 2, 1])
  products = graph.add('MatMul', by_channel, scaled, name=f'{name}/products')
  mean = graph.add('Div', products, graph.scalar(f'{name}/samples', samples), name=f'{name}/mean')
  flat = graph.reshape(mean, (_CHANNELS**2,), f'{name}/matrix')
  pairs = np.ravel_multi_index(np.triu_indices(_CHANNELS, k=1), (_CHANNELS, _CHANNELS))
  return graph.add('Gather', flat, graph.constant(f'{name}/pairs', pairs), name=name, axis=1)


def _product(graph: Nodes, name: str, left: np.ndarray, right: str) -> str:
  constant = graph.constant(f'{name}/weights', left.astype(np.float32))
  return graph.add('MatMul', constant, right, name=name)


def _is_more(graph: Nodes, name: str, x: str, threshold: float) -> str:
  return graph.add('Greater', x, graph.scalar(f'{name}/threshold', threshold), name=name)
