"""A command that was killed or interrupted, and run again, writes what an undisturbed run writes."""

import os
import pathlib
import sys
from collections.abc import Iterator

import kills
import pytest

_TESTS = pathlib.Path(__file__).parents[1]
_KILLS = int(os.environ.get('HAR_KILLS', 0))  # of all commands together; `make kills` sets it

# Writes a file, waits to be killed, and writes another; its argument says what goes wrong after a kill.
_PROGRAM = """
import pathlib, signal, sys, time
fault, out = sys.argv[1], pathlib.Path(sys.argv[2].removeprefix('--out='))
was_killed = out.exists()
# Processes in the background of a shell ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler if fault == 'traceback' else signal.SIG_DFL)
out.mkdir(exist_ok=True)
if fault == 'partial' or (fault == 'deleted late' and not was_killed):
  (out / '.a.json.partial').write_text('')
(out / 'a.json').write_text('{"seconds": %f, "n": %d}' % (time.time(), was_killed and fault == 'different'))
time.sleep(0.3)
(out / 'b').write_text('')
if fault == 'deleted late':
  time.sleep(0.3)
  (out / '.a.json.partial').unlink(missing_ok=True)
if was_killed and fault == 'left-overs':
  (out / '.b.partial').write_text('')
if was_killed and fault == 'failed':
  raise KeyError
"""


@pytest.mark.slow
@pytest.mark.parametrize(
  ('fault', 'number', 'moments', 'outcome'),
  [
    ('none', 156, 'SIGTERM at path 2 of 3', 'equal'),
    ('different', 88, 'SIGKILL at path 2 of 3', 'different'),
    ('left-overs', 22, 'SIGINT at path 2 of 3', 'left-overs'),
    ('failed', 88, 'SIGKILL at path 2 of 3', 'failed'),
    ('traceback', 22, 'SIGINT at path 2 of 3', 'failed'),
    ('partial', 90, 'SIGTERM at path 3 of 4', 'left-overs'),
    ('deleted late', 2361, 'SIGKILL at path 3 of 4, SIGTERM at path 1 of 4', 'equal'),
  ],
)
@pytest.mark.linux
def test_every_outcome_is_named(tmp_path, fault, number, moments, outcome):
  command = kills.Command('toy', ('-c', _PROGRAM, fault))
  for name in ('whole', 'trial'):
    (tmp_path / name).mkdir()
  sent, seen, _ = command.trial(tmp_path / 'trial', command.whole(tmp_path / 'whole'), number)
  assert (sent, seen) == (moments.split(', '), outcome)


def _commands(folder: pathlib.Path) -> Iterator[tuple[kills.Command, pathlib.Path]]:
  """Each command with a folder, in which its undisturbed run is input of those that follow."""
  sys.path.insert(0, str(_TESTS / 'cli'))
  import recordings
  import tiny_flags

  from har_jax.archives import ARCHIVES
  from har_jax.datasets import prepare

  for name in ('sample_motionsense', 'sample_wisdm'):
    prepare.prepare(ARCHIVES[name], None, folder / 'windows', progress=False)
  parts = [('walking', 24.0), ('lying', 24.0), ('sitting', 24.0)]
  recordings.recording(folder / 'my.csv', parts)
  recordings.labels(folder / 'labels.csv', parts)
  windows = f'--windows={folder}/windows'
  pretrain = ('--supervised_pretraining_steps=4', '--noprogress', *tiny_flags.MODEL, *tiny_flags.PRETRAIN)
  adapt = (f'{folder}/my.csv', f'{folder}/labels.csv', f'--base={folder}/pretrain/out', '--overwrite')
  for name, flags in {
    'prepare': ('sample_motionsense',),
    'pretrain': (windows, *pretrain),
    'lodo': (windows, '--methods=lora', *tiny_flags.STUDY, '--continued_pretraining_steps=3'),
    'adapt': (*adapt, *tiny_flags.ADAPT, '--max_steps=10'),
    'export': (f'{folder}/adapt/out', '--format=onnx,stablehlo', '--overwrite'),
  }.items():
    (folder / name).mkdir()
    yield kills.Command(name, ('-m', 'har_jax', name, *flags)), folder / name


@pytest.mark.slow
@pytest.mark.skipif(not _KILLS, reason='takes half an hour or more: `make kills KILLS=100`')
@pytest.mark.linux
def test_a_killed_command_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(_TESTS.parent), prepend=os.pathsep)
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  bad, number = [], int(os.environ.get('HAR_FUZZ_FIRST', 0))
  for command, folder in _commands(tmp_path):
    first, killed = command.whole(folder), 0  # it compiles, and so its time is not that of the others
    (tmp_path / 'again').mkdir(exist_ok=True)
    whole = command.whole(tmp_path / 'again')
    assert whole.facts == first.facts, f'{command.name}: two undisturbed runs differ'
    while killed < _KILLS / 5:
      number += 1
      (tmp_path / f'trial{number}').mkdir()
      moments, outcome, words = command.trial(tmp_path / f'trial{number}', whole, number)
      print(command.name, number, outcome, *moments, words, sep=', ', flush=True)
      killed += len(moments)
      bad += [] if outcome == 'equal' else [(command.name, number, moments, outcome, words)]
    (tmp_path / 'again').rename(tmp_path / f'{command.name}-again')
  assert not bad
