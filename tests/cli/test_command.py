"""Flags, exit codes and entry points of all commands."""

import dataclasses
import errno
import os
import pathlib
import re
import runpy
import subprocess
import sys
import types

import jax
import pytest
from absl import flags
from in_process import refuse
from toy_command import toy_module

from har_jax import config
from har_jax.cli import command, jobs, main, training
from har_jax.continual.settings import Settings
from har_jax.errors import Stopped, Terminated, UserError
from har_jax.federated.federation import Federation
from har_jax.recognizer.parameters import Parameters

_ROOT = pathlib.Path(__file__).parents[2]
# The same meaning, in each command's own terms.
_OWN_HELP = {
  'method': 'adapt also takes a baseline',
  'out': 'what a command writes, each its own files',
  'target': 'its people are the clients in federate, the domains in continual',
  'targets': 'one fold each in lodo and paper, one domain each in continual',
  'validation_fraction': 'of subjects or windows in a protocol; of each activity, in time, in adapt',
}
_REASON = r'; \w+ than elsewhere, since [^;(]*\w'


# --- flags


def _flags_of_several_commands() -> dict[str, list[flags.Flag]]:
  found: dict[str, list[flags.Flag]] = {}
  for name in main.COMMANDS:
    values = main.load(name).FLAGS
    for flag in values:
      found.setdefault(flag, []).append(values[flag])
  return {name: shared for name, shared in found.items() if len(shared) > 1}


def test_a_flag_means_the_same_in_every_command():
  shared = _flags_of_several_commands()
  texts = {
    name: {re.sub(r' \(default: .*\)$', '', re.sub(_REASON, '', flag.help)) for flag in shared[name]}
    for name in shared.keys() - _OWN_HELP
  }
  assert not {name: each for name, each in texts.items() if len(each) > 1}
  assert _OWN_HELP.keys() <= shared.keys()


def test_a_flag_has_one_default_or_its_help_says_why():
  unexplained = {}
  for name, shared in _flags_of_several_commands().items():
    texts = [command.flag_text(flag) for flag in shared]
    defaults = [re.findall(r'\(default: (.*)\)$', text) or [''] for text in texts]
    # Words, such as (default: the bundled base), say it themselves.
    pairs = zip(defaults, texts, strict=True)
    plain = {default for (default,), text in pairs if ' ' not in default and not re.search(_REASON, text)}
    if len(plain) > 1:
      unexplained[name] = plain
  assert unexplained.keys() == {'out'}
  values = [main.load(name).FLAGS[flag] for name, flag in (('prepare', 'out'), ('lodo', 'windows'))]
  assert len({flag.default for flag in values}) == 1  # a command finds what the other has written


@pytest.mark.parametrize('path', sorted((_ROOT / 'launch' / 'flags').iterdir()), ids=lambda path: path.name)
def test_a_flagfile_sets_flags_of_the_command_that_it_names(path):
  (name,) = re.findall(rf'^# har-jax (\w+) --flagfile={path.stem}\b', path.read_text(), re.MULTILINE)
  module = main.load(name)
  try:
    module.FLAGS(['har-jax', f'--flagfile={path}'])
    experiment = training.read_experiment(module.FLAGS)
    assert experiment != config.Experiment()
  finally:
    module.FLAGS.unparse_flags()


@pytest.mark.parametrize(
  ('name', 'cls', 'others'),
  [
    ('adapt', Parameters, {}),
    ('federate', Federation, {}),
    ('continual', Settings, {'steps': 'steps_per_domain'}),
    ('prepare', config.Windowing, {'samples': 'window_samples', 'rate_hz': 'window_rate_hz'}),
  ],
)
def test_a_field_with_a_help_text_is_a_flag_with_its_default(name, cls, others):
  values = main.load(name).FLAGS
  fields = [field for field in dataclasses.fields(cls) if 'help' in field.metadata]
  assert len(fields) > 1
  for field in fields:
    flag = values[others.get(field.name, field.name)]
    assert (flag.help, flag.default) == (field.metadata['help'], field.default)
  measured = {'batch': 32, 'steps': 100}  # with these
  assert all(getattr(cls, name, value) == value for name, value in measured.items())


