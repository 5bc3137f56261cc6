"""A fitted recognizer as a file for other runtimes: windows in physical units go in, probabilities come out.

<folder>/model.onnx | model.tflite | model.stablehlo    the merged model, normalization and temperature within
<folder>/model.json                                     classes, shapes, units, rate, and what it was made of
"""

from har_jax.export.exporter import FORMATS, PRECISIONS, Export, load, make, refuse_without, write

__all__ = ['FORMATS', 'PRECISIONS', 'Export', 'load', 'make', 'refuse_without', 'write']
