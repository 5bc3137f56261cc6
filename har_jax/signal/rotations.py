"""Rotation vectors, in radians, as matrices.   n vectors."""

import numpy as np
from jaxtyping import Float

_CROSSES = np.cross(np.eye(3), np.eye(3)[:, None]).reshape(3, 9)  # of unit vectors


def matrices(vectors: Float[np.ndarray, '*n 3']) -> Float[np.ndarray, '*n 3 3']:
  """Rotation matrices: Rodrigues' formula."""
  angles, crosses = angles_and_crosses(vectors)
  return np.eye(3) + np.sin(angles) * crosses + (1 - np.cos(angles)) * (crosses @ crosses)


def angles_and_crosses(
  vectors: Float[np.ndarray, '*n 3'],
) -> tuple[Float[np.ndarray, '*n 1 1'], Float[np.ndarray, '*n 3 3']]:
  """Angles, and matrices whose product with a vector is the cross product of the axis and it."""
  angles = np.maximum(np.linalg.norm(vectors, axis=-1), 1e-9)[..., None, None]
  return angles, cross(vectors) / angles


def cross(vectors: Float[np.ndarray, '*n 3']) -> Float[np.ndarray, '*n 3 3']:
  """Matrices whose product with another vector is the cross product of both."""
  return (vectors @ _CROSSES).reshape(*vectors.shape, 3)
