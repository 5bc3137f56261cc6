"""ONNX, the graph written node by node: for ONNX Runtime and other readers, in browsers and on phones.

Names in the graph are those of the variables, such as encoder/block_3/attention/query.
w windows, t tokens, d width, h heads, k head width.
"""

import json
import pathlib
import tempfile
from typing import Any

import numpy as np

import har_jax
from har_jax import config
from har_jax.export import onnx_statistics, onnx_stem
from har_jax.export.format import Files, Format, Run
from har_jax.export.merged import BATCH_NORM_EPSILON, LAYER_NORM_EPSILON, Merged
from har_jax.export.onnx_features import KEEP_FLOAT32, patch_features
from har_jax.export.onnx_nodes import Nodes
from har_jax.model import head_input_limits, head_input_widths
from har_jax.model.layers import stream_name

_OPSET = 20  # the first with Gelu
_IR_VERSION = 9  # of the same age: older runtimes refuse the newest, which onnx writes by default


def _build(merged: Merged, precision: str) -> bytes:
  """int8: activations are quantized dynamically with one scale per call, so a call takes one window."""
  import onnx

  graph = _Graph(merged)
  probabilities = graph.head(graph.encoder(graph.normalize('signal')))
  graph.add('Identity', probabilities, name='probabilities')
  windows = 'windows' if precision == 'float32' else 1
  float32 = onnx.TensorProto.FLOAT
  model = onnx.helper.make_model(
    onnx.helper.make_graph(
      graph.nodes,
      'har_jax',
      [
        onnx.helper.make_tensor_value_info(
          'signal', float32, [windows, merged.model.window_samples, config.CHANNELS]
        )
      ],
      [onnx.helper.make_tensor_value_info('probabilities', float32, [windows, len(merged.classes)])],
      graph.constants,
    ),
    opset_imports=[onnx.helper.make_opsetid('', _OPSET)],
    ir_version=_IR_VERSION,
    producer_name='har_jax',
    producer_version=har_jax.__version__,
  )
  onnx.checker.check_model(model, full_check=True)
  if precision == 'int8':
    model = _quantized(model)
  onnx.helper.set_model_props(model, {'classes': json.dumps(merged.classes, ensure_ascii=False)})
  return model.SerializeToString()


def _start(content: bytes) -> Run:
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = 1  # one window is too little work for more, and a phone has other tasks
  session = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
  return lambda signals: session.run(['probabilities'], {'signal': signals})[0]


def _quantized(model: Any) -> Any:
  import onnx
  from onnxruntime import quantization

  model = onnx.shape_inference.infer_shapes(model)
  # The quantizer warns without this mark of the shape inference above.
  onnx.helper.set_model_props(model, {'onnx.quant.pre_process': 'onnxruntime.quant'})
  with tempfile.TemporaryDirectory(prefix='har_jax-') as folder:
    path = pathlib.Path(folder) / 'model.onnx'
    quantization.quantize_dynamic(
      model,
      path,
      per_channel=True,
      # Unsigned, as activations are: an x86 without VNNI adds signed products in 16 bits, which overflows.
      weight_type=quantization.QuantType.QUInt8,
      op_types_to_quantize=['MatMul'],
      nodes_to_exclude=[node.name for node in model.graph.node if node.name.endswith(KEEP_FLOAT32)],
      extra_options={'MatMulConstBOnly': True},  # attention, a product of activations, stays float32
    )
    return onnx.load(path)


