"""Ctrl-C and SIGTERM, which end a command's process at any moment, with one line."""

import gc
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from toy_command import toy_module

from har_jax.cli import main

_ROOT = pathlib.Path(__file__).parents[2]
_INTERRUPTED = 'interrupted; run the same command again to start over: no file is half-written\n'


@pytest.fixture
def own_process(monkeypatch):
  """This process as that of a command; restores what it does at SIGTERM and Ctrl-C."""
  monkeypatch.setattr(sys, 'argv', ['har-jax', 'adapt'])
  monkeypatch.setattr(os, '_exit', sys.exit)
  before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
  signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
  yield
  for number, handler in before.items():
    signal.signal(number, handler)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('moment', ['while it is imported', 'while it runs'])
def test_a_signal_ends_a_process_of_its_own_in_one_line(number, moment, own_process, monkeypatch, capsys):
  module = toy_module()
  module.main = lambda: signal.raise_signal(number)
  load = (lambda name: signal.raise_signal(number)) if 'imported' in moment else (lambda name: module)
  monkeypatch.setattr(main, 'load', load)
  with pytest.raises(SystemExit) as ended:
    main.main()
  assert ended.value.code == 128 + number
  assert capsys.readouterr().err == _INTERRUPTED
  assert {signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)} == {signal.SIG_DFL}


def test_ctrl_c_that_is_ignored_stays_so(own_process, monkeypatch):
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  module = toy_module()
  module.main = lambda: signal.raise_signal(signal.SIGINT)
  monkeypatch.setattr(main, 'load', lambda name: module)
  assert main.main() == 0
  assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_the_last_moment_is_silent(number, own_process, monkeypatch, capsys):
  monkeypatch.setattr(gc, 'freeze', lambda: signal.raise_signal(number))
  monkeypatch.setattr(sys, 'argv', ['har-jax', '--version'])
  assert main.main() == 128 + number
  assert capsys.readouterr().err == ''


# JAX makes enumerations while its library of C++ is loaded, where an exception would abort the process.
_SIGNAL_IN_A_LIBRARY = """
import atexit, enum, os, signal, sys, time
from har_jax.cli import main
from toy_command import toy_module

number, new = int(sys.argv[1]), enum.EnumType.__new__

def send(*arguments, **options):
  if sys._getframe(3).f_code.co_name == '_call_with_frames_removed':
    enum.EnumType.__new__ = new
    signal.raise_signal(number)
  return new(*arguments, **options)

def load_library():
  enum.EnumType.__new__ = send
  import jaxlib.xla_client
  for _ in range(300):
    time.sleep(0.1)

signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(os.abort)  # as threads that still compile may do
module = toy_module()
module.main, main.load, sys.argv = load_library, lambda name: module, ['har-jax', 'adapt']
sys.exit(main.main())
"""


@pytest.mark.linux
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_library_is_loaded_ends_the_process_as_at_any_time(number):
  command_line = [sys.executable, '-c', _SIGNAL_IN_A_LIBRARY, str(int(number))]
  environment = os.environ | {'PYTHONPATH': os.pathsep.join([str(_ROOT), str(_ROOT / 'tests' / 'cli')])}
  done = subprocess.run(command_line, env=environment, capture_output=True, text=True, timeout=60)
  assert (done.returncode, done.stderr) == (128 + number, _INTERRUPTED)


def test_only_a_process_of_its_own_searches_rarely_for_cycles(own_process, monkeypatch):
  called: list[str] = []
  monkeypatch.setattr(gc, 'set_threshold', lambda _: called.append('set_threshold'))
  monkeypatch.setattr(gc, 'freeze', lambda: called.append('freeze'))
  assert main.main(['--help']) == 0
  assert called == []
  monkeypatch.setattr(sys, 'argv', ['har-jax', '--help'])
  assert main.main() == 0
  assert called == ['set_threshold', 'freeze']


def test_a_pipe_whose_reader_has_seen_enough_is_no_error(monkeypatch):
  def run(arguments: list[str]) -> int:
    raise BrokenPipeError

  replaced: list[int] = []
  with monkeypatch.context() as patched:
    patched.setattr(main, '_run', run)
    patched.setattr(os, 'dup2', lambda _, stream: replaced.append(stream))
    patched.setattr(sys.stdout, 'fileno', lambda: 77)
    assert main.main(['report']) == 0
  assert replaced == [77]
