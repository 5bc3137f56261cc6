"""A fitted recognizer as a file for other runtimes: from windows in physical units to probabilities.

<folder>/model.onnx | model.tflite | model.stablehlo    the merged model, with normalization and temperature
<folder>/model.json                                     classes, shapes, units, rate, adapter, versions
<folder>/predict.py                                     next to ONNX: recordings, without this package
<folder>/index.html and more                            for a browser
"""

from har_jax.export.exporter import FORMATS, PRECISIONS, Export, check_installed, load, make, write

__all__ = ['FORMATS', 'PRECISIONS', 'Export', 'check_installed', 'load', 'make', 'write']
