"""The command that makes a result again, from the experiment the result names. Needs no JAX."""

import shlex
from typing import Any

from har_jax import config, config_fields
from har_jax.report.groups import Group


def commands(group: Group) -> list[str]:
  """One command for all targets that were pretrained on all other datasets; one each for the rest.

  Seeds and methods are all that were run of any target.
  """
  every = set(group.windows)
  rest = [target for target in group.targets if set(group.sources[target]) != every - {target}]
  calls = [([target], group.sources[target]) for target in rest]
  if together := [target for target in group.targets if target not in rest]:
    calls.insert(0, (together, []))
  return [_command(group, targets, sources) for targets, sources in calls]


def _command(group: Group, targets: list[str], sources: list[str]) -> str:
  flags = {'targets': ','.join(targets)}
  if sources:
    flags['sources'] = ','.join(sources)
  flags |= {'methods': ','.join(group.methods), 'seeds': ','.join(map(str, group.seeds))}
  words = [*(f'--{name}={value}' for name, value in flags.items()), *flags_of(group.experiment)]
  return shlex.join(['python', 'launch/lodo.py', '--windows=windows', *words, '--out=results/again'])


def flags_of(experiment: dict[str, Any]) -> list[str]:
  """The flags that set an experiment apart from the preset next to it, which is named where it is not the default."""
  choices = []
  for name, preset in config.PRESETS.items():
    named = [] if name == 'base' else [f'--preset={name}']
    choices.append(named + _differing(experiment, config_fields.to_json(preset())))
  return min(choices, key=len)


def _differing(experiment: dict[str, Any], preset: dict[str, Any]) -> list[str]:
  return [
    _flag(f'{prefix}{name}', value)
    for part, prefix in config.FLAG_PREFIXES.items()
    for name, value in experiment.get(part, {}).items()
    if value != preset[part].get(name)
  ]


def _flag(name: str, value: Any) -> str:
  if isinstance(value, bool):
    return f'--{name}' if value else f'--no{name}'
  return f'--{name}={",".join(map(str, value)) if isinstance(value, list) else value}'


def report(folder: str) -> str:
  return shlex.join(['python', 'launch/report.py', f'--results={folder}', '--html'])