def test_lodo_has_a_flag_for_every_hyperparameter():
  values, experiment = main.load('lodo').FLAGS, vars(config.Experiment())
  prefixes = ('model_', 'lora_', '', '', '', 'pretrain_', 'finetune_')
  for part, prefix in zip(experiment.values(), prefixes, strict=True):
    for field in vars(part):
      # No stage trains a pretrained encoder, and the method decides on a side encoder: both would do nothing.
      without = {'pretrain_encoder_learning_rate', 'model_side_width'}
      assert (f'{prefix}{field}' in values) == (f'{prefix}{field}' not in without)


def test_hyperparameter_flags_override_the_preset():
  values = flags.FlagValues()
  experiment = training.define_experiment(values)
  words = ('--preset=paper', '--model_width=96', '--model_head=8,4', '--model_stem=', '--nomodel_log_std')
  values(['har-jax', *words, '--split=subject'])
  paper = config.Experiment.paper()
  model = dataclasses.replace(paper.model, width=96, head=(8, 4), stem=(), log_std=False)
  assert (experiment().model, experiment().protocol.split) == (model, 'subject')
  assert experiment().lora == paper.lora


def test_windows_give_their_length_and_rate_where_no_flag_does():
  values = flags.FlagValues()
  experiment = training.define_experiment(values)
  values(['har-jax', '--model_width=96', '--model_rate_hz=20'])
  model = experiment(types.SimpleNamespace(windowing=config.Windowing(64, 25))).model
  assert (model.width, model.window_samples, model.rate_hz) == (96, 64, 20)
  values(['har-jax', '--model_window_samples=96', '--model_rate_hz=20'])
  model = experiment(types.SimpleNamespace()).model  # of windows of several lengths, say
  assert (model.window_samples, model.rate_hz) == (96, 20)


def test_the_number_of_devices_on_the_cpu_is_that_of_the_flag(monkeypatch):
  values, set_to = flags.FlagValues(), {}
  monkeypatch.setattr(jax.config, 'update', set_to.__setitem__)
  set_devices = jobs.define_cpu_devices(values)
  for words, expected in (([], {}), (['--cpu_devices=2'], {'jax_num_cpu_devices': 2})):
    values(['har-jax', *words])
    set_devices()
    assert set_to == expected


IN_SAMPLE = (
  'targets, methods, seeds, label_budget, lora_rank, lora_alpha, finetune_epochs, finetune_max_steps'
)


@pytest.mark.parametrize(
  ('name', 'words', 'message'),
  [
    ('lodo', '--siez=3', "'siez'; har-jax lodo --helpfull lists all flags"),
    *(('predict', f'day.csv --{flag}=', f'--{flag} is empty: give a value') for flag in ('second', 'out')),
    ('check', '--recording=', '--recording is empty: give a value'),
    ('lodo', '3', "'3' is not a flag: write --name=value"),
    ('export', 'a b', "'b' is not a flag: write --name=value; by position: adapter"),
    ('export', 'a --format=', '--format=: give one or more of litert, '),
    ('export', 'a --format=onnx,word', '--format=word: give one or more of litert, '),
    *(('export', f'nowhere --{flag}=caffe', f'--{flag}=caffe: give one') for flag in ('format', 'precision')),
    ('export', 'a --adapter=b', "'a' and --adapter=b: give one of them"),
    *(('adapt', word, f'flag {word}: ') for word in ('--rank=0', '--random_state=-1', '--batch=half')),
    # What it would ignore, and what another command has.
    *(('pretrain', f'--{flag}=5', flag) for flag in ('lora_rank', 'continued_pretraining_steps')),
    ('pretrain', '--finetune_max_steps=5', 'finetune_max_steps'),
    ('pretrain', '--flagfile=sample',
     f'--flagfile=sample is for har-jax lodo; this command has no {IN_SAMPLE}, finetune_num_evals'),
    ('lodo', '--flagfile=nowhere', 'by name there are base, choose, paper'),
    # A second call in one process starts from the defaults.
    ('lodo', '--seeds=one', '--seeds=one'),
    ('lodo', '--lodo_shard=one', '--lodo_shard=one'),
    ('lodo', '--processes=2 --process=0', '--coordinator'),
    ('lodo', '--coordinator=here:1 --processes=2 --process=2', '--process=2'),
    ('lodo', '--coordinator=here --processes=2 --process=1', '--coordinator=here'),
    ('lodo', '--distributed --process=1', '--distributed'),
  ],
)  # fmt: skip
def test_a_mistake_is_one_line(name, words, message):
  assert message in refuse(name, *words.split())


