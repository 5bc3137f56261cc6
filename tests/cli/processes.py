"""Commands of har-jax as processes, for what only a process shows: signals, kills, jobs side by side."""

import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]


def start(command: str, *arguments: object) -> subprocess.Popen[str]:
  """`python -m har_jax <command>`, with XLA's optimizations off: its programs run for a few steps."""
  settings = {'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}
  settings['TF_CPP_MIN_LOG_LEVEL'] = '3'  # jaxlib 0.10.0 writes of each program until the pipe is full
  return subprocess.Popen(
    [sys.executable, '-m', 'har_jax', command, *map(str, arguments)],
    env=os.environ | settings,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
  """Exit code, standard output and standard error."""
  out, err = process.communicate(timeout=400)
  # Gloo, JAX's transport between processes, prints a greeting.
  return process.returncode, ''.join(line for line in out.splitlines(True) if 'Gloo' not in line), err


def wait_for(path: pathlib.Path, *processes: subprocess.Popen[str]) -> None:
  """Returns once a path exists. Fails if a process ends before."""
  deadline = time.monotonic() + 300
  while not path.exists():
    assert all(process.poll() is None for process in processes), [end(process) for process in processes]
    assert time.monotonic() < deadline
    time.sleep(0.005)
