"""Frames: where a device's axes point, as a signed permutation per sensor. Rotation vectors as matrices.

A device worn in another way rotates both sensors alike. An app that negates acceleration or swaps columns
changes one sensor or both.   n rotation vectors, in radians.
"""

import dataclasses
import itertools

import numpy as np
from jaxtyping import Float

from har_jax import config_fields
from har_jax.errors import UserError

_NAMES = 'xyz'
_CROSSES = np.cross(np.eye(3), np.eye(3)[:, None]).reshape(3, 9)  # of unit vectors
_EXAMPLES = 'give auto, as_is, flip, or axes such as -x,-y,z or y,x,z,y,x,z'


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
  """Measured axes, with their signs, that stand for x, y and z of each sensor."""

  acc: Float[np.ndarray, '3 3']
  gyro: Float[np.ndarray, '3 3']

  def __call__(self, signals: Float[np.ndarray, '... 6']) -> Float[np.ndarray, '... 6']:
    """Acceleration x y z and angular velocity x y z, in the new axes and the same dtype."""
    acc, gyro = signals[..., :3] @ self.acc.T, signals[..., 3:] @ self.gyro.T
    return np.concatenate([acc, gyro], axis=-1).astype(signals.dtype)

  def after(self, first: 'Frame') -> 'Frame':
    """Combines two frames, `first` before this one."""
    return Frame(self.acc @ first.acc, self.gyro @ first.gyro)

  def __str__(self) -> str:
    """Text that `parse` reads: three axes where rotation follows from acceleration, else six."""
    if np.array_equal(self.gyro, derive_frame(self.acc).gyro):
      return _write_axes(self.acc)
    return f'{_write_axes(self.acc)},{_write_axes(self.gyro)}'


def derive_frame(acc: Float[np.ndarray, '3 3']) -> Frame:
  """Gives acceleration its axes, and the gyroscope those with which it rotates gravity as before.

  Angular velocity is a pseudovector: a mirrored frame negates it once more. So acceleration of the opposite
  sign on all axes leaves it unchanged, as on iOS.
  """
  return Frame(acc, np.linalg.det(acc).round() * acc)


def parse(text: str) -> Frame:
  """Reads 'as_is', 'flip' (acceleration of the opposite sign), three axes of acceleration, or six of both.

  Raises UserError otherwise.
  """
  config_fields.check_value('frame', text, _EXAMPLES, kind=str)
  words = {'as_is': 'x,y,z', 'flip': '-x,-y,-z'}.get(text, text).replace(' ', '').split(',')
  if len(words) not in (3, 6):
    raise UserError(f'the frame is {text!r}; {_EXAMPLES}')
  matrices = [_matrix(words[start : start + 3], text) for start in range(0, len(words), 3)]
  return derive_frame(matrices[0]) if len(matrices) == 1 else Frame(*matrices)


def signed_permutations() -> Float[np.ndarray, '48 3 3']:
  """All ways to name and orient three orthogonal axes: 24 rotations, and their mirror images."""
  orders = np.eye(3)[list(itertools.permutations(range(3)))]
  signs = np.array(list(itertools.product((1.0, -1.0), repeat=3)))
  return (orders[:, None] * signs[..., None]).reshape(-1, 3, 3) + 0.0  # without negative zeros


def _matrix(words: list[str], text: str) -> Float[np.ndarray, '3 3']:
  matrix = np.zeros((3, 3))
  for row, word in enumerate(words):
    axis = word.lstrip('+-')
    if len(word) - len(axis) > 1 or axis not in tuple(_NAMES):
      raise UserError(f'the frame is {text!r}; {_EXAMPLES}')
    matrix[row, _NAMES.index(axis)] = -1.0 if word.startswith('-') else 1.0
  if not matrix.any(axis=0).all():
    raise UserError(f'the frame {text!r} has an axis twice; {_EXAMPLES}')
  return matrix


def _write_axes(matrix: Float[np.ndarray, '3 3']) -> str:
  axes = np.abs(matrix).argmax(axis=1)
  return ','.join('-' * bool(row[axis] < 0) + _NAMES[axis] for row, axis in zip(matrix, axes, strict=True))


def rotation_matrices(vectors: Float[np.ndarray, '*n 3']) -> Float[np.ndarray, '*n 3 3']:
  """Matrices of rotation vectors: Rodrigues' formula."""
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


AS_IS, FLIP = parse('as_is'), parse('flip')
ROTATIONS = signed_permutations()
ROTATIONS = ROTATIONS[np.linalg.det(ROTATIONS) > 0]  # the identity first
