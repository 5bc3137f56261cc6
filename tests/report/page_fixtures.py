"""A page of results made by hand, drawn once a session.

`python page_fixtures.py report.html` writes one with long names, for the tests of web/ in a browser.
"""

import functools
import json
import pathlib
import sys
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # of a script, it is not there
from made_results import result
from report_rows import runs

from har_jax.report import page, tables


def html(results: list[dict[str, Any]], folder: str = 'runs/x') -> str:
  """The page of results."""
  made = runs(results)
  return page.html(made, tables.sections(made), folder=folder)


@functools.cache
def contents() -> list[dict[str, Any]]:
  """Two splits, three ranks and four label budgets on one target, two seeds each."""
  settings = [
    *({'method': method} for method in ('full', 'lora', 'qlora')),
    *({'method': method, 'split': 'window'} for method in ('full', 'lora')),
    *({'method': 'lora', 'lora_rank': rank} for rank in (8, 16)),
    *(
      {'method': method, 'label_budget': budget}
      for method in ('full', 'lora')
      for budget in ('0.3', '10/class', '5/class')
    ),
  ]
  return [
    result(
      target='hapt',
      seed=seed,
      macro_f1=0.9123 - 0.01 * seed - 0.001 * number,
      subjects={'3': 0.9, '4': 0.8},
      selective={'aurc': 0.0312, 'risk': [0.01 * tenth for tenth in range(10)]},
      **options,
    )
    for number, options in enumerate(settings)
    for seed in (0, 1)
  ]


@functools.cache
def made() -> str:
  """The page of `contents`."""
  return html(contents())


def write_with_long_names(path: pathlib.Path) -> None:
  text = json.dumps(contents())
  made = json.loads(text.replace('"hapt"', '"a_target_with_a_long_name"'))
  for run in made:
    run['test']['confusion'] = (np.eye(9, dtype=int) * 95 + 1).tolist()
    run['data']['classes'] = [f'walking {index} with a long name' for index in range(9)]
  folder = 'runs/a-folder-with-a-rather-long-name-that-nobody-would-break/and-another-one-below-it'
  path.write_text(html(made, folder), encoding='utf-8')


if __name__ == '__main__':
  write_with_long_names(pathlib.Path(sys.argv[1]))
