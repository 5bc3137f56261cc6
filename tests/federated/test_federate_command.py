"""`har-jax federate`: what it refuses before any work, and what it prints."""

import importlib.util
import pathlib
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator

import pytest
from in_process import refuse

from har_jax.cli import federate

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
  ('arguments', 'named'),
  [
    ((), '--target= the dataset'),
    (('--target=made', '--base=nowhere'), '--base=nowhere: no such folder'),
    (('--target=made', '--seed=99999999999'), '--seed'),
  ],
)
def test_flags_that_do_not_fit_are_refused(arguments, named, tmp_path):
  assert named in refuse('federate', *arguments, f'--out={tmp_path}/out')


@pytest.mark.parametrize('missing', ['flwr', 'ray'])
def test_without_flower_or_its_engine_the_extra_is_named(missing, monkeypatch, tmp_path):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == missing else name)
  assert "pip install 'har_jax[federated]'" in refuse('federate', '--target=made', f'--out={tmp_path}/out')


def test_a_round_without_an_answer_has_no_loss(capsys):
  sizes = {'bytes_to_client': 10**6, 'bytes_from_client': 0}
  entry = types.SimpleNamespace(
    **sizes, round=1, asked=2, clients=[], refused=['two'], loss=None, seconds=1.0, validation_macro_f1=0.25
  )
  federate._print_round(entry)
  assert capsys.readouterr().out.splitlines() == [
    'round 1: 0 of 2 clients, loss –, validation macro-F1 0.250, 1.00 MB a client, 1.0 s',
    '  refused: two',
  ]


@pytest.mark.slow
def test_nothing_else_imports_flower():
  code = (
    'import sys; sys.modules["flwr"] = sys.modules["ray"] = None; '
    'import har_jax.federated.task, har_jax.federated.people; '
    'from har_jax.cli import main; [main.load(name) for name in main.COMMANDS]'
  )
  subprocess.run([sys.executable, '-c', code], cwd=_ROOT, check=True)


@pytest.fixture
def start(windows, base, tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
  pytest.importorskip('ray')
  flags = (f'--windows={windows}', '--target=made', f'--base={base}', f'--out={tmp_path}/out', '--rank=2')
  command = [sys.executable, '-m', 'har_jax.cli.main', 'federate', *flags]
  pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
  # A process inherits that SIGINT is ignored, as it is where the tests run in the background.
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield lambda *words: subprocess.Popen([*command, *words], **pipes, text=True, cwd=_ROOT)
  signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_a_simulation_ends_with_an_adapter(start, tmp_path):
  private = ('--equal_weights', '--clip_norm=1', '--noise_multiplier=2')
  process = start('--rounds=2', '--local_steps=2', *private)
  out, err = process.communicate()
  assert process.returncode == 0, err
  assert '6 clients' in out
  assert re.search(r'round 2: 6 of 6 clients, loss \d', out)
  assert re.search(r'epsilon \d+\.\d\d at delta 0\.02', out)
  assert (tmp_path / 'out' / 'adapter.json').exists()


@pytest.mark.slow
@pytest.mark.linux
def test_ctrl_c_within_a_round_is_a_sentence(start):
  process = start('--rounds=20', '--local_steps=400')
  assert process.stdout is not None
  next(line for line in process.stdout if line.startswith('round 1:'))
  time.sleep(0.5)
  process.send_signal(signal.SIGINT)
  _, err = process.communicate()
  assert process.returncode == 130
  assert 'interrupted; run the same command again to continue' in err
  assert 'Traceback' not in err
