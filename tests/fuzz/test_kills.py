"""The campaign of kills sees what a killed command leaves."""

import pathlib

import kills
import pytest

# Writes a file, waits to be killed, and writes another; its argument says what goes wrong after a kill.
_PROGRAM = """
import pathlib, sys, time
fault, out = sys.argv[1], pathlib.Path(sys.argv[2].removeprefix('--out='))
was_killed = out.exists()
out.mkdir(exist_ok=True)
(out / 'a.json').write_text('{"seconds": %f, "n": %d}' % (time.time(), was_killed and fault == 'different'))
time.sleep(0.3)
(out / 'b').write_text('')
if was_killed and fault == 'left-overs':
  (out / '.b.partial').write_text('')
if was_killed and fault == 'failed':
  raise KeyError
"""


@pytest.mark.slow
@pytest.mark.parametrize('outcome', kills.OUTCOMES)
def test_the_campaign_of_kills_sees_every_outcome(tmp_path: pathlib.Path, outcome: str):
  command = kills.Command('toy', ('-c', _PROGRAM, outcome))
  (tmp_path / 'whole').mkdir()
  (trial,) = kills.run(command, tmp_path / 'whole', 1, 3)
  assert trial['kills'] == ['path 2 of 3']
  assert trial['outcome'] == outcome
  assert outcome in kills.report([trial])
