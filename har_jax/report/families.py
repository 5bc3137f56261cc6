"""Experiments that differ in a named knob or two and in nothing else: what a sweep's table is made of."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from har_jax.report import groups
from har_jax.report.groups import Group

SPLIT = ('protocol.split', 'protocol.normalize')  # the paper's split comes with its normalization
LABELS = ('protocol.label_budget',)
RANK = ('lora.rank',)
ROTATION = ('finetune.rotation',)
_COMPARED = ('full', 'lora', 'qlora')  # what the paper compares
_SWEEP = 3  # so many values of a knob are a sweep


@dataclasses.dataclass(frozen=True)
class Family:
  """Groups that are alike but for the knobs in `free`; `apart` is what sets it apart from the other families."""

  members: list[Group]
  free: tuple[str, ...]
  apart: dict[str, Any]

  @property
  def targets(self) -> list[str]:
    return sorted({target for each in self.members for target in each.targets})

  @property
  def methods(self) -> list[str]:
    # One group with everybody's runs knows their order.
    return dataclasses.replace(
      self.members[0], runs={key: {} for each in self.members for key in each.runs}
    ).methods

  def title(self) -> str:
    """Split and label budget, as far as they are the same throughout."""
    protocol = self.members[0].experiment['protocol']
    told = [] if 'protocol.split' in self.free else [by_split(protocol['split'])]
    told += [] if 'protocol.label_budget' in self.free else [f'labels {protocol["label_budget"]}']
    return ', '.join(told)

  def caption(self) -> list[str]:
    """Sentences: what sets this family apart, the model, and what was not run."""
    said = []
    if self.apart:
      knobs = '; '.join(f'{name} {short(value)}' for name, value in self.apart.items())
      said.append(f'Not the only experiment of this kind; what sets this one apart: {knobs}.')
    experiment, free = self.members[0].experiment, self.free
    said.append(f'Model: {model(experiment["model"])}.')
    if {'lora', 'qlora'}.intersection(self.methods):
      said.append(f'Adapters: {adapters(experiment["lora"], rank="lora.rank" not in free)}.')
    return said

  def missing(self, methods: Sequence[str] = ()) -> list[str]:
    """Sentences that name runs which a table would have and the results lack; methods: those expected, the paper's if none."""
    absent = [name for name in methods or _COMPARED if name not in self.methods]
    said = [f'No results of {", ".join(absent)}.'] if absent else []
    lacking = _lacking(self)
    return said + ([f'Not run: {"; ".join(lacking)}.'] if lacking else [])

  @property
  def swept(self) -> list[str]:
    """The targets that were run at half of the members or more."""
    run = {target: sum(target in each.targets for each in self.members) for target in self.targets}
    return [target for target, count in run.items() if 2 * count >= len(self.members)]

  def shown(self, target: str) -> list[Group]:
    """The members that a table has a row of: all or, of a target that was not swept, those it was run at."""
    swept = target in self.swept
    return [each for each in self.members if swept or target in each.targets]

  def knob(self, members: Sequence[Group]) -> str:
    """'labels 0.1, 0.05', 'rank 8' or 'split window, normalize dataset': what is free, as these have it."""
    told = [
      f'{name.rpartition(".")[2]} {_listed(list(dict.fromkeys(_entry(each.experiment, name) for each in members)))}'
      for name in self.free
    ]
    return ', '.join(told)


def families(found: Sequence[dict[str, Any]], free: tuple[str, ...] = ()) -> list[Family]:
  """By split, the most labels first. With no knob free, each group by itself.

  Raises UserError where a target, method and seed of one experiment occur twice.
  """
  gathered: list[list[Group]] = []
  for each in groups.group(found):
    home = next((f for f in gathered if all(_alike(each, other, free) for other in f)), None)
    if home is None:
      gathered.append([each])
    else:
      home.append(each)
  firsts = [members[0] for members in gathered]
  hidden = {*free, 'protocol.split', 'protocol.label_budget'}  # the title has these
  return [
    Family(
      members,
      free,
      {
        name: value
        for name, value in groups.apart(members[0], _peers(members[0], firsts, free)).items()
        if name not in hidden
      },
    )
    for members in gathered
  ]


def without_sweeps(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """The results, but of each sweep over rank or labels only those of the experiment with the most runs.

  Tables VI and VII show a sweep; a table of its own for each point would bury the others.
  Raises UserError as `families` does.
  """
  points: set[int] = set()
  for sweep in (family for free in (RANK, LABELS) for family in families(found, free)):
    if len(sweep.members) >= _SWEEP:
      largest = max(sweep.members, key=lambda group: len(group.every_run))
      points |= {id(run) for each in sweep.members if each is not largest for run in each.every_run}
  return [run for run in found if id(run) not in points]


def _entry(experiment: dict[str, Any], name: str) -> Any:
  part, _, knob = name.partition('.')
  return experiment[part][knob]


def _alike(one: Group, other: Group, free: tuple[str, ...]) -> bool:
  return all(name in free for name in groups.apart(one, (one, other)))


def _peers(own: Group, firsts: Sequence[Group], free: tuple[str, ...]) -> list[Group]:
  """Those whose title is the same."""

  def key(each: Group) -> list[str]:
    protocol = each.experiment['protocol']
    return [protocol[name] for name in ('split', 'label_budget') if f'protocol.{name}' not in free]

  return [each for each in firsts if key(each) == key(own)]


def _lacking(family: Family) -> list[str]:
  """'wisdm lora, qlora all seeds', 'dsads full seed 1, 2 (rank 8)' or 'hapt lora all seeds (all but labels 0.1)'."""
  methods: dict[tuple[str, str], list[str]] = {}  # of a target, and of what it lacks
  for target, method in itertools.product(family.targets, family.methods):
    lacking: dict[str, list[Group]] = {}  # seeds, and the members that lack them
    for each in family.members:
      if seeds := [seed for seed in each.seeds if seed not in each.runs.get((target, method), {})]:
        told = f'seed {_listed(seeds)}' if (target, method) in each.runs else 'all seeds'
        lacking.setdefault(told, []).append(each)
    for told, members in lacking.items():
      methods.setdefault((target, told + _where(family, members)), []).append(method)
  return [f'{target} {_listed(of)} {told}' for (target, told), of in methods.items()]


def _where(family: Family, members: Sequence[Group]) -> str:
  others = [each for each in family.members if each not in members]
  if not others:
    return ''
  few = len(members) <= len(others)
  return f' ({family.knob(members)})' if few else f' (all but {family.knob(others)})'


def _listed(values: Sequence[Any]) -> str:
  return ', '.join(map(str, values))


# --- in words


def by_split(split: str) -> str:
  told = {'window': 'by window (optimistic)', 'official': "by subject, the archive's own"}
  return f'split {told.get(split, f"by {split}")}'


def model(told: dict[str, Any]) -> str:
  streams = ', the two sensors embedded apart' if told.get('streams', 1) == 2 else ''
  described = ' with descriptors' if told.get('descriptors') else ''
  return (
    f'{told["blocks"]} blocks of width {told["width"]}, feed-forward {told["mlp_dim"]}, patches of '
    f'{told["patch"]} samples{described}{streams}, head {", ".join(map(str, told["head"]))}'
  )


def adapters(lora: dict[str, Any], *, rank: bool = True) -> str:
  on = f'alpha {lora["alpha"]:g}, on {", ".join(lora["targets"])}'
  return f'rank {lora["rank"]}, {on}' if rank else on


def short(value: Any) -> str:
  if isinstance(value, list):
    return ', '.join(map(str, value))
  return f'{value[:15]}…' if str(value).startswith('sha256:') else str(value)
