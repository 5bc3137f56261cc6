"""What commands write: one rule for folders and paths, and streams with --quiet and --json."""

import inspect
import io
import json
import os
import pathlib
import sys
import types

import made_people
import numpy as np
import pytest
import recordings
import tiny_flags
from in_process import refuse, run_in_process, succeed
from toy_command import toy_module

from har_jax import timeline
from har_jax.cli import command, main, predict, user_files
from har_jax.datasets.datasets import Dataset
from har_jax.errors import UserError
from har_jax.files import safetensors_io


@pytest.mark.parametrize('command', ['adapt', 'predict', 'export'])
def test_a_folder_with_files_is_refused_before_anything_is_read(command, tmp_path):
  out = tmp_path / 'onnx-int8'
  out.mkdir()
  (out / 'mine.txt').write_text('mine')
  target = tmp_path if command == 'export' else out
  two_folders = ('--adapter=nowhere', '--precision=float32,int8')
  given = two_folders if command == 'export' else ('--recording=nowhere.csv',)
  error = refuse(command, *given, f'--out={target}')
  assert f'{out} holds files already: give another folder, or --overwrite=True' in error
  assert (out / 'mine.txt').read_text() == 'mine'


def test_adapt_overwrites_no_file_of_someone_else(tmp_path):
  for name in ('adapter.json', 'adapter.safetensors', 'base.json', 'base.safetensors'):
    (tmp_path / name).touch()
  error = refuse('adapt', 'nowhere.csv', f'--out={tmp_path}', '--overwrite', is_silent=False)
  assert 'no recording at nowhere.csv' in error  # an adapter would be replaced
  (tmp_path / 'thesis.tex').write_text('mine')
  error = refuse('adapt', '--recording=nowhere.csv', f'--out={tmp_path}', '--overwrite')
  assert 'holds thesis.tex, which is of no adapter' in error
  assert (tmp_path / 'thesis.tex').read_text() == 'mine'


def test_people_whom_the_base_knows_are_named(tmp_path, capsys):
  for name in ('hapt', 'pdiot'):
    made_people.save_windows(tmp_path / name)
  datasets = [Dataset(tmp_path / name) for name in ('hapt', 'pdiot')]
  sources = [types.SimpleNamespace(archive=name) for name in ('ucihar', 'wisdm')]
  user_files.warn_of_known_people(types.SimpleNamespace(sources=sources), datasets)
  assert capsys.readouterr().err.startswith('warning: the base was pretrained on people of hapt, so')
  user_files.warn_of_known_people(types.SimpleNamespace(sources=[]), datasets)
  assert not capsys.readouterr().err


@pytest.mark.parametrize('command', ['predict', 'export'])
def test_a_mistyped_adapter_is_answered_with_the_nearest_folder(command, tmp_path):
  for name in ('a', 'my_adapter', 'my_answers', 'z'):
    (tmp_path / name).mkdir()
  for flag in ('adapter', 'base'):
    error = refuse(command, f'--{flag}={tmp_path}/my_adaptor', f'--out={tmp_path}/out')
    named = f'--{flag}={tmp_path}/my_adaptor: no such folder or file; did you mean {tmp_path}/my_adapter?'
    assert named in error


@pytest.mark.slow
def test_overwrite_replaces_an_adapter_and_answers(folder, adapted, tmp_path):
  where = (f'--recording={folder}/my.csv', f'--labels={folder}/labels.csv', f'--base={folder}/base')
  out = tmp_path / 'adapter'
  for rank in (4, 2):
    rest = ('--method=linear', f'--out={out}', '--overwrite')
    succeed('adapt', *where, *tiny_flags.ADAPT, f'--rank={rank}', *rest)
    assert json.loads((out / 'adapter.json').read_text())['rank'] == rank
  assert [each.name for each in tmp_path.iterdir()] == ['adapter']
  answers = (f'--recording={folder}/day.csv', f'--adapter={out}', f'--out={tmp_path}/day', '--noprogress')
  for flags in ((), ('--overwrite', '--time_zone=Europe/Berlin')):
    succeed('predict', *answers, *flags)
  assert recordings.rows(tmp_path / 'day' / 'bouts.csv')[0]['start'] == '2026-05-28T22:26:40.000+02:00'
  summary = json.loads((tmp_path / 'day' / 'summary.json').read_text())
  assert (summary['start'], summary['time_zone']) == ('2026-05-28T20:26:40+00:00', 'Europe/Berlin')
  assert '22:27' in (tmp_path / 'day' / 'timeline.svg').read_text()


def test_what_is_inferred_has_one_title_and_warnings_are_on_standard_error(capsys):
  tell = user_files.Printer()
  for kind, sentence in (('note', 'a rate'), ('warning', 'give rate_hz'), ('note', 'units')):
    tell(kind, sentence)
  printed = capsys.readouterr()
  assert printed.out == 'Inferred from the recording; flags override it:\n  a rate\n  units\n'
  assert printed.err == 'warning: give --rate_hz\n'


