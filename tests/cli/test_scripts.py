"""The launch scripts as a user runs them: whole processes, on small made-up corpora."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

_ROOT = pathlib.Path(__file__).parents[2]
_TINY = (
  '--model_patch_size=32',
  '--model_width=24',
  '--model_mlp_dim=32',
  '--model_num_heads=2',
  '--model_depth=1',
  '--model_decoder_blocks=1',
  '--model_head=8',
  '--lora_rank=2',
  '--pretrain_max_steps=6',
  '--pretrain_num_evals=2',
  '--finetune_max_steps=8',
  '--finetune_num_evals=4',
  '--seeds=0',
  '--targets=synth_waist',
  '--noprogress',
)


def _command(script: str, *arguments: object) -> list[str]:
  return [sys.executable, str(_ROOT / 'launch' / f'{script}.py'), *map(str, arguments)]


def _environment() -> dict[str, str]:
  return os.environ | {'PYTHONPATH': str(_ROOT), 'JAX_PLATFORMS': 'cpu'}


def _run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    _command(script, *arguments), env=_environment(), capture_output=True, text=True, timeout=300
  )


@pytest.fixture(scope='module')
def windows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Three of the made-up corpora, prepared by the script."""
  folder = tmp_path_factory.mktemp('windows')
  for name in ('synth_waist', 'synth_thigh', 'synth_wrist'):
    done = _run('prepare', f'--archive={name}', f'--out={folder}')
    assert done.returncode == 0, done.stderr
    assert 'walking' in done.stdout
  return folder


@pytest.mark.parametrize(
  'script',
  ['prepare', 'lodo', 'paper', 'pretrain', 'report', 'bench', 'bench_nf4', 'adapt', 'predict', 'export'],
)
def test_help_answers_at_once(script: str):
  seconds = []
  for _ in range(3):
    started = time.monotonic()
    done = _run(script, '--help')
    seconds.append(time.monotonic() - started)
  assert '--out' in done.stdout
  assert min(seconds) < 1.0  # the least of three: others may be busy on this machine


def test_help_of_lodo_lists_every_knob():
  text = _run('lodo', '--help').stdout
  for knob in (
    '--preset',
    '--split',
    '--labels',
    '--model_width',
    '--lora_rank',
    '--pretrain_epochs',
    '--finetune_batch',
  ):
    assert f'{knob}:' in text


@pytest.mark.parametrize(
  ('arguments', 'told'),
  [
    (['--targets=synth_wasit'], "no windows of 'synth_wasit'"),
    (['--targets=synth_waist', '--methods=lroa'], "unknown method 'lroa'; one of full, probe, lora, qlora"),
    (
      ['--targets=synth_waist', '--sources=synth_waist,synth_thigh'],
      'among the sources is the target synth_waist',
    ),
    (['--targets=synth_waist', '--seeds=one'], '--seeds=one: give whole numbers'),
    (['--targets=synth_waist', '--finetune_batch=0'], 'batch is 0; it must be at least 1'),
    (['--targets=synth_waist', '--label_budget=0.9'], 'label_budget 0.9 is more than'),
    (['--targets=synth_waist', '--lora_targets=qeury', *_TINY], "LoRA target 'qeury'"),
    (['synth_waist'], "'synth_waist' is no flag"),
  ],
)
def test_a_mistake_gets_one_clear_message_and_no_traceback(
  arguments: list[str], told: str, windows: pathlib.Path, tmp_path: pathlib.Path
):
  done = _run('lodo', f'--windows={windows}', f'--out={tmp_path}', '--methods=lora', *arguments)
  assert done.returncode == 1
  assert told in done.stderr
  assert 'Traceback' not in done.stderr
  assert not list(tmp_path.rglob('seed*.json'))


