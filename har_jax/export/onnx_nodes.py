"""Nodes and constants of an ONNX graph.   w windows."""

from typing import Any

import numpy as np


class Nodes:
  """A graph under construction. Each method adds nodes and returns the name of their output."""

  def __init__(self) -> None:
    self.nodes: list[Any] = []
    self.constants: list[Any] = []

  def add(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
    import onnx

    self.nodes.append(onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
    return name

  def concat(self, parts: list[str], name: str) -> str:
    return parts[0] if len(parts) == 1 else self.add('Concat', *parts, name=name, axis=-1)

  def reshape(self, x: str, shape: tuple[int, ...], name: str) -> str:
    """[w, *shape] for any w: in ONNX, a 0 keeps the size of the axis."""
    return self.add('Reshape', x, self.ints(f'{name}/shape', 0, *shape), name=name)

  def constant(self, name: str, value: Any) -> str:
    import onnx

    self.constants.append(onnx.numpy_helper.from_array(np.asarray(value, order='C'), name))
    return name

  def ints(self, name: str, *values: int) -> str:
    """Axes, sizes and indices."""
    return self.constant(name, np.array(values, np.int64))

  def scalar(self, name: str, value: float) -> str:
    return self.constant(name, np.float32(value))
