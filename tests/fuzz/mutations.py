"""Seeded damage to bytes, to lines of text, to JSON and to zips."""

import contextlib
import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors.numpy
import zips

Random = np.random.Generator
# Words where a number was: huge, tiny, not finite, of another type, of another country.
_WORDS = (
  *('nan', 'inf', '-inf', '1e308', '1e-308', '1e999', '-1', '0', '', '1,5', '0x10', 'text', '=1+1', '१२'),
  *('9' * 25, '9' * 400, '1_000', '1.2.3', ' 7 ', 'NaN', 'None', '"', "'", '\x00', '99999999999', '-0.0'),
)
_VALUES: tuple[Any, ...] = (
  *(None, True, '', 'x', 'x' * 100_000, [], {}, [[]], {'a': 1}, -1, 0, 1, 2**31, 2**63, 10**12, 10**400),
  *(1.5, 1e308, float('nan'), float('inf'), '\ud800', '\x00', '<script>', [None], '1', ['a', 1]),
)

_NUMBERS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 2.0, 1e-40, 1e6, -1e9, 2.0**31 - 1, 1e30)


def damaged_bytes(content: bytes, rng: Random) -> bytes:
  """One to three flips, cuts, repeats, insertions or overwritten stretches."""
  data = bytearray(content)
  for _ in range(rng.integers(1, 4)):
    if not data:
      data += rng.bytes(3)
    position = int(rng.integers(len(data)))
    size = int(min(rng.choice([1, 2, 8, 100, 5000]), len(data) - position))
    kind = rng.integers(7)
    if kind <= 1:
      data[position] ^= 1 << rng.integers(8)
    elif kind == 2:
      del data[position : position + size]
    elif kind == 3:
      data[position:position] = data[position : position + size]
    elif kind == 4:
      data[position:position] = rng.bytes(size)
    elif kind == 5:
      data[position : position + size] = bytes([rng.choice([0, 255])]) * size
    else:
      del data[position:]
  return bytes(data)


def damaged_text(content: bytes, rng: Random) -> bytes:
  """Damage to lines and fields, or now and then to bytes."""
  lines = content.split(b'\n')
  for _ in range(rng.integers(1, 4)):
    position = int(rng.integers(len(lines)))
    kind = rng.integers(10)
    if kind == 0:
      return damaged_bytes(b'\n'.join(lines), rng)
    if kind == 1:
      lines.insert(position, lines[int(rng.integers(len(lines)))])
    elif kind == 2 and len(lines) > 1:
      del lines[position]
    elif kind == 3:
      other = int(rng.integers(len(lines)))
      lines[position], lines[other] = lines[other], lines[position]
    elif kind == 4:
      lines[position] = lines[position].replace(b'.', b',')
    elif kind == 5 and rng.integers(10) == 0:
      lines[position] *= 200_000 // (len(lines[position]) + 1) + 1
    elif kind == 6:
      column = rng.integers(1, 8)  # of every line, as a phone in another country writes them
      lines = [_with_field(line, column, lambda field: field.replace(b'.', b',')) for line in lines]
    else:
      word = str(rng.choice(_WORDS)).encode()
      lines[position] = _with_field(lines[position], rng.integers(10), lambda _, word=word: word)
  return b'\n'.join(lines)


def _with_field(line: bytes, column: int, change: Callable[[bytes], bytes]) -> bytes:
  delimiter = next((mark for mark in (b',', b';', b'\t', b' ') if mark in line), b',')
  fields = line.split(delimiter)
  fields[column % len(fields)] = change(fields[column % len(fields)])
  return delimiter.join(fields)


def damaged_json(content: bytes, rng: Random) -> bytes:
  """A value of another type or size, a missing, repeated or strange entry, deep nesting; or damaged bytes."""
  if rng.integers(8) == 0:
    return damaged_bytes(content, rng)
  if rng.integers(40) == 0:
    return b'[' * 100_000 + b']' * 100_000
  return json.dumps(damaged_value(json.loads(content), rng), ensure_ascii=True).encode()


