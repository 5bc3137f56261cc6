"""Measure commands, write results/time_and_memory.csv, and fill the table of docs/install.md.

python docs/studies/time_and_memory.py --archive_path=<folder of archives> --windows=<prepared windows>
python docs/studies/time_and_memory.py --nomeasure

Each command runs twice, and the second run counts: it finds compiled programs, as a user's second run does.
Needs about ten minutes on an idle machine.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
import study

from har_jax.report import csv_table, markdown

FLAGS, _define = study.new_flags()
_ARCHIVES = _define('archive_path', None, 'folder of archives; None: `prepare` is left out')
_WINDOWS = _define('windows', 'windows')
TABLE, PAGE = study.places('time_and_memory')[0], study.ROOT / 'docs' / 'install.md'
_HOURS = (1, 11)
_MADE_HOURS = 0.1  # of the recording that docs/make_recording.py makes
_RECORDING_HZ = 50
# The base's own pretraining has more steps, which take longer and need no more memory.
_PRETRAINING = ('--sources=motionsense,sp_sw_har,wisdm,dsads', '--pretrain_max_steps=50')
_FIRST_ANSWER = """
import numpy as np
from har_jax import Recognizer
Recognizer.load().predict(np.tile([0, 0, 9.8, 0, 0, 0], (300, 128, 1)))
"""


def _rows(folder: pathlib.Path) -> Iterator[dict[str, Any]]:
  """A row for each command. folder: for recordings, and for what the commands write."""
  run_on = study.run_on()
  for name, arguments in _commands(folder):
    for attempt in ('cold', 'warm'):
      out = f'--out={_out(folder, name) / attempt}'
      measured = _measured(['-m', 'har_jax', *arguments, out, '--quiet'])
    print(name, measured, flush=True)
    yield {'command': name, **measured, **run_on}
  for _ in ('cold', 'warm'):
    measured = _measured(['-c', _FIRST_ANSWER])
  yield {'command': 'in Python: Recognizer.load().predict(), 300 windows', **measured, **run_on}


def _commands(folder: pathlib.Path) -> Iterator[tuple[str, list[str]]]:
  """What is measured, in order: a later command uses what an earlier one wrote."""
  if _ARCHIVES.value:
    yield 'prepare all', ['prepare', 'all', f'--archive_path={_ARCHIVES.value}', '--position=all']
  steps = '--supervised_pretraining_steps=250'
  yield (
    'pretrain, 300 steps',
    ['pretrain', '--flagfile=base', f'--windows={_WINDOWS.value}', *_PRETRAINING, steps],
  )
  made = folder / 'made'
  script = str(study.ROOT / 'docs' / 'make_recording.py')
  subprocess.run(
    [sys.executable, script, '--windows_per_activity=10', f'--out={made}'],
    check=True,
    stdout=subprocess.DEVNULL,
  )
  day, labels = str(made / 'day.csv'), str(made / 'labels.csv')
  adapting = 'adapt, 6 minutes'
  yield adapting, ['adapt', day, labels]
  adapter = _out(folder, adapting) / 'warm'
  yield 'predict, 6 minutes', ['predict', day]
  for hours in _HOURS:
    long = made / f'{hours}.csv'
    _write_long(pathlib.Path(day), hours, long)
    plural = 's' if hours > 1 else ''
    yield f'predict, {hours} hour{plural}', ['predict', str(long)]
    yield f'predict --adapter, {hours} hour{plural}', ['predict', str(long), f'--adapter={adapter}']


def _out(folder: pathlib.Path, name: str) -> pathlib.Path:
  return folder / name.replace(' ', '_')


def _write_long(day: pathlib.Path, hours: float, path: pathlib.Path) -> None:
  """The recording again and again, at half of its rate."""
  table = pd.read_csv(day).iloc[::2]
  time_ns = table.iloc[:, 0]
  length_ns = time_ns.iloc[-1] - time_ns.iloc[0] + 10**9 // _RECORDING_HZ
  for copy in range(round(hours / _MADE_HOURS)):
    moved = table.assign(**{table.columns[0]: time_ns + copy * length_ns})
    moved.to_csv(path, index=False, mode='a', header=not copy)


def _measured(arguments: list[str]) -> dict[str, Any]:
  """Seconds and memory of a Python process and those that it starts; memory is that of the largest."""
  # A command keeps compiled programs, and tells its child processes where. A user's Python does not.
  environment = {name: value for name, value in os.environ.items() if not name.startswith('JAX_')}
  begun_s = time.monotonic()
  process = subprocess.Popen(
    [sys.executable, *arguments], cwd=study.ROOT, env=environment, stdout=subprocess.DEVNULL
  )
  _, status, usage = os.wait4(process.pid, 0)
  if status:
    raise SystemExit(f'python {" ".join(arguments)} has failed')
  return {
    'seconds': round(time.monotonic() - begun_s, 1),
    'cpu_seconds': round(usage.ru_utime + usage.ru_stime, 1),
    'peak_mb': round(usage.ru_maxrss * 1024 / 1e6),
  }


def _measure_all() -> None:
  with tempfile.TemporaryDirectory() as folder:
    study.write(TABLE, list(_rows(pathlib.Path(folder))))


def block() -> str:
  frame = csv_table.read(TABLE)
  names = {'cpu_seconds': 'CPU seconds', 'peak_mb': 'peak MB'}
  shown = frame[['command', 'seconds', *names]].rename(columns=names).astype(str)
  first = frame.iloc[0]
  machine = f'{first["cores"]} cores, {first["device"]}, {first["versions"]}, commit {first["commit"]}.'
  return f'{markdown.tabulated(shown)}\n\n{machine}'


if __name__ == '__main__':
  study.run(__name__, _measure_all)
