"""What tests of tables share."""

import itertools

import made_results
import msgspec

from har_jax import records, results, storage
from har_jax.report import frame, groups, significance


def runs(contents, name='study'):
  """Results as the frame that `frame.load` makes."""
  made = [msgspec.convert(content, records.Result) for content in contents]
  return frame.from_rows(results.row(result, name) | {'result': result} for result in made)


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


def by_seed(name, *values, **options):
  """Results of seeds 0, 1, … with these values of one entry."""
  return [made_results.result(seed=seed, **{name: value}, **options) for seed, value in enumerate(values)]


def runs_of(method, *subjects, **options):
  """A method's results; for each seed a mapping of subject to macro-F1."""
  return by_seed('subjects', *subjects, method=method, **options)


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
