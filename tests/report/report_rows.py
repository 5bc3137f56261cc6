"""What tests of tables share."""

import itertools

import made_results

from har_jax import storage
from har_jax.report import frame, groups, significance


def runs(results, name='study'):
  """Results as the frame that a table of runs gives: without the JSON."""
  return frame.from_rows(made_results.row(result, name) for result in results)


def product(**axes):
  """Results for all combinations of these values."""
  return [
    made_results.result(**dict(zip(axes, values, strict=True)))
    for values in itertools.product(*axes.values())
  ]


def sections(results, title):
  """Sections of the statistics whose title begins so."""
  return [
    section
    for section in significance.sections(groups.experiments(runs(results)))
    if section.title.startswith(title)
  ]


def cells(table, **where):
  """The one row of a table with these cells."""
  (row,) = [
    row for row in table.to_dict('records') if all(row[name] == value for name, value in where.items())
  ]
  return row


def runs_of(method, *by_seed, **options):
  """A method's results; for each seed a mapping of subject to macro-F1."""
  return [
    made_results.result(method=method, seed=seed, subjects=subjects, **options)
    for seed, subjects in enumerate(by_seed)
  ]


def scored(*points):
  """Subjects a, b, c … with so many points."""
  return {name: value / 100 for name, value in zip('abcdefghijklm', points, strict=False)}


def one_group(results):
  (group,) = groups.experiments(runs(results))
  return group


def write(folder, results):
  """Result files where a study puts them."""
  for result in results:
    identity = result['identity']
    protocol = identity['experiment']['protocol']
    budget = protocol['label_budget'].replace('/', '-per-')
    place = folder / identity['target'] / identity['method'] / protocol['split'] / f'labels-{budget}'
    storage.write(place / f'seed{identity["seed"]}.json', result)