class _Graph(Nodes):
  """The graph of a merged model."""

  def __init__(self, merged: Merged):
    super().__init__()
    self._merged, self._model = merged, merged.model

  def normalize(self, signal: str) -> str:
    mean = self.constant('mean', self._merged.mean)
    scale = self.constant('scale', self._merged.scale)
    return self.add('Mul', self.add('Sub', signal, mean, name='centered'), scale, name='normalized')

  def encoder(self, signal: str) -> str:
    """[w, f]: the head's input."""
    model = self._model
    parts = [self._pooled('encoder', signal, model)]
    if model.side is not None:
      parts.append(self._pooled('side_encoder', signal, model.side))
    if model.window_statistics:
      parts.append(onnx_statistics.window_statistics(self, 'statistics', signal, model))
    return self.concat(parts, 'features') if len(parts) > 1 else parts[0]

  def _pooled(self, encoder: str, signal: str, model: config.Model) -> str:
    """[w, d], or [w, 3 d]."""
    if model.stem:
      tokens = onnx_stem.stem_tokens(self, f'{encoder}/embed', signal, model, self._dense, self._norm)
    else:
      embedded = []
      for i, part in enumerate(self._split(signal, f'{encoder}/sensors', model.streams)):
        module = f'{encoder}/{stream_name("embed", i, model.streams)}'
        embedded.append(self._dense(module, patch_features(self, module, part, model)))
      tokens = self.concat(embedded, f'{encoder}/embedded')
    tokens = self.add('Add', tokens, self._leaf(f'{encoder}/positions'), name=f'{encoder}/with_positions')
    for i in range(model.depth):
      tokens = self._block(f'{encoder}/block_{i}', tokens, model)
    tokens = self._norm(f'{encoder}/norm', tokens)
    if model.pooling == 'statistics':
      return onnx_stem.statistics(self, f'{encoder}/pool', tokens)
    axis = self.ints(f'{encoder}/tokens', 1)
    return self.add('ReduceMean', tokens, axis, name=f'{encoder}/mean', keepdims=0)

  def head(self, features: str) -> str:
    """[w, y]: probabilities. Each BatchNorm is folded into the dense layer before it."""
    last = len(self._model.head)
    if not last:
      features = self._standardize('head/standardize', features)
    for i in range(last):
      features = self.add(
        'Relu', self._dense(f'head/dense_{i}', features, f'head/norm_{i}'), name=f'head/relu_{i}'
      )
    temperature = self.scalar('temperature', self._merged.temperature)
    logits = self.add('Div', self._dense(f'head/dense_{last}', features), temperature, name='logits')
    return self.add('Softmax', logits, name='softmax', axis=-1)

  def _standardize(self, module: str, x: str) -> str:
    mean, scale = (
      self.constant(f'{module}/{name}', self._value(f'{module}/{name}', 'batch_stats'))
      for name in ('mean', 'scale')
    )
    scaled = self.add(
      'Mul', self.add('Sub', x, mean, name=f'{module}/centered'), scale, name=f'{module}/scaled'
    )
    limits = head_input_limits(head_input_widths(self._model))
    most, least = (
      self.constant(f'{module}/{name}', value) for name, value in (('most', limits), ('least', -limits))
    )
    return self.add('Max', self.add('Min', scaled, most, name=f'{module}/at_most'), least, name=module)

  def _block(self, module: str, x: str, model: config.Model) -> str:
    halves = self._split(self._norm(f'{module}/norm_attention', x), f'{module}/halves', model.streams)
    attended = [
      self._attention(f'{module}/{stream_name("attention", i, model.streams)}', half, model)
      for i, half in enumerate(halves)
    ]
    x = self.add('Add', x, self.concat(attended, f'{module}/attended'), name=f'{module}/with_attention')
    up = self._dense(f'{module}/up', self._norm(f'{module}/norm_ffn', x))
    hidden = self.add('Gelu', up, name=f'{module}/gelu', approximate='tanh')
    return self.add('Add', x, self._dense(f'{module}/down', hidden), name=f'{module}/with_ffn')

  def _attention(self, module: str, x: str, model: config.Model) -> str:
    num_heads, width = model.num_heads // model.streams, model.width // model.streams
    q, k, v = (
      self.add(
        'Transpose',
        self.reshape(
          self._dense(f'{module}/{name}', x),
          (model.tokens, num_heads, width // num_heads),
          f'{module}/{name}/heads',
        ),
        name=f'{module}/{name}/by_head',
        perm=[0, 2, 3, 1] if name == 'key' else [0, 2, 1, 3],
      )
      for name in ('query', 'key', 'value')
    )
    scale = self.scalar(f'{module}/scale', (width // num_heads) ** -0.5)
    scores = self.add(
      'Mul', self.add('MatMul', q, k, name=f'{module}/products'), scale, name=f'{module}/scores'
    )
    weights = self.add('Softmax', scores, name=f'{module}/weights', axis=-1)
    mixed = self.add(
      'Transpose',
      self.add('MatMul', weights, v, name=f'{module}/mixed'),
      name=f'{module}/by_token',
      perm=[0, 2, 1, 3],
    )
    return self._dense(f'{module}/output', self.reshape(mixed, (model.tokens, width), f'{module}/joined'))

  def _dense(self, module: str, x: str, batch_norm: str = '') -> str:
    kernel, bias = (self._value(f'{module}/{name}') for name in ('kernel', 'bias'))
    if batch_norm:
      scale = self._value(f'{batch_norm}/scale') / np.sqrt(
        self._value(f'{batch_norm}/var', 'batch_stats') + BATCH_NORM_EPSILON
      )
      kernel = kernel * scale[None]
      bias = (bias - self._value(f'{batch_norm}/mean', 'batch_stats')) * scale + self._value(
        f'{batch_norm}/bias'
      )
    product = self.add('MatMul', x, self.constant(f'{module}/kernel', kernel), name=f'{module}/product')
    return self.add('Add', product, self.constant(f'{module}/bias', bias), name=module)

  def _norm(self, module: str, x: str) -> str:
    scale, bias = (self._leaf(f'{module}/{name}') for name in ('scale', 'bias'))
    return self.add('LayerNormalization', x, scale, bias, name=module, axis=-1, epsilon=LAYER_NORM_EPSILON)

  def _split(self, x: str, name: str, streams: int) -> list[str]:
    """The last axis cut into one part per stream."""
    import onnx

    if streams == 1:
      return [x]
    halves = [f'{name}_{i}' for i in range(streams)]
    self.nodes.append(
      onnx.helper.make_node('Split', [x], halves, name=name, axis=-1, num_outputs=len(halves))
    )
    return halves

  def _leaf(self, path: str) -> str:
    return self.constant(path, self._value(path))

  def _value(self, path: str, collection: str = 'params') -> np.ndarray:
    return self._merged.variables[f'{collection}/{path}']


def _runner(files: Files) -> Files:
  """The script that recognizes recordings with NumPy and ONNX Runtime alone."""
  return {'predict.py': (pathlib.Path(__file__).parent / 'predict.py').read_bytes()}


ONNX = Format('onnx', 'model.onnx', ('onnx', 'onnxruntime'), ('float32',), _build, _start, _runner)
