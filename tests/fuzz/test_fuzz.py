"""Damaged files of every format are refused, or read with the same numbers."""

import pathlib
from collections.abc import Iterator

import campaign
import cases
import formats
import pytest

_SEEDS = range(60)  # `make fuzz` reads thousands


@pytest.fixture(scope='module')
def worker() -> Iterator[campaign.Worker]:
  made = campaign.Worker()
  yield made
  made.close()


@pytest.mark.slow
@pytest.mark.parametrize('name', formats.FORMATS)
def test_damage_is_refused_or_changes_nothing(worker: campaign.Worker, name: str):
  found = [worker.run(name, seed) for seed in _SEEDS]
  assert not [each for each in found if each['outcome'] in cases.BAD]
  assert any(each['outcome'] != 'equal' for each in found)  # the damage reaches what is read


_SEEN = {
  'refused': 'raise UserError("no")',
  'equal': 'return "", ""',
  'reported': 'return "1", "said"',
  'different': 'return "1", ""',
  'traceback': 'raise KeyError(1)',
  'hang': 'time.sleep(9)',
  'memory': 'bytearray(2_000_000_000)',
  'escaped': 'os.remove(folder / "a")',
  'escaped, too': '(out.parent / "x").write_text("")',
  'traceback, of a process that died': 'os._exit(3)',
}
_PROGRAM = """
import os, time
import cases, formats
from har_jax.errors import UserError

def build(folder):
  (folder / 'a').write_text('1')

def damage(content, rng):
  return b'2'

def reader(body):
  def read(folder, out):
    if (folder / 'a').read_bytes() == b'2':
      exec(f'def run(folder, out):\\n  {body}\\n  return "", ""', globals())
      return run(folder, out)
    return '', ''
  return read

for name, body in SEEN.items():
  formats.FORMATS[name] = formats.Format(name, build, damage, reader(body), True)
cases.TIME_S = 1
cases.main()
"""


@pytest.mark.slow
def test_the_campaign_sees_every_outcome(tmp_path: pathlib.Path):
  (tmp_path / 'seen.py').write_text(f'SEEN = {_SEEN!r}\n{_PROGRAM}')
  worker = campaign.Worker(tmp_path / 'seen.py')
  try:
    found = {name: worker.run(name, 0)['outcome'] for name in _SEEN}
  finally:
    worker.close()
  assert found == {name: name.partition(',')[0] for name in _SEEN}