# --- exit codes


@pytest.mark.parametrize(
  ('ends', 'code', 'named'),
  [
    (None, 0, ''),
    (UserError('rank is 0'), 1, 'error: rank is 0'),
    (OSError(errno.ENOSPC, 'full', 'a.json'), 1, 'a.json: full; free some space'),
    (OSError(errno.ENOSPC, 'full'), 1, 'error: a file: full; free some space'),
    (OSError(errno.EDQUOT, 'Quota exceeded'), 1, 'error: a file: Quota exceeded; free some space'),
    (OSError(errno.EROFS, 'Read-only', 'a.json'), 1, 'a.json: Read-only; check the permissions'),
    (MemoryError(), 1, 'out of memory'),
    (RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.'), 1, 'allocating 8 bytes'),  # JAX's
    (Stopped('alpha: saved at step 3'), 143, 'alpha: saved at step 3; run the same command to resume'),
    (KeyboardInterrupt(), 130, 'interrupted'),
    (Terminated(), 143, 'interrupted'),
  ],
)
def test_a_command_ends_with_an_exit_code_and_one_line(ends, code, named, capsys):
  assert command.run(toy_module(ends), []) == code
  err = capsys.readouterr().err
  assert named in err
  assert len(err.splitlines()) == (ends is not None)


def test_ctrl_c_promises_a_continuation_only_of_what_is_kept(monkeypatch, capsys):
  def interrupt(module) -> None:
    raise KeyboardInterrupt

  monkeypatch.setattr(command, '_main', interrupt)
  for name in ('prepare', 'lodo', 'adapt'):
    command.run(main.load(name), [])
  again, *_, last = capsys.readouterr().err.splitlines()
  assert again == 'interrupted; run the same command again to continue'
  assert last == 'interrupted; run the same command again to start over: no file is half-written'


@pytest.mark.parametrize('name', [name for name in main.COMMANDS if 'out' in main.load(name).FLAGS])
def test_an_out_that_cannot_be_written_is_found_before_any_work(name, tmp_path):
  (tmp_path / 'file').write_text('')
  error = refuse(name, f'--out={tmp_path}/file/out')
  assert error.startswith(f'error: cannot write to {tmp_path}/file/out: Not a directory; ')


@pytest.mark.parametrize('ends', [ValueError('a bug'), OSError(errno.EACCES, 'denied')])
def test_other_exceptions_keep_their_traceback(ends):
  with pytest.raises(type(ends)):
    command.run(toy_module(ends), [])


def test_a_flags_file_is_found_by_name_and_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
  monkeypatch.setattr(command, '_FLAGFILES', (tmp_path / 'missing', tmp_path))
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'small.flags').write_text('--size=7\n--noprogress\n')
  module = toy_module()
  assert command.run(module, ['--flagfile=small']) == 0
  assert (module.FLAGS['size'].value, module.FLAGS['progress'].value) == (7, False)
  (tmp_path / 'small').write_text('--size=8\n')
  assert command.run(module, ['-flagfile=small']) == 0
  assert module.FLAGS['size'].value == 8