def damaged_value_of_json(content: bytes, rng: Random) -> bytes:
  """Damages what stays JSON: a message whose entries are read already."""
  return json.dumps(damaged_value(json.loads(content), rng)).encode()


def damaged_value(value: Any, rng: Random) -> Any:
  value = copy.deepcopy(value)
  for _ in range(rng.integers(1, 3)):
    places = list(_places(value))
    if not places:
      return _VALUES[int(rng.integers(len(_VALUES)))]
    holder, key = places[int(rng.integers(len(places)))]
    kind = rng.integers(6)
    if kind == 0:
      del holder[key]
    elif kind == 1 and isinstance(holder, list):
      holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == 1:
      holder[str(rng.choice(_WORDS))] = holder[key]
    elif kind == 2 and isinstance(holder[key], int | float):
      with contextlib.suppress(OverflowError):  # a whole number that no float holds stays
        holder[key] = holder[key] * float(rng.choice([-1, 1e3, 1e12, 1.0001]))
    else:
      holder[key] = copy.deepcopy(_VALUES[int(rng.integers(len(_VALUES)))])
  return value


def _places(value: Any):
  """(holder, key) of every entry, at any depth."""
  for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
    yield value, key
    yield from _places(value[key])


def damaged_export(content: bytes, rng: Random) -> bytes:
  """Damage of the kind that the content has: a zip, JSON, text or bytes."""
  if content.startswith(b'PK'):
    return damaged_member(content, rng) if rng.integers(4) else damaged_bytes(content, rng)
  with contextlib.suppress(UnicodeDecodeError):
    text = content.decode()
    return damaged_json(content, rng) if text.lstrip().startswith(('{', '[')) else damaged_text(content, rng)
  return damaged_bytes(content, rng)


def forged_leaves(content: bytes, rng: Random) -> bytes:
  """A safetensors file with other numbers, types, shapes or names; or damaged bytes."""
  if rng.integers(8) == 0:
    return damaged_bytes(content, rng)
  leaves = safetensors.numpy.load(content)
  for _ in range(rng.integers(1, 3)):
    path = str(rng.choice(sorted(leaves)))
    leaf, kind = leaves[path].copy(), rng.integers(7)
    if kind == 0 and len(leaves) > 1:
      del leaves[path]
    elif kind == 1:
      leaves[str(rng.choice([f'{path}/x', '', '../x', 'x' * 1000]))] = leaf
    elif kind == 2:
      with np.errstate(all='ignore'):
        leaves[path] = leaf.astype(str(rng.choice(['f2', 'f4', 'f8', 'i1', 'i8', 'u1', 'bool'])))
    elif kind == 3:
      rows = np.atleast_1d(leaf)
      other = rows[:0], rows[: len(rows) // 2], np.concatenate([rows, rows]), rows[None]
      leaves[path] = other[rng.integers(len(other))]
    elif leaf.size:
      place = ... if kind == 4 else int(rng.integers(leaf.size))
      with np.errstate(all='ignore'):
        leaf.reshape(-1)[place] = np.array(rng.choice(_NUMBERS)).astype(leaf.dtype)
      leaves[path] = leaf
  return safetensors.numpy.save(leaves)


def damaged_member(content: bytes, rng: Random) -> bytes:
  """A zip, one member of which is damaged as text, at any depth; or without, or with other members."""
  members = zips.unzipped(content)
  names = list(members)
  name = names[int(rng.integers(len(names)))]
  kind = rng.integers(12)
  if kind == 0:
    del members[name]
  elif kind == 1:
    members[str(rng.choice(['../x', '/x', 'x' * 300, 'a\x00b', 'copy/' + name, name + '.zip']))] = members[
      name
    ]
  elif kind == 2:
    members[name] = bytes(200 << 20) if rng.integers(20) == 0 else b''
  elif members[name][:2] == b'PK':
    members[name] = damaged_member(members[name], rng)
  else:
    members[name] = damaged_text(members[name], rng)
  return zips.zipped(members)
