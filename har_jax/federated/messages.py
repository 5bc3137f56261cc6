"""What server and clients send each other: settings, arrays and metrics, and their checks. Needs no Flower.

Whoever sends may be malicious or of another version: whatever is no such message raises UserError.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import numpy as np
from msgspec import Meta, Struct

from har_jax import records
from har_jax.errors import UserError, shorten
from har_jax.federated.federation import Federation
from har_jax.records.cards import Number, Sha256

_Kind = TypeVar('_Kind', bound=Struct)
# A .npy file of version 1.0, as NumPy writes it.   Source: numpy.lib.format.
_MAGIC = b'\x93NUMPY\x01\x00'
_HEADER = re.compile(
  rb"\{'descr': '([<|][fiub]\d)', 'fortran_order': (True|False), "
  rb"'shape': \(((?:\d{1,9}, ?)*\d{0,9})\), \} *\n"
)
_VERSIONS = 'take the same version of har_jax'


class Request(Struct):
  """What a client is asked for, besides the settings. checksum: of the frozen leaves."""

  round: Annotated[int, Meta(ge=1)]
  checksum: Sha256


class Trained(Struct):
  """A client's metrics of a round."""

  windows: Annotated[int, Meta(ge=1, le=10**9)]
  loss: Number
  client: Annotated[int, Meta(ge=0, le=10**9)]


def read_request(entries: Mapping[str, Any]) -> tuple[Federation, Request]:
  """The settings and the rest of a server's message. All settings must be there: none is assumed."""
  entries = dict(entries)
  if missing := [field.name for field in dataclasses.fields(Federation) if field.name not in entries]:
    raise UserError(f'the message of the server lacks {", ".join(missing)}; {_VERSIONS}')
  request = records.check(entries, Request, 'the message of the server', to_do=_VERSIONS)
  federation = Federation.from_entries(entries)
  if request.round > federation.rounds:
    raise UserError(f'the server asks for round {request.round} of {federation.rounds}')
  return federation, request


def read_metrics(entries: Mapping[str, Any] | None, kind: type[_Kind]) -> _Kind:
  """A client's metrics: `Trained`, or `records.ClientScores`."""
  return records.check(dict(entries or {}), kind, 'the metrics', to_do=_VERSIONS)


def read_array(content: bytes) -> np.ndarray:
  """The array of a .npy file, whose header claims no more than it holds; `np.load` would believe it."""
  size = int.from_bytes(content[8:10], 'little')
  header = _HEADER.fullmatch(content[10 : 10 + size])
  if not content.startswith(_MAGIC) or header is None:
    raise UserError(f'an array begins with {shorten(content[:20])}: it is no .npy file of numbers')
  shape = tuple(int(length) for length in header[3].split(b',') if length.strip())
  body, is_fortran = content[10 + size :], header[2] == b'True'
  try:
    dtype = np.dtype(header[1].decode())
    if len(body) != dtype.itemsize * math.prod(shape):
      raise UserError(f'an array has {len(body)} bytes, and its header claims {dtype.name}{list(shape)}')
    array = np.frombuffer(body, dtype).reshape(shape[::-1] if is_fortran else shape)
  except (TypeError, ValueError) as error:  # no such type, or too many dimensions
    raise UserError(f'an array cannot be read: {shorten(error)}') from error
  return array.T if is_fortran else array
