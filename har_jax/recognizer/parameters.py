"""The parameters of a recognizer: their checks, and the hyperparameters that follow from them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from har_jax import config, files, methods
from har_jax.errors import UserError
from har_jax.recognizer import budget, ensemble
from har_jax.recognizer.fitting import Fit, FitOf

AUTO = 'auto'  # in place of a method: one is chosen within a budget
LIMITS = tuple(each.name for each in dataclasses.fields(budget.Budget))
# Parameters in an adapter's card. A parameter search sets them to NumPy numbers, which JSON does not have.
KEPT = {
  'max_steps': int,
  'learning_rate': float,
  'batch': int,
  'rotation_std_deg': float,
  'random_state': int,
  'validation_fraction': float,
  'tta_shifts': int,
  'ensemble': bool,
}


def check(given: Mapping[str, Any]) -> tuple[files.Base | None, config.Experiment]:
  """Base and the model's hyperparameters. Raises UserError if a parameter is invalid."""
  if (name := given['method']) not in (AUTO, *methods.METHODS):
    raise UserError(f'unknown method {name!r}; one of {", ".join((*methods.METHODS, AUTO))}')
  limits = {limit: given[limit] for limit in LIMITS if given[limit] is not None}
  if name != AUTO and limits:
    raise UserError(f'{", ".join(limits)} choose the method, and method is {name!r}; give method={AUTO!r}')
  base = load_base(given['base'])
  if base is None and (name == AUTO or methods.METHODS[name].pretrained):
    raise UserError(
      f"{name} adapts a pretrained base, and base is None: give a folder of one, or method='scratch'"
    )
  if not 0 <= given['validation_fraction'] < 1:
    raise UserError(f'validation_fraction is {given["validation_fraction"]!r}; give a number in [0, 1)')
  seed = given['random_state']
  if not (isinstance(seed, int | np.integer) and 0 <= seed < 2**32):  # scikit-learn's range
    raise UserError(f'random_state is {seed!r}; give a whole number in [0, 2³²)')
  if given['max_steps'] < 1:
    raise UserError(f'max_steps is {given["max_steps"]!r}; give 1 or more')
  if given['ensemble']:
    ensemble.check_installed()  # now, not after training
  model = config.Experiment().model if base is None else base.model
  experiment = config.Experiment(
    model=model,
    lora=config.Lora(rank=int(given['rank']), alpha=float(given['alpha'])),
    protocol=config.Protocol(normalize='none' if model.stem else 'train'),
  )
  return base, experiment


def chosen(given: Mapping[str, Any], fit_of: FitOf, *, rounds: int) -> tuple[Fit, budget.Plan | None]:
  """The fit of the method given, or of the plan that 'auto' makes.

  Raises UserError where nothing fits, and where a limit is not positive.
  """
  if given['method'] != AUTO:
    return fit_of(given['method']), None
  limits = budget.Budget(**{name: given[name] for name in LIMITS})
  return budget.choose(fit_of, limits, max_steps=int(given['max_steps']), rounds=rounds)


def training(given: Mapping[str, Any]) -> config.Training:
  """The hyperparameters of training. Its one validation is after the last step, whose variables are kept."""
  steps, rate = int(given['max_steps']), float(given['learning_rate'])
  return dataclasses.replace(
    config.Experiment().finetune,
    epochs=float(steps),  # at least one step per epoch, so that max_steps decides
    max_steps=steps,
    batch=int(given['batch']),
    learning_rate=rate,
    encoder_learning_rate=rate / 2,
    rotation_std_deg=float(given['rotation_std_deg']),
    num_evals=1,
    patience=0,
  )


def load_base(base: Any) -> files.Base | None:
  """A base itself, or that of a folder."""
  return base if base is None or isinstance(base, files.Base) else files.load_base(base)