def test_a_run_killed_twice_ends_with_the_same_numbers_and_then_a_table(
  windows: pathlib.Path, tmp_path: pathlib.Path
):
  def arguments(out: pathlib.Path) -> tuple[object, ...]:
    return (f'--windows={windows}', f'--out={out}', '--methods=full,qlora', *_TINY)

  undisturbed = _run('lodo', *arguments(tmp_path / 'undisturbed'))
  assert undisturbed.returncode == 0, undisturbed.stderr
  killed = tmp_path / 'killed'
  for awaited in (
    'synth_waist/pretrain/checkpoints/3',
    'synth_waist/full/subject/labels-0.7/seed0/checkpoints/4',
  ):
    _kill_once_there(_command('lodo', *arguments(killed)), killed / awaited)
  assert not list(killed.rglob('seed*.json'))
  assert _run('lodo', *arguments(killed)).returncode == 0
  for method in ('full', 'qlora'):
    name = f'synth_waist/{method}/subject/labels-0.7/seed0.json'
    one, other = (json.loads((tmp_path / folder / name).read_text()) for folder in ('undisturbed', 'killed'))
    assert one['test'] == other['test']
    assert [entry['score'] for entry in one['validation']] == [
      entry['score'] for entry in other['validation']
    ]

  finished = next(killed.rglob('seed0.json'))
  before = finished.stat().st_mtime_ns
  assert _run('lodo', *arguments(killed)).returncode == 0
  assert finished.stat().st_mtime_ns == before  # skipped, not run again

  other = _run('lodo', *arguments(killed), '--finetune_learning_rate=0.5')
  assert other.returncode == 1
  assert 'finetune.learning_rate: made with 0.001, now with 0.5' in other.stderr

  table = _run('report', f'--results={killed}')
  assert table.returncode == 0, table.stderr
  assert 'synth_waist' in table.stdout
  assert (killed / 'tables.md').is_file()


def test_the_measurements_of_nf4_come_as_json_and_as_a_table(tmp_path: pathlib.Path):
  tiny = [flag for flag in _TINY if flag.startswith(('--model_', '--lora_'))]
  small = ('--shapes=64x128', '--rows=8', '--batches=4', '--repeats=2', '--presets=')
  done = _run('bench_nf4', *tiny, *small, f'--out={tmp_path}')
  assert done.returncode == 0, done.stderr
  bench = json.loads((tmp_path / 'nf4.json').read_text())
  assert [row['method'] for row in bench['steps']] == ['lora', 'qlora', 'qlora double']
  assert (
    bench['steps'][0]['frozen_bytes'] > bench['steps'][1]['frozen_bytes'] > bench['steps'][2]['frozen_bytes']
  )
  assert bench['versions']['jax']
  text = (tmp_path / 'nf4.md').read_text()
  assert text in done.stdout
  rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]
  assert ['product', '64×128', 'float32'] in [row[:3] for row in rows]
  assert ['qlora double', '4'] in [row[:2] for row in rows]


def test_the_measurements_of_steps_come_as_json_and_as_a_table(tmp_path: pathlib.Path):
  tiny = [flag for flag in _TINY if flag.startswith(('--model_', '--lora_'))]
  done = _run('bench', *tiny, '--kinds=lora', '--batches=4,8', '--repeats=2', f'--out={tmp_path}')
  assert done.returncode == 0, done.stderr
  bench = json.loads((tmp_path / 'steps.json').read_text())
  assert [(row['kind'], row['batch'], row['by']) for row in bench['steps']] == [
    ('lora', 4, 'har_jax'),
    ('lora', 8, 'har_jax'),
  ]
  assert (tmp_path / 'steps.md').read_text() in done.stdout


def test_how_cost_grows_comes_as_json_as_a_table_and_as_a_picture(tmp_path: pathlib.Path):
  pytest.importorskip('matplotlib')
  tiny = [flag for flag in _TINY if flag.startswith(('--model_', '--lora_'))]
  done = _run(
    'bench',
    *tiny,
    '--scaling',
    '--dimensions=runs',
    '--finetune_batch=64',
    '--repeats=2',
    f'--out={tmp_path}',
  )
  assert done.returncode == 0, done.stderr
  bench = json.loads((tmp_path / 'scaling.json').read_text())
  assert [(row['step'], row['dimension'], row['size']) for row in bench['scaling']] == [
    ('lora', 'runs', size) for size in (1, 2, 4, 8)
  ]
  assert (tmp_path / 'scaling.md').read_text() in done.stdout
  assert 'runs side by side' in (tmp_path / 'scaling.svg').read_text()


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--kinds=lroa', 'lroa'),
    ('--batches=0', '0'),
    ('--dtypes=float32,float8', "dtype is 'float8'"),
    ('--scaling --dimensions=depth', 'depth'),
  ],
)
def test_a_step_that_is_none_is_one_line(flag: str, told: str):
  done = _run('bench', *flag.split())
  assert done.returncode == 1
  assert done.stderr.startswith('error: ')
  assert told in done.stderr


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--shapes=64', '64'),
    ('--batches=many', 'many'),
    ('--presets=huge', 'huge'),
    ('--nf4_kernel=fast', 'fast'),
  ],
)
def test_a_flag_of_the_measurements_that_makes_no_sense_is_one_line(flag: str, told: str):
  done = _run('bench_nf4', flag)
  assert done.returncode == 1
  assert done.stderr.startswith('error: ')
  assert told in done.stderr
  assert len(done.stderr.splitlines()) == 1