def test_the_score_has_a_row_for_each_label_and_a_column_for_other_predictions(capsys):
  confusion = [[5, 1, 4], [2, 7, 0], [0, 0, 0]]
  names = ['walking', 'lying', 'running']
  predict._print_score(
    types.SimpleNamespace(names=names, confusion=confusion, macro_f1=0.5, accuracy=0.75, windows=19)
  )
  _, header, _, *rows, last = capsys.readouterr().out.splitlines()
  assert header.split() == ['walking', 'lying', 'others']
  assert [row.split() for row in rows] == [['walking', '5', '1', '4'], ['lying', '2', '7', '0']]
  assert last == 'Macro-F1 0.500, accuracy 0.750, 19 windows.'


def test_a_folder_that_was_filled_meanwhile_is_left_alone(tmp_path, monkeypatch):
  recognizer = types.SimpleNamespace(plan_=None, adapter_=types.SimpleNamespace(card=None))

  def adapt(*_: object, **__: object) -> types.SimpleNamespace:
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'adapter.json').write_text('of another command')
    left_out = {timeline.OVERLAPPING: 0, 'spans shorter than a window': 1}
    return types.SimpleNamespace(left_out=left_out, recognizer=recognizer, comparison=None)

  monkeypatch.setattr(timeline, 'adapt', adapt)
  monkeypatch.setattr('har_jax.cli.adapt._print_counts', lambda adapted: None)
  code, out, err = run_in_process('adapt', 'day.csv', '--labels=labels.csv', f'--out={tmp_path}/out')
  assert (code, out.splitlines()[-1]) == (1, 'Left out: spans shorter than a window (1).')
  assert 'rocket is compiled at its first fit on a machine' in out
  assert 'holds files already: give another folder, or --overwrite=True' in err
  (path,) = (tmp_path / 'out').iterdir()
  assert path.read_text() == 'of another command'


@pytest.mark.parametrize(
  ('command', 'function'), [('predict', 'timeline.recognize'), ('check', 'timeline.quality.check')]
)
def test_answers_of_another_command_that_came_meanwhile_are_left_alone(
  command, function, tmp_path, monkeypatch
):
  def answer(*_: object, **__: object) -> types.SimpleNamespace:
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'summary.json').write_text('of another command')
    return types.SimpleNamespace(save=save)

  def save(folder: pathlib.Path, *, overwrite: bool) -> None:
    safetensors_io.write_files(folder, {'summary.json': b'replaced'}, overwrite=overwrite)

  monkeypatch.setattr(f'har_jax.{function}', answer)
  code, _, err = run_in_process(command, 'day.csv', f'--adapter={tmp_path}', f'--out={tmp_path}/out')
  assert (code, 'holds files already: give another folder' in err) == (1, True)
  assert (tmp_path / 'out' / 'summary.json').read_text() == 'of another command'


# --- streams


def _module(*, fails: bool = False) -> types.ModuleType:
  """A command that prints, warns, and returns a result or fails."""
  module = toy_module()

  def run() -> dict:
    print('a table')
    print('warning: much', file=sys.stderr)
    if fails:
      raise UserError('broken')
    bars = [os.environ.get('TQDM_DISABLE'), module.FLAGS['progress'].value]
    return {'out': pathlib.Path('a'), 'score': np.float32(0.5), 'bars': bars}

  module.main = run
  return module


@pytest.mark.parametrize(
  ('arguments', 'out', 'err'),
  [
    ([], 'a table\n', 'warning: much\n'),
    (['--quiet'], '', 'warning: much\n'),
    (['--json'], {'out': 'a', 'score': 0.5, 'bars': [None, True]}, 'a table\nwarning: much\n'),
    (['--quiet', '--json'], {'out': 'a', 'score': 0.5, 'bars': ['1', False]}, 'warning: much\n'),
  ],
)
def test_results_warnings_and_the_object_go_to_their_streams(arguments, out, err, capsys):
  assert command.run(_module(), arguments) == 0
  printed = capsys.readouterr()
  assert (json.loads(printed.out) if isinstance(out, dict) else printed.out) == out
  assert printed.err == err
  assert 'TQDM_DISABLE' not in os.environ


def test_a_letter_that_the_terminal_lacks_is_replaced(monkeypatch):
  printed = io.BytesIO()
  monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(printed, 'ascii', write_through=True))
  module = _module()
  module.main = lambda: print('±')
  assert command.run(module, []) == 0
  assert printed.getvalue() == b'?\n'


def test_an_error_leaves_the_standard_output_empty(capsys):
  assert command.run(_module(fails=True), ['--json']) == 1
  printed = capsys.readouterr()
  assert printed.out == ''
  assert printed.err.splitlines()[-1] == 'error: broken'


@pytest.mark.parametrize('name', main.COMMANDS)
def test_every_command_has_quiet_and_those_with_a_result_have_json(name):
  module = main.load(name)
  has_result = inspect.signature(module.main).return_annotation is not None
  assert ('quiet' in module.FLAGS, 'json' in module.FLAGS) == (True, has_result)
