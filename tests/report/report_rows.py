"""What tests of tables share."""

import copy

from har_jax.report import groups


def timed(found, seconds, **more):
  found = copy.deepcopy(found)
  found['seconds']['training'] = float(seconds)
  return found | more


def cells(rows, **where):
  (row,) = [row for row in rows if all(row[name] == value for name, value in where.items())]
  return row


def runs_of(result, method, *by_seed, **options):
  """A method's results, a mapping of subject to macro-F1 for each seed."""
  return [
    result(method=method, seed=seed, test_by_subject=subjects, **options)
    for seed, subjects in enumerate(by_seed)
  ]


def six(*points):
  """Subjects a, b, c … with so many points."""
  return {name: value / 100 for name, value in zip('abcdefghijklm', points, strict=False)}


def one_group(found):
  (group,) = groups.group(found)
  return group
