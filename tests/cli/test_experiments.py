"""har-jax lodo, pretrain, paper and report on datasets of the sample, for a few steps."""

import json
import pathlib
import re
import signal
from typing import Any

import processes
import pytest
import tiny_flags
from in_process import refuse, run_in_process, succeed

from har_jax.experiments import paper, supervised_head
from har_jax.train.checkpoint import Checkpoints

pytestmark = pytest.mark.slow

_RESULT = 'sample_motionsense/{}/subject/labels-0.7/seed0.json'


def _run(command: str, *arguments: object) -> str:
  return succeed(command, *arguments)[0]


def _result(folder: pathlib.Path, method: str) -> dict:
  return json.loads((folder / _RESULT.format(method)).read_text())


# --- lodo


@pytest.mark.parametrize(
  ('arguments', 'named'),
  [
    (['--targets=sample_motionsens'], "'sample_motionsens'"),
    (['--finetune_batch=0'], '--finetune_batch=0: it must be at least 1'),
    (['--label_budget=0.9'], 'label_budget 0.9'),
    (['--methods=lora', '--lora_targets=qeury'], "'qeury'"),
    (['--windows={}/nowhere'], 'nowhere'),
  ],
)
def test_a_mistake_is_one_line_and_starts_no_run(arguments, named, study, tmp_path):
  words = [word.format(tmp_path) for word in arguments]
  assert named in refuse('lodo', *study, f'--out={tmp_path}/out', *words)
  assert not list(tmp_path.rglob('seed*.json'))


@pytest.mark.linux
def test_a_killed_and_stopped_study_ends_with_the_same_numbers(study, finished, tmp_path, monkeypatch):
  arguments = (*study, f'--out={tmp_path}')
  pretraining = tmp_path / 'sample_motionsense' / 'pretrain'
  killed = processes.start('lodo', *arguments, '--phase=pretrain')
  processes.wait_for(pretraining / 'checkpoints' / '3', killed)
  killed.send_signal(signal.SIGKILL)
  processes.end(killed)
  assert (pretraining / 'lock').exists()
  assert not (pretraining / 'pretrained.json').exists()

  save = Checkpoints.save
  for lines, (number, method) in enumerate(((signal.SIGTERM, 'full'), (signal.SIGINT, 'probe'))):
    left = {method: number}  # a second Ctrl-C would end it at once

    def save_and_end(self: Checkpoints, *arguments: Any, left: dict = left, **options: Any) -> None:
      save(self, *arguments, **options)
      for method in left.keys() & {*self.folder.parts}:
        signal.raise_signal(left.pop(method))

    with monkeypatch.context() as patched:
      patched.setattr(Checkpoints, 'save', save_and_end)
      code, out, err = run_in_process('lodo', *arguments)
    assert (code, len(out.splitlines())) == (128 + number, lines)
    assert 'waiting' not in err  # the lock of a dead process is taken at once
    (line,) = [line for line in err.splitlines() if 'stopped' in line]
    assert re.match(rf'sample_motionsense: {method}, .* step 8; run the same command to resume', line)
    result = tmp_path / _RESULT.format(method)
    assert (result.with_suffix('') / 'checkpoints' / '8').is_dir()
    assert not result.exists()

  _run('lodo', *arguments)
  for method in ('full', 'probe'):
    one, other = _result(finished, method), _result(tmp_path, method)
    assert (one['test'], one['test_by_subject']) == (other['test'], other['test_by_subject'])
    scores, others = ([entry['score'] for entry in result['validation']] for result in (one, other))
    assert scores == others


# --- pretrain


@pytest.fixture(scope='module')
def base(windows, tmp_path_factory) -> tuple[pathlib.Path, tuple[str, ...]]:
  """A base, and the arguments that make it."""
  folder = tmp_path_factory.mktemp('base')
  few = (*tiny_flags.MODEL, *tiny_flags.PLAIN, *tiny_flags.PRETRAIN, '--noprogress')
  arguments = (f'--windows={windows}', '--sources=sample_wisdm', '--four_bits', f'--out={folder}', *few)
  out = _run('pretrain', *arguments)
  assert out.startswith(f'{folder / "base.json"}: step 6, validation loss ')
  return folder, arguments


def _card(folder: pathlib.Path) -> dict:
  return json.loads((folder / 'base.json').read_text(encoding='utf-8'))


def test_a_base_is_pretrained_on_the_sources_alone(base):
  folder, arguments = base
  assert [source['archive'] for source in _card(folder)['sources']] == ['sample_wisdm']
  assert _card(folder)['pretraining']['steps'] == 6
  first = (folder / 'base.safetensors').read_bytes()
  _run('pretrain', *arguments)  # reads the finished pretraining
  assert (folder / 'base.safetensors').read_bytes() == first


def test_supervised_pretraining_follows(base):
  folder, arguments = base
  first = (folder / 'base.safetensors').read_bytes()
  out = _run('pretrain', *arguments, '--supervised_pretraining_steps=2', '--finetune_batch=16')
  assert ': step 2, validation macro-F1 ' in out
  assert ', head validation macro-F1 ' in out
  assert set(_card(folder)['classes']) < set(supervised_head.CLASSES)
  assert [source['archive'] for source in _card(folder)['sources']] == ['sample_wisdm']
  assert (folder / 'base.safetensors').read_bytes() != first


def test_unknown_sources_are_refused(windows, tmp_path):
  flags = (f'--windows={windows}', '--sources=nowhere', f'--out={tmp_path}')
  assert 'nowhere' in refuse('pretrain', *flags)


# --- paper


def test_a_table_of_the_paper_is_one_command(windows, tmp_path, monkeypatch):
  monkeypatch.setattr(paper, '_METHODS', ('lora',))
  few = [f'--{part}_{name}' for part in ('pretrain', 'finetune') for name in ('max_steps=2', 'num_evals=1')]
  arguments = (f'--windows={windows}', f'--out={tmp_path}', *tiny_flags.STUDY, *few)
  out = _run('paper', '--table=2', *arguments)
  assert 'hhar, motionsense' in out.splitlines()[0]  # targets of the paper without windows
  assert len([line for line in out.splitlines() if ': macro-F1 ' in line]) == 6
  made = sorted(tmp_path.glob('base/sample_motionsense/*/*/labels-0.7/seed0.json'))
  assert len(made) == 6  # a method, two baselines, two splits
  assert len(list(tmp_path.rglob('pretrained.json'))) == 1
  assert 'sample_motionsense' in (tmp_path / 'tables.md').read_text(encoding='utf-8')
  before = {path: path.stat().st_mtime_ns for path in made}
  _run('paper', '--table=3', *arguments)
  assert {path: path.stat().st_mtime_ns for path in made} == before  # reused


@pytest.mark.parametrize(('command', 'out'), [('lodo', 'runs/lodo'), ('paper', 'runs/paper')])
def test_runs_go_to_a_folder_that_is_not_committed(command, out):
  from har_jax.cli import main

  assert main.load(command).FLAGS['out'].default == out
  assert '/runs/' in (processes.ROOT / '.gitignore').read_text().splitlines()
