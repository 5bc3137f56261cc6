"""What tests of tables share."""

import copy


def timed(found, seconds, **more):
  found = copy.deepcopy(found)
  found['seconds']['training'] = float(seconds)
  return found | more


def cells(rows, **where):
  (row,) = [row for row in rows if all(row[name] == value for name, value in where.items())]
  return row
