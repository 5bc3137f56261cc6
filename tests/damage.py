"""Damage to files, seeded: what a disk, a network or an editor may do to one."""

import json
import random
from collections.abc import Iterator
from typing import Any

_WRONG = (None, True, -1, 0, 10**12, 1e308, float('nan'), 'x', '', [], {}, [1, 'a'], {'a': 1})


def flipped(content: bytes, cases: int, *, seed: int = 0) -> Iterator[bytes]:
  """The content with a bit flipped, a byte replaced, 64 bytes of zeros, or its end cut off."""
  rng = random.Random(seed)
  while cases:
    damaged, at = bytearray(content), rng.randrange(len(content))
    match rng.choice(('bit', 'bit', 'byte', 'zeros', 'cut')):
      case 'bit':
        damaged[at] ^= 1 << rng.randrange(8)
      case 'byte':
        damaged[at] = rng.randrange(256)
      case 'zeros':
        damaged[at : at + 64] = bytes(len(damaged[at : at + 64]))
      case 'cut':
        del damaged[at:]
    if bytes(damaged) != content:
      cases -= 1
      yield bytes(damaged)


def edited(entries: dict[str, Any], cases: int, *, seed: int = 0) -> Iterator[dict[str, Any]]:
  """JSON entries with one of them, at any depth, missing or of another value and type."""
  rng = random.Random(seed)
  for _ in range(cases):
    changed = json.loads(json.dumps(entries))
    *above, last = rng.choice(list(_paths(changed)))
    holder = changed
    for key in above:
      holder = holder[key]
    if rng.random() < 0.3:
      del holder[last]
    else:
      holder[last] = rng.choice([value for value in _WRONG if value != holder[last]])
    yield changed


def _paths(value: Any, above: tuple = ()) -> Iterator[tuple]:
  """Where each entry is: its keys and indices from the top."""
  entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
  for key, entry in entries:
    yield (*above, key)
    yield from _paths(entry, (*above, key))
