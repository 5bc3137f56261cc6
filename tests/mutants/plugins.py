"""Plugins of pytest for runs with a fault, and for the map of tests."""

import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import pytest


class Recorder:
  """Tells coverage which test runs, and keeps how long the passed ones took."""

  def __init__(self, switch: Callable[[str], None]):
    self._switch = switch
    self.seconds: dict[str, float] = {}
    self.failed: set[str] = set()

  @pytest.hookimpl(wrapper=True)
  def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
    self._switch(item.nodeid)
    start = sum(os.times()[:4])
    result = yield
    self.seconds[item.nodeid] = sum(os.times()[:4]) - start
    self._switch('')
    return result

  def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
    if report.outcome != 'passed':
      self.failed.add(report.nodeid)


class Ordered:
  """Runs these tests alone, in this order, and writes the name of one that fails."""

  def __init__(self, tests: Sequence[str], failed: pathlib.Path):
    self._places = {test: place for place, test in enumerate(tests)}
    self._failed = failed

  def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
    if report.failed:
      self._failed.write_text(report.nodeid)

  @pytest.hookimpl(trylast=True)
  def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
    items[:] = sorted(
      (item for item in items if item.nodeid in self._places), key=lambda item: self._places[item.nodeid]
    )
