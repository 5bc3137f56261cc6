"""Help of all commands, and the list of them."""

import inspect
import pathlib
import re
import subprocess
import sys

import pytest
from in_process import run_in_process
from toy_command import toy_module

import har_jax
from har_jax.cli import command, main
from har_jax.experiments import kinds
from har_jax.export import FORMATS
from har_jax.methods import METHODS
from har_jax.recordings import ReadingOptions
from har_jax.timeline.adaptation import AdaptOptions

_ROOT = pathlib.Path(__file__).parents[2]
_HEAVY = ('jax', 'flax', 'pandas', 'scipy', 'sklearn', 'aeon', 'matplotlib', 'grain', 'orbax', 'tqdm')


def test_help_and_the_list_of_commands_import_nothing_heavy_and_that_of_one_recording_no_numpy():
  code = f"""
import sys
from har_jax.cli import main
for name in ('adapt', 'predict'):
  assert main.main([name, '--help']) == 0
print('numpy' in sys.modules)
for name in main.COMMANDS:
  assert main.main([name, '--help']) == 0
assert main.main([]) == 0
loaded = {{name.partition('.')[0] for name in sys.modules}}
print(sorted(loaded.intersection({_HEAVY})))
"""
  done = subprocess.run([sys.executable, '-c', code], cwd=_ROOT, capture_output=True, text=True, check=True)
  lines = done.stdout.splitlines()
  assert [line for line in lines if line in ('True', 'False')] == ['False']
  assert lines[-1] == '[]'


def test_the_list_of_commands_says_what_each_does(capsys):
  assert main.main([]) == 0
  listed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith('  ')]
  assert [name for name, _ in listed] == [*main.COMMANDS]
  says = dict(listed)
  assert says['lodo'].startswith('Leave-One-Dataset-Out')
  assert says['pretrain'].startswith('Pretrain a base')
  assert len(set(says.values())) == len(main.COMMANDS)


def test_paper_runs_both_splits_and_so_has_no_flag_for_one():
  assert ['split' in main.load(name).FLAGS for name in ('lodo', 'paper')] == [True, False]


def test_the_help_and_the_page_of_export_list_every_format(capsys):
  assert main.main(['export', '--help']) == 0
  assert f'one or more of {", ".join(sorted(FORMATS))} (' in ' '.join(capsys.readouterr().out.split())
  rows = re.findall(r'(?m)^\| `(\w+)` \|', (_ROOT / 'docs/export.md').read_text())
  assert sorted(rows) == sorted(FORMATS)


def test_the_help_of_lodo_lists_every_method():
  text = command.flag_text(main.load('lodo').FLAGS['methods'])
  named = re.findall('[a-z0-9_]+(?=[,;]|$)', text.partition(' (default:')[0])
  others = [name for name in kinds.list_methods() if name not in METHODS]
  assert [name for name in named if name in {*METHODS, *others}] == [
    *(name for name in METHODS if name[0] != 'q'),
    *others,
  ]
  float_forms = [name for name in METHODS if name[0] != 'q']
  assert [name for name in METHODS if name[0] == 'q'] == [f'q{name}' for name in float_forms[2:]]


@pytest.mark.parametrize(
  ('name', 'call', 'others'),
  [
    ('predict', har_jax.recognize, ReadingOptions),
    ('check', har_jax.check, ReadingOptions),
    ('adapt', har_jax.adapt, AdaptOptions),
  ],
)
def test_a_command_has_the_options_of_its_function_and_those_of_printing_and_writing(name, call, others):
  options = {*inspect.signature(call).parameters, *others.__annotations__} - {'options', 'tell'}
  printed = {'out', 'overwrite', 'quiet', 'json', *(['suggest'] if name == 'adapt' else [])}
  assert set(main.load(name).FLAGS) - {'help', 'helpfull'} == options | printed


@pytest.mark.parametrize(
  ('name', 'defaults'),
  [
    ('prepare', {'out': 'windows'}),
    ('pretrain', {'windows': 'windows', 'four_bits': False}),
    ('lodo', {'windows': 'windows', 'lodo_batch_runs': 1, 'phase': 'all', 'jobs': '1', 'lodo_shard': '0/1'}),
    ('paper', {'table': ['all'], 'seeds': ['0', '1', '2']}),
    ('adapt', {'out': 'adapter', 'suggest': None}),
    ('federate', {'windows': 'windows', 'out': 'runs/federated', 'workers': 1, 'labels_per_activity': 10}),
    ('continual', {'windows': 'windows', 'out': 'runs/continual', 'labels_per_activity': 10}),
    ('predict', {'out': 'timeline'}),
    ('check', {'out': 'checked'}),
    ('export', {'out': 'exports', 'format': ['onnx'], 'precision': ['float32']}),
  ],
)
def test_defaults_of_flags_are_those_that_the_pages_rely_on(name, defaults):
  values = main.load(name).FLAGS
  assert {flag: values[flag].default for flag in defaults} == defaults


def test_pretraining_has_no_flag_of_adapting():
  assert not re.findall('lora|nf4|tta|label_budget', ' '.join(main.load('pretrain').FLAGS))


@pytest.mark.parametrize('name', main.COMMANDS)
def test_help_has_an_example_and_at_most_ten_flags_and_helpfull_has_all(name):
  code, short, _ = run_in_process(name, '--help')
  _, full, _ = run_in_process(name, '--helpfull')
  listed = [set(re.findall(r'^  --(?:\[no\])?(\w+): ', text, re.MULTILINE)) for text in (short, full)]
  assert (code, listed[1]) == (0, set(main.load(name).FLAGS))
  assert '(no help available)' not in full  # what absl says of an empty text
  assert listed[0] <= listed[1]
  assert len(listed[0]) <= 10
  assert f'har-jax {name} ' in short
  rest = len(listed[1] - listed[0])
  assert (f'--helpfull lists {rest} more flags.' in short) == (rest > 0)


def test_helpfull_groups_hyperparameters_by_their_part_of_the_experiment():
  _, out, _ = run_in_process('lodo', '--helpfull')
  groups = dict(re.findall(r'^(\w+):\n  --(?:\[no\])?(\w+): ', out, re.MULTILINE))
  assert groups == {
    'Other': 'sources',
    'Model': 'model_patch_size',
    'Lora': 'lora_alpha',
    'Methods': 'partial_blocks',
    'Precision': 'dtype',
    'Protocol': 'test_fraction',
    'Pretrain': 'pretrain_epochs',
    'Finetune': 'finetune_epochs',
  }


def test_words_set_the_flags_of_their_places_before_and_after_flags():
  module = toy_module()
  module.POSITIONAL = ('size',)
  assert command.run(module, ['5', '--noprogress']) == 0
  assert (module.FLAGS['size'].value, module.FLAGS['progress'].value) == (5, False)


def test_help_shows_a_default_once(capsys):
  assert command.run(toy_module(), ['--help']) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == 'Do nothing.'
  assert '  --size: how large (default: 3)' in lines
  assert '  --[no]progress: show progress bars (default: true)' in lines


def test_an_unknown_command_is_answered_with_the_known_ones(capsys):
  assert main.main(['lood']) == 1
  err = capsys.readouterr().err
  assert "'lood'" in err
  assert 'lodo' in err
