"""Which results may share a table: those of one experiment, on the same windows."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from har_jax import results
from har_jax.errors import UserError

_METHODS = ('full', 'scratch', 'probe', 'lora', 'qlora')  # their order in tables; others follow by name


@dataclasses.dataclass(frozen=True)
class Group:
  """Results of one experiment: target × method × seed, each at most once."""

  experiment: dict[str, Any]
  runs: dict[tuple[str, str], dict[int, dict[str, Any]]]  # (target, method) → seed → result
  windows: dict[str, dict[str, Any]]  # dataset → checksum, position, ...
  sources: dict[str, list[str]]  # target → datasets of pretraining

  @property
  def every_run(self) -> list[dict[str, Any]]:
    return [result for by_seed in self.runs.values() for result in by_seed.values()]

  @property
  def targets(self) -> list[str]:
    return sorted(self.sources)

  @property
  def methods(self) -> list[str]:
    found = {method for _, method in self.runs}
    return [name for name in _METHODS if name in found] + sorted(found.difference(_METHODS))

  @property
  def seeds(self) -> list[int]:
    return sorted({seed for by_seed in self.runs.values() for seed in by_seed})

  @property
  def split(self) -> str:
    return self.experiment['protocol']['split']

  @property
  def budget(self) -> float | int:
    """A share of all windows (float), or labels a class (int)."""
    number, per_class, _ = self.experiment['protocol']['label_budget'].partition('/class')
    return int(number) if per_class else float(number)

  def of_target(self, target: str) -> list[dict[str, Any]]:
    return [run for (name, _), by_seed in self.runs.items() if name == target for run in by_seed.values()]

  def _takes(self, identity: dict[str, Any], experiment: dict[str, Any]) -> bool:
    windows = identity['windows']
    return (
      experiment == self.experiment
      and all(self.windows.get(name, meta) == meta for name, meta in windows.items())
      and self.sources.get(identity['target'], _sources(identity)) == _sources(identity)
    )

  def _add(self, result: dict[str, Any]) -> None:
    identity = result['identity']
    target, method, seed = identity['target'], identity['method'], identity['seed']
    by_seed = self.runs.setdefault((target, method), {})
    if seed in by_seed:  # counted twice, it would narrow the spread
      raise UserError(
        f'two results of {target}, {method}, seed {seed}, of one experiment; give a folder with one'
      )
    by_seed[seed] = result
    self.windows.update(identity['windows'])
    self.sources[target] = _sources(identity)


def _sources(identity: dict[str, Any]) -> list[str]:
  return sorted(set(identity['windows']) - {identity['target']})


def group(found: Sequence[dict[str, Any]]) -> list[Group]:
  """By subject first, then by window; the most labels first.

  Raises UserError where a target, method and seed of one experiment occur twice.
  """
  groups: list[Group] = []
  for result in found:
    identity = result['identity']
    experiment = identity['experiment']
    home = next((each for each in groups if each._takes(identity, experiment)), None)
    if home is None:
      home = Group(experiment, {}, {}, {})
      groups.append(home)
    home._add(result)
  return sorted(groups, key=lambda each: (each.split, isinstance(each.budget, int), -each.budget))


def apart(each: Group, peers: Sequence[Group]) -> dict[str, Any]:
  """A group's own values of the entries that set its peers, itself among them, apart."""
  names = {name for pair in itertools.combinations(peers, 2) for name in _differing(*pair)}
  return {name: _entry(each, name) for name in sorted(names)}


def _differing(one: Group, other: Group) -> list[str]:
  def facts(each: Group) -> dict[str, Any]:
    # A dataset that only one of them has read is no difference in how it was read.
    shared = {'windows': one.windows.keys() & other.windows, 'sources': one.sources.keys() & other.sources}
    both = {part: {name: getattr(each, part)[name] for name in names} for part, names in shared.items()}
    return each.experiment | both

  return [line.partition(': made ')[0] for line in results.differences(facts(one), facts(other))]


def _entry(each: Group, name: str) -> Any:
  entry: Any = each.experiment | {'windows': each.windows, 'sources': each.sources}
  for key in name.split('.'):
    entry = entry.get(key) if isinstance(entry, dict) else None
  return entry
