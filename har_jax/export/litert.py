"""LiteRT, formerly TensorFlow Lite: for phones and small boards, through StableHLO and without TensorFlow.

The converter's Python package has no public function for StableHLO. This uses the internal module of
Google's converter from PyTorch, so pyproject.toml pins its version.
"""

import contextlib
import io
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np

from har_jax import config
from har_jax.export.format import Format, Run
from har_jax.export.merged import Merged

_SIGNATURE = 'recognize'


def _build(merged: Merged, precision: str) -> bytes:
  """One window per call. With int8 weights, LiteRT quantizes activations dynamically."""
  from litert_converter.mlir import ir, passmanager
  from litert_converter.mlir._mlir_libs import converter_api_ext as converter

  window = jax.ShapeDtypeStruct((1, merged.model.window_samples, config.CHANNELS), np.float32)
  # As for a GPU: there, sorting is one operation (`model.sorting`).
  text = jax.jit(merged.recognize).trace(window).lower(lowering_platforms=('cuda',)).as_text()
  context = ir.Context()
  converter.prepare_mlir_context(context)
  with context, ir.Location.unknown():
    module = ir.Module.parse(text)
    _replace_sorts(module)
    converter.set_signature(module.operation, _SIGNATURE, ['signal'], ['probabilities'])
    converter.run_convert_to_tfl_passes(module, passmanager.PassManager(), converter.ConvertToTFLConfig())
    content = converter.export_flatbuffer_to_bytes(module.operation)
  return _quantized(content) if precision == 'int8' else content


def _replace_sorts(module: Any) -> None:
  """Puts TopK of all samples where window statistics sort [1, n, c] along n: LiteRT has no StableHLO sort."""
  from litert_converter.mlir import ir
  from litert_converter.mlir.dialects import stablehlo

  def replace(operation: Any) -> ir.WalkResult:
    if operation.name == 'stablehlo.sort':
      with ir.InsertionPoint(operation):
        rows = stablehlo.transpose(operation.operands[0], (0, 2, 1))
        size = stablehlo.constant(ir.DenseElementsAttr.get(np.array(rows.type.shape[2], np.int32)))
        places = ir.RankedTensorType.get(rows.type.shape, ir.IntegerType.get_signless(32))
        top = ir.Operation.create('tfl.topk_v2', [rows.type, places], [rows, size])
        descending = stablehlo.transpose(top.results[0], (0, 2, 1))
        operation.results[0].replace_all_uses_with(stablehlo.reverse(descending, (1,)))
      operation.erase()
    return ir.WalkResult.ADVANCE

  module.operation.walk(replace, ir.WalkOrder.POST_ORDER)


def _start(content: bytes) -> Run:
  from ai_edge_litert.interpreter import Interpreter

  interpreter = Interpreter(model_content=content, num_threads=1)
  recognize = interpreter.get_signature_runner(_SIGNATURE)
  return lambda signals: recognize(signal=signals)['probabilities']


def _quantized(content: bytes) -> bytes:
  from ai_edge_quantizer import qtyping, quantizer, recipe
  from ai_edge_quantizer.algorithm_manager import AlgorithmName

  # Products without weights: attention and spectra, which int8 would spoil.
  stay_float32 = {
    'regex': '.*',
    'operation': qtyping.TFLOperationName.BATCH_MATMUL,
    'algorithm_key': AlgorithmName.NO_QUANTIZE,
  }

  with tempfile.TemporaryDirectory(prefix='har_jax-') as folder:
    path = pathlib.Path(folder) / 'model.tflite'
    path.write_bytes(content)
    # It prints progress on both streams.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
      quantization = quantizer.Quantizer(str(path))
      quantization.load_quantization_recipe([*recipe.dynamic_wi8_afp32(), stay_float32])
      return bytes(quantization.quantize().quantized_model)


LITERT = Format(
  'litert', 'model.tflite', ('ai-edge-litert', 'ai-edge-quantizer', 'litert-converter'), (), _build, _start
)