def _kill_once_there(command: list[str], awaited: pathlib.Path) -> None:
  """SIGKILL as soon as a checkpoint has its final name."""
  process = subprocess.Popen(
    command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
  )
  deadline = time.monotonic() + 120
  while not awaited.exists():
    assert process.poll() is None, f'ended before it was killed: {process.communicate()[1]}'
    assert time.monotonic() < deadline
    time.sleep(0.005)
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert process.stderr is not None
  process.stderr.close()


def test_a_base_is_pretrained_on_the_sources_alone_and_found_again(
  windows: pathlib.Path, tmp_path: pathlib.Path
):
  model = [flag for flag in _TINY if flag.startswith(('--model', '--pretrain'))]
  asked = (f'--windows={windows}', '--sources=synth_thigh', '--four_bits', f'--out={tmp_path}', *model)
  done = _run('pretrain', *asked, '--noprogress')
  assert done.returncode == 0, done.stderr
  card = json.loads((tmp_path / 'base.json').read_text(encoding='utf-8'))
  assert [source['archive'] for source in card['sources']] == ['synth_thigh']
  assert card['pretraining']['steps'] in (3, 6)
  assert done.stdout.startswith(f'{tmp_path / "base.json"}: step {card["pretraining"]["steps"]}')
  first = (tmp_path / 'base.safetensors').read_bytes()
  assert _run('pretrain', *asked, '--noprogress').returncode == 0
  assert (tmp_path / 'base.safetensors').read_bytes() == first
  told = _run('pretrain', *asked, '--supervised_pretraining_steps=2', '--finetune_batch=16', '--noprogress')
  assert told.returncode == 0, told.stderr
  assert ': step 2, validation macro-F1 ' in told.stdout
  card = json.loads((tmp_path / 'base.json').read_text(encoding='utf-8'))
  assert card['pretraining']['classes'] == sorted(set(card['pretraining']['classes']))
  assert [source['archive'] for source in card['sources']] == ['synth_thigh']
  assert (tmp_path / 'base.safetensors').read_bytes() != first
  refused = _run('pretrain', f'--windows={windows}', '--sources=nowhere', f'--out={tmp_path}')
  assert (refused.returncode, 'no windows of nowhere' in refused.stderr) == (1, True)


def test_the_papers_tables_take_one_command(windows: pathlib.Path, tmp_path: pathlib.Path):
  tiny = [flag for flag in _TINY if not flag.startswith('--targets')]
  asked = (f'--windows={windows}', f'--out={tmp_path}', '--targets=synth_waist', *tiny)
  done = _run('paper', '--table=2', *asked)
  assert done.returncode == 0, done.stderr
  assert 'not at hand, so not in any table: hhar, motionsense' in done.stdout
  made = sorted(tmp_path.glob('base/synth_waist/*/*/labels-0.7/seed0.json'))
  assert len(made) == 10  # five methods by window and by subject
  assert len(list(tmp_path.rglob('pretrained.json'))) == 1
  text = (tmp_path / 'tables.md').read_text(encoding='utf-8')
  assert 'What a split by window gives away' in text
  assert list(tmp_path.rglob('embeddings.json'))
  before = {path: path.stat().st_mtime_ns for path in made}
  assert _run('paper', '--table=3', *asked).returncode == 0
  assert {path: path.stat().st_mtime_ns for path in made} == before  # reused
  (tmp_path / 'tables.md').unlink()
  part = _run('paper', '--table=2', '--lodo_shard=0/2', *asked)
  assert (part.returncode, 'the same command without --lodo_shard writes the tables' in part.stdout) == (
    0,
    True,
  )
  assert not (tmp_path / 'tables.md').exists()
