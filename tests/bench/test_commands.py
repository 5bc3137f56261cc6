"""python -m launch.bench and launch.bench.nf4 on a small model."""

import json
import runpy
import sys
import types

import pytest
import tiny_flags
from in_process import run_module

from launch.bench import __main__ as steps
from launch.bench import nf4, scaling


def _run(module: types.ModuleType, *arguments: object) -> str:
  code, out, err = run_module(module, *tiny_flags.MODEL, *tiny_flags.PLAIN, '--repeats=2', *arguments)
  assert code == 0, err
  return out


@pytest.mark.slow
def test_nf4_is_measured_into_json_and_a_table(tmp_path):
  out = _run(nf4, '--shapes=64x128', '--rows=8', '--batches=4', '--presets=', f'--out={tmp_path}')
  bench = json.loads((tmp_path / 'nf4.json').read_text())
  assert [row['method'] for row in bench['steps']] == ['lora', 'qlora', 'qlora double']
  lora, qlora, double = (row['frozen_bytes'] for row in bench['steps'])
  assert lora > qlora > double
  assert bench['versions']['jax']
  text = (tmp_path / 'nf4.md').read_text()
  assert text in out
  rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]
  assert ['product', '64×128', 'float32'] in [row[:3] for row in rows]
  assert ['qlora double', '4'] in [row[:2] for row in rows]


@pytest.mark.slow
def test_steps_are_measured_into_json_and_a_table(tmp_path):
  out = _run(steps, '--kinds=full,inference', '--batches=4,8', f'--out={tmp_path}')
  bench = json.loads((tmp_path / 'steps.json').read_text())
  assert [(row['kind'], row['batch'], row['by']) for row in bench['steps']] == [
    ('full', 4, 'har_jax'),
    ('full', 8, 'har_jax'),
    ('inference', 4, 'har_jax'),
    ('inference', 8, 'har_jax'),
  ]
  assert (tmp_path / 'steps.md').read_text() in out


@pytest.mark.slow
def test_scaling_is_measured_into_json_a_table_and_a_figure(tmp_path, monkeypatch):
  monkeypatch.setattr(scaling, 'SIZES', {'runs': (2,), 'width': (24,)})
  out = _run(steps, '--scaling', '--dimensions=runs', '--finetune_batch=8', f'--out={tmp_path}')
  bench = json.loads((tmp_path / 'scaling.json').read_text())
  assert [(row['step'], row['dimension'], row['size']) for row in bench['scaling']] == [('lora', 'runs', 2)]
  assert (tmp_path / 'scaling.md').read_text() in out
  assert '<svg' in (tmp_path / 'scaling.svg').read_text()


@pytest.mark.parametrize(
  ('module', 'arguments', 'named'),
  [
    (steps, ['--kinds=lroa'], '--kinds=lroa'),
    (steps, ['--kinds='], '--kinds=: give one or more of full, lora'),
    (steps, ['--batches=0'], '--batches=0'),
    (steps, ['--dtypes=float32,float8'], "'float8'"),
    (steps, ['--scaling', '--dimensions=depth'], '--dimensions=depth'),
    (nf4, ['--shapes=64'], '--shapes=64'),
    (nf4, ['--batches=many'], '--batches=many'),
    (nf4, ['--presets=huge'], '--presets=huge'),
    (nf4, ['--nf4_kernel=fast'], '--nf4_kernel=fast'),
  ],
)
def test_a_mistake_is_one_line(module, arguments, named):
  code, _, err = run_module(module, *arguments)
  assert code == 1
  assert err.startswith('error: ')
  assert named in err
  assert len(err.splitlines()) == 1


@pytest.mark.parametrize('module', [steps, nf4])
def test_a_script_passes_flags_and_the_exit_code_on(module, monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', [module.__file__, '--batches=0'])
  with pytest.raises(SystemExit) as ended:
    runpy.run_path(module.__file__, run_name='__main__')
  assert (ended.value.code, capsys.readouterr().err) == (
    1,
    'error: --batches=0: give numbers of at least 1\n',
  )
