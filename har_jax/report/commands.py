"""The commands that make runs again. Needs no JAX."""

import shlex

import pandas as pd

from har_jax import config, results

WINDOWS = '--windows=<folder>'  # results do not say where it was, and users move it


def commands(part: pd.DataFrame, out: str = 'runs/again') -> list[str]:
  """One command for each set of sources, of runs of one experiment.

  Methods and seeds are all that were run of any target. out: the folder that the command writes to.
  """
  everything = set(part['target']) | set(' '.join(part['sources']).split())
  usual = part['target'].map(lambda target: ' '.join(sorted(everything - {target})))
  lines = []
  for sources, runs in part.groupby(part['sources'].where(part['sources'] != usual, ''), sort=False):
    lists = {'targets': runs['target'], 'sources': sources.split()}
    lists |= {'methods': part['method'], 'seeds': part['seed']}
    flags = {name: ','.join(dict.fromkeys(map(str, values))) for name, values in lists.items()}
    words = [f'--{name}={text}' for name, text in flags.items() if text]
    lines.append(f'har-jax lodo {WINDOWS} {shlex.join([*words, *flags_of(part), f"--out={out}"])}')
  return lines


def flags_of(part: pd.DataFrame) -> list[str]:
  """The dtype, and what differs from the closest preset, which is named unless it is the default."""
  run = part.sort_values(['lora_rank', 'model_width']).iloc[0]  # with adapters or a network, if there is one
  choices = []
  for name, preset in config.PRESETS.items():
    flags = [
      {'True': f'--{flag}', 'False': f'--no{flag}'}.get(value, f'--{flag}={value}')
      for flag, value in differing(run, preset()).items()
      if flag != 'dtype'
    ]
    choices.append(flags if name == 'base' else [f'--preset={name}', *flags])
  dtype = run['dtype']  # named always: its default depends on the device
  return [*min(choices, key=len), *([] if pd.isna(dtype) else [f'--dtype={dtype}'])]


def differing(run: pd.Series, experiment: config.Experiment) -> dict[str, str]:
  """Flag → value of a run's hyperparameters that differ from an experiment's and are not missing."""
  return {
    flag: str(run[flag])
    for flag, (part, name) in config.HYPERPARAMETERS.items()
    if not pd.isna(run[flag])
    and str(run[flag]) != str(results.flat(getattr(getattr(experiment, part), name)))
  }