def test_the_home_folder_in_a_flag_is_the_users(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  module = toy_module()
  for name in ('adapter', 'base'):
    flags.DEFINE_string(name, None, 'a folder', flag_values=module.FLAGS)
  assert command.run(module, ['--adapter=~/mine', '--base=~']) == 0
  assert (module.FLAGS.adapter, module.FLAGS.base) == (f'{tmp_path}/mine', '~')


def test_alarms_of_the_compiler_do_not_reach_the_user(monkeypatch):
  for given, level in ((None, '3'), ('0', '0')):
    monkeypatch.delenv('TF_CPP_MIN_LOG_LEVEL', raising=False)
    if given:
      monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', given)
    command.run(main.load('pretrain'), ['--flagfile=sample'])
    assert os.environ['TF_CPP_MIN_LOG_LEVEL'] == level


def test_sentences_name_flags_with_their_dashes():
  sentence = 'rate_hz is 3: give it with columns, --time_unit=s or frame=flip; unknown_below is a_rate_hz'
  expected = (
    '--rate_hz is 3: give it with --columns, --time_unit=s or --frame=flip; --unknown_below is a_rate_hz'
  )
  assert command.with_dashes(sentence) == expected
  apart = 'second_adapter needs second, the recording; columns has no role x; two activities; method=lora'
  expected = (
    '--second_adapter needs --second, the recording; --columns has no role x; two activities; --method=lora'
  )
  assert command.with_dashes(apart) == expected
  rates = 'refusal_rate is 1; a refusal rate of 10 %'
  assert command.with_dashes(rates) == f'--{rates}'


# --- entry points


@pytest.mark.parametrize(
  'entry',
  [
    [str(pathlib.Path(sys.executable).parent / 'har-jax'), 'lodo'],
    [sys.executable, '-m', 'har_jax', 'lodo'],
    [sys.executable, str(_ROOT / 'launch' / 'lodo.py')],
  ],
  ids=['har-jax', 'python -m har_jax', 'launch'],
)
def test_an_entry_point_passes_flags_and_the_exit_code_on(entry):
  done = subprocess.run([*entry, '--seeds=one'], cwd=_ROOT, capture_output=True, text=True)
  assert done.returncode == 1
  assert done.stderr.startswith('error: --seeds=one')
  assert len(done.stderr.splitlines()) == 1


def test_launch_has_a_script_for_every_command():
  scripts = {path.stem for path in (_ROOT / 'launch').glob('*.py')} - {'__init__'}
  assert scripts == set(main.COMMANDS)


@pytest.mark.parametrize('command', main.COMMANDS)
def test_a_launch_script_runs_nothing_where_a_child_process_imports_it(command, monkeypatch):
  monkeypatch.setattr(main, 'main', lambda *_: pytest.fail('the command ran'))
  # Python's `spawn` imports the main script of the parent under this name.
  runpy.run_path(str(_ROOT / 'launch' / f'{command}.py'), run_name='__mp_main__')


def test_a_closed_pipe_ends_without_a_traceback():
  reader, writer = os.pipe()
  os.close(reader)
  done = subprocess.run(
    [sys.executable, '-m', 'har_jax', 'lodo', '--help'],
    cwd=_ROOT,
    stdout=writer,
    stderr=subprocess.PIPE,
    text=True,
  )
  os.close(writer)
  assert (done.returncode, done.stderr) == (0, '')


def test_without_a_standard_output_a_command_ends_as_with_one():
  done = subprocess.run(
    f'{sys.executable} -m har_jax --version >&-', shell=True, cwd=_ROOT, capture_output=True, text=True
  )
  assert (done.returncode, done.stderr) == (0, '')
