"""Nodes of an ONNX graph, and its constants.   w windows."""

from typing import Any

import numpy as np


class Nodes:
  """The nodes so far. Each method adds some, and gives the name of what they compute."""

  def __init__(self) -> None:
    self.nodes: list[Any] = []
    self.constants: list[Any] = []

  def add(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
    import onnx

    self.nodes.append(onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
    return name

  def joined(self, parts: list[str], name: str) -> str:
    return parts[0] if len(parts) == 1 else self.add('Concat', *parts, name=name, axis=-1)

  def reshaped(self, x: str, shape: tuple[int, ...], name: str) -> str:
    """[w, *shape], however many windows there are: 0 stands for as many as x has."""
    return self.add('Reshape', x, self.constant(f'{name}/shape', np.array([0, *shape], np.int64)), name=name)

  def constant(self, name: str, value: Any) -> str:
    import onnx

    self.constants.append(onnx.numpy_helper.from_array(np.asarray(value, order='C'), name))
    return name
