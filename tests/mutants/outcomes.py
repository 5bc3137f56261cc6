"""What became of faults: lines of a file, and tables of them by room.

python tests/mutants/outcomes.py runs/mutants    prints the table of the faults that were tried so far
"""

import collections
import dataclasses
import json
import pathlib
import sys
import tomllib

from faults import Fault

KILLED, SURVIVED, SLOW, UNREACHED, EQUIVALENT = 'killed', 'survived', 'too slow', 'unreached', 'equivalent'
_ALIVE = (SURVIVED, UNREACHED)
_EQUIVALENTS = pathlib.Path(__file__).with_name('equivalents.toml')
# Where a wrong number is hard to see. Of the others, 85 %.
STRICT = (
  *('experiments', 'methods', 'model', 'nf4', 'train', 'datasets/folds.py', 'datasets/splits.py'),
  *('federated/aggregation.py', 'recordings/clocks.py', 'recordings/labels.py', 'report/statistics.py'),
)
_WANTED = {True: '95 %', False: '85 %'}


def equivalents() -> list[tuple[str, str]]:
  """Path of each fault that no test can see, and its change, with the code around it if it is not unique."""
  files = tomllib.loads(_EQUIVALENTS.read_text())
  return [(path, entry) for path, reasons in files.items() for entry in reasons]


def names(path: str, entry: str, fault: Fault) -> bool:
  """Returns whether an equivalent is this fault, by its file as it is now."""
  change, _, within = entry.partition(' within ')
  if (path, change) != (fault.path, fault.change):
    return False
  start, size = pathlib.Path(path).read_bytes().find(within.encode()), len(within.encode())
  return not within or (start >= 0 and start <= fault.start < fault.stop <= start + size)


def write(path: pathlib.Path, fault: Fault, outcome: str) -> None:
  print(f'{outcome}: {fault.path}:{fault.line}: {fault.change}', flush=True)
  with path.open('a') as file:
    file.write(json.dumps({**dataclasses.asdict(fault), 'outcome': outcome}) + '\n')


def read(path: pathlib.Path) -> dict[Fault, str]:
  """Fault → its last outcome."""
  entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
  return {Fault(**entry): outcome for entry in entries for outcome in [entry.pop('outcome')]}


def is_alive(outcome: str) -> bool:
  return outcome in _ALIVE


def _room(fault: Fault) -> str:
  place = fault.path.partition('/')[2]
  return place if place in STRICT else place.partition('/')[0]


def table(folder: pathlib.Path) -> str:
  """Markdown: faults of each room, those killed at first and at last; then each survivor. No equivalents."""
  first, last = (read(folder / f'{name}.jsonl') for name in ('results', 'again'))
  harmless = equivalents()
  counted = [
    fault
    for fault, outcome in first.items()
    if outcome != EQUIVALENT and not any(names(*entry, fault) for entry in harmless)
  ]
  rooms = collections.defaultdict(list)
  for fault in sorted(counted, key=lambda fault: (fault.path, fault.start)):
    rooms[_room(fault)].append(fault)
  alive = [fault for room in rooms.values() for fault in room if is_alive((first | last)[fault])]

  def row(name: str, faults: list[Fault], wanted: str) -> str:
    before, after = (
      sum(not is_alive(outcomes[fault]) for fault in faults) for outcomes in (first, first | last)
    )
    shares = ' | '.join(f'{count} ({count / max(len(faults), 1):.0%})' for count in (before, after))
    return f'| {name} | {len(faults)} | {shares} | {wanted} |'

  strict = [fault for fault in counted if _room(fault) in STRICT]
  lines = ['| room | mutants | killed at first | killed | wanted |', '|---|---|---|---|---|']
  lines += [row(room, rooms[room], _WANTED[room in STRICT]) for room in sorted(rooms)]
  lines += [row('those of 95 %', strict, _WANTED[True]), row('all', counted, _WANTED[False]), '']
  lines += [f'- {each.path}:{each.line}: `{each.change}` ({(first | last)[each]})' for each in alive]
  return '\n'.join(lines) + '\n'


if __name__ == '__main__':
  print(table(pathlib.Path(sys.argv[1])), end='')
