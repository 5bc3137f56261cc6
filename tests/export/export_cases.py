"""Classes and error bounds of the tests of exports."""

from har_jax import config, records, runtime

CLASSES = ['walking', 'lying', 'sitting', 'Überquerung']  # not sorted: an export keeps the adapter's order
# Without the wide linear embedding, whose random adapters would multiply all rounding.
LORA = config.Lora(rank=4, alpha=8.0, targets=('query', 'key', 'value', 'output', 'up', 'down'))
FLOAT32 = config.Precision()
# What the command measures of an export.
MEASURED = records.MeasuredExport(
  format='onnx',
  precision='float32',
  bytes=1,
  ms=1.0,
  ms_quartiles=[0.5, 1.5],
  repeats=3,
  device=runtime.device(),
)
# Largest error of a probability. float32: order of summation. int8: weights, and activations in 255 steps.
BOUND = {'float32': 2e-5, 'int8': 0.12}
