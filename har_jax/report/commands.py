"""The commands that make runs again. Needs no JAX."""

import shlex

import pandas as pd

from har_jax import config, config_fields, results


def commands(part: pd.DataFrame) -> list[str]:
  """One command for each set of sources, of runs of one experiment.

  Methods and seeds are all that were run of any target.
  """
  everything = set(part['target']) | set(' '.join(part['sources']).split())
  calls: dict[str, list[str]] = {}
  for target, sources in part[['target', 'sources']].drop_duplicates().itertuples(index=False):
    is_usual = set(sources.split()) == everything - {target}
    calls.setdefault('' if is_usual else sources, []).append(target)
  return [_command(part, targets, sources.split()) for sources, targets in calls.items()]


def _command(part: pd.DataFrame, targets: list[str], sources: list[str]) -> str:
  lists = {
    'targets': targets,
    'sources': sources,
    'methods': part['method'].unique(),
    'seeds': part['seed'].unique(),
  }
  words = [f'--{name}={",".join(map(str, values))}' for name, values in lists.items() if len(values)]
  return shlex.join(['har-jax', 'lodo', '--windows=windows', *words, *flags_of(part), '--out=runs/again'])


def flags_of(part: pd.DataFrame) -> list[str]:
  """The flags that differ from the closest preset, which is named unless it is the default."""
  run = part.sort_values('lora_rank').iloc[0]  # with adapters, if there is one
  choices = []
  for name, preset in config.PRESETS.items():
    defaults = config_fields.to_json(preset())
    differing = [
      _flag(flag, run[flag])
      for flag, (group, field) in results.HYPERPARAMETERS.items()
      if not pd.isna(run[flag]) and str(run[flag]) != str(results.flat(defaults[group][field]))
    ]
    choices.append([*([] if name == 'base' else [f'--preset={name}']), *differing])
  return min(choices, key=len)


def _flag(name: str, value: object) -> str:
  if str(value) in ('True', 'False'):
    return f'--{name}' if str(value) == 'True' else f'--no{name}'
  return f'--{name}={value}'


def report(folder: str) -> str:
  return shlex.join(['har-jax', 'report', f'--results={folder}', '--html'])
