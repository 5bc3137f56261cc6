"""Ten random budgets, what is chosen, and what that takes; fills a table of docs/results/methods.md.

python docs/studies/budget_table.py --windows=<folder of har-jax prepare>

The windows are ten per activity of HAPT's people. Takes some minutes; an idle machine gives the times.
"""

import pathlib
import sys
from typing import Any

import numpy as np
import pandas as pd
import study

from har_jax import config, runtime
from har_jax.cli import command
from har_jax.datasets.datasets import Datasets
from har_jax.datasets.folds import Fold
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.report import markdown

FLAGS, _define = command.new_flags()
_WINDOWS = _define('windows', 'windows')
_BUDGETS, _STEPS = 10, 300
# The range of each limit, drawn on a log scale.
_RANGES = {'max_memory_mb': (10.0, 120.0), 'max_minutes': (0.1, 0.5), 'max_adapter_kb': (250.0, 600.0)}
_SHOWN = {'memory_mb': '{:.0f}', 'minutes': '{:.2f}', 'adapter_kb': '{:.0f}'}


def budgets() -> list[dict[str, float]]:
  """Each with one limit or more."""
  rng = np.random.default_rng(0)
  drawn: list[dict[str, float]] = []
  while len(drawn) < _BUDGETS:
    limits = {name: float(np.exp(rng.uniform(*np.log(ends)))) for name, ends in _RANGES.items()}
    if limited := {name: round(limit, 2) for name, limit in limits.items() if rng.random() < 0.6}:
      drawn.append(limited)
  return drawn


def row(limits: dict[str, Any], signals: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
  """What is chosen within these limits, predicted and actual; or that nothing fits."""
  entries: dict[str, Any] = {name: f'{limits[name]:g}' if name in limits else '–' for name in _RANGES}
  recognizer = Recognizer.load().set_params(method='auto', max_steps=_STEPS, **limits)
  try:
    plan = recognizer.fit(signals, labels).plan_
  except UserError:
    return entries | {'chosen': 'nothing fits'}
  assert plan is not None
  method = plan.method if plan.rank is None else f'{plan.method}, rank {plan.rank}'
  entries |= {'chosen': method, 'steps': str(plan.max_steps)}
  for name, form in _SHOWN.items():
    costs = [getattr(cost, name) for cost in (plan.predicted, plan.actual)]
    entries[name] = ' / '.join(form.format(cost) if cost else '–' for cost in costs)
  return entries


def main() -> None:
  protocol = config.Protocol(label_budget='10/class')
  windows = pathlib.Path(_WINDOWS.value)
  data = Fold(Datasets.open(windows), 'hapt', (), protocol, seed=0).target_windows()
  signals = data.signals[data.indices['train']]
  labels = np.array(data.classes)[data.train['label']]
  rows = []
  for limits in budgets():
    rows.append(row(limits, signals, labels))
    print(rows[-1], flush=True)
  table = markdown.tabulated(pd.DataFrame(rows).fillna('–'))
  device = runtime.device()
  text = (
    f'Ten random budgets, {len(labels)} windows of HAPT, the bundled base, {device}; '
    f'predicted / actual. Without a limit of minutes, none are predicted.\n\n{table}'
  )
  study.fill(study.places('methods')[1], 'budget_table', text)


if __name__ == '__main__':
  sys.exit(command.run(sys.modules[__name__], sys.argv[1:]))
