"""Damaged files of every format are refused, or read with the same numbers."""

import os
import pathlib
import time

import cases
import formats
import jax
import pytest
from cases import Format, Read

from har_jax.baselines import forest
from har_jax.errors import UserError

# A few in `make test`; `make fuzz` reads more, from another first seed each night.
_FIRST = int(os.environ.get('HAR_FUZZ_FIRST', 0))
_SEEDS = range(_FIRST, _FIRST + int(os.environ.get('HAR_FUZZ_CASES', 200)) // len(formats.FORMATS))
# Orbax names its files at random, and reads one in seven: a few cases may reach none of those.
_MORE = 300


@pytest.fixture(autouse=True)
def _no_programs_on_disk(monkeypatch):
  """They would be writes outside of a case's folder. A forest is fitted in each case."""
  monkeypatch.setattr(forest, '_TREES', 5)
  jax.config.update('jax_enable_compilation_cache', False)
  yield
  jax.config.update('jax_enable_compilation_cache', True)


@pytest.mark.slow
@pytest.mark.parametrize('form', formats.FORMATS, ids=lambda form: form.name)
@pytest.mark.linux
def test_damage_is_refused_or_changes_nothing(form, tmp_path):
  damaged = cases.Cases(form, tmp_path)
  outcomes = {seed: damaged.run(seed) for seed in _SEEDS}
  for seed in range(_SEEDS.stop, _SEEDS.stop + _MORE):
    if any(outcome != 'equal' for outcome, _ in outcomes.values()):
      break
    outcomes[seed] = damaged.run(seed)
  assert not {seed: outcome for seed, outcome in outcomes.items() if outcome[0] in cases.BAD}
  assert any(outcome != 'equal' for outcome, _ in outcomes.values())  # the damage reaches what is read


def _refuse(folder, out):
  raise UserError('no')


def _fail(folder, out):
  raise KeyError(1)


@pytest.mark.parametrize(
  ('outcome', 'reader'),
  [
    ('refused', _refuse),
    ('equal', lambda folder, out: ('', '')),
    ('reported', lambda folder, out: ('1', 'said')),
    ('different', lambda folder, out: ('1', '')),
    ('traceback', _fail),
    ('hang', lambda folder, out: time.sleep(9)),
    ('memory', lambda folder, out: bytearray(2_000_000_000)),
    ('escaped', lambda folder, out: os.remove(folder / 'a')),
    ('escaped', lambda folder, out: (out.parent / 'x').write_text('')),
  ],
)
@pytest.mark.linux
def test_every_outcome_is_named(tmp_path, monkeypatch, outcome, reader):
  monkeypatch.setattr(cases, 'TIME_S', 1)

  def read(folder: pathlib.Path, out: pathlib.Path) -> Read:
    return (reader(folder, out) or ('', '')) if (folder / 'a').read_bytes() == b'2' else ('', '')

  form = Format('toy', lambda folder: (folder / 'a').write_text('1'), lambda *_: b'2', read, True)
  assert cases.Cases(form, tmp_path).run(0)[0] == outcome
