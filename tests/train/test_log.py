"""The log: JSON lines, TensorBoard events and the progress bar."""

import functools
import itertools
import json
import re
import sys
import types

import pytest
import tqdm

from har_jax.storage import Place
from har_jax.train.log import Log


def _log(
  folder: Place, *, steps: int = 10, resumed: int = 0, progress: bool = False, silent: bool = False
) -> Log:
  return Log(folder, title='a run', steps=steps, resumed=resumed, batch=4, progress=progress, silent=silent)


def _lines(folder: Place) -> list[dict]:
  return [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]


def test_steps_and_validations_are_json_lines(tmp_path, monkeypatch):
  clock = itertools.count(10.0, 2.5)
  monkeypatch.setattr('har_jax.train.log.time', types.SimpleNamespace(monotonic=lambda: next(clock)))
  log = _log(tmp_path)
  log.step(1, 0.5)
  log.validation(1, {'score': 0.1, 'macro_f1': 0.1})
  log.close()
  first, second = _lines(tmp_path)
  assert (first['step'], first['loss']) == (1, 0.5)
  assert (second['step'], second['validation_macro_f1']) == (1, 0.1)
  assert 'validation_score' not in second
  assert (first['seconds'], second['seconds']) == (2.5, 5.0)


def test_a_long_run_logs_about_a_hundred_losses(tmp_path):
  log = _log(tmp_path, steps=1050)
  for step in range(1, 1051):
    log.step(step, 1.0)
  log.close()
  assert 90 <= len(_lines(tmp_path)) <= 110


def test_a_resumed_run_drops_later_damaged_and_incomplete_lines(tmp_path):
  log = _log(tmp_path)
  for step in range(1, 7):
    log.step(step, float(step))
  log.close()
  with (tmp_path / 'log.jsonl').open('ab') as file:
    file.write(b'{"step": [3]}\n\xff\n' + b'[' * 100_000 + b'\n{"step": 3, "los')
  log = _log(tmp_path, resumed=4)
  log.step(5, 50.0)
  log.close()
  assert [(line['step'], line['loss']) for line in _lines(tmp_path)] == [
    (1, 1),
    (2, 2),
    (3, 3),
    (4, 4),
    (5, 50),
  ]


def test_in_a_bucket_the_log_is_whole_after_each_validation_and_goes_on(bucket):
  log = _log(bucket)
  log.step(1, 0.5)
  log.validation(1, {'macro_f1': 0.1})
  assert [line['step'] for line in _lines(bucket)] == [1, 1]
  log.step(2, 0.4)
  log.close()
  for resumed, loss in ((1, 0.3), (2, 0.2)):
    log = _log(bucket, resumed=resumed)
    log.step(resumed + 1, loss)
    log.close()
  assert [line.get('loss') for line in _lines(bucket)] == [0.5, None, 0.3, 0.2]


def test_tensorboard_events_are_written_and_without_tensorboardx_the_lines_alone(tmp_path, monkeypatch):
  for folder in (tmp_path / 'with', tmp_path / 'without'):
    folder.mkdir()
    log = _log(folder)
    log.step(1, 0.5)
    log.validation(1, {'macro_f1': 0.5})
    log.close()
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
  (events,) = (tmp_path / 'with').glob('events.out.tfevents.*')
  assert b'loss' in events.read_bytes()
  assert [path.name for path in (tmp_path / 'without').iterdir()] == ['log.jsonl']


def test_the_progress_bar_says_compiling_and_leaves_it_out_of_the_rate(tmp_path, capsys, monkeypatch):
  seconds = [1000.0]
  monkeypatch.setattr('tqdm.std.time', lambda: seconds[0])
  log = _log(tmp_path, steps=100, progress=True)
  assert 'compiling' in capsys.readouterr().err
  seconds[0] += 600  # it compiles
  for step in range(1, 51):
    seconds[0] += 1
    log.step(step, 0.25)
  log.close()
  last = capsys.readouterr().err.split('\r')[-1]
  assert 'compiling' not in last
  assert '[00:49<' in last or '[00:50<' in last


def test_a_silent_log_writes_and_shows_nothing(tmp_path, bucket, capsys):
  for folder in (tmp_path, bucket):
    log = _log(folder, progress=True, silent=True)
    log.step(1, 0.5)
    log.validation(1, {'macro_f1': 0.1})
    log.close()
    assert not (folder / 'log.jsonl').exists()
  assert not list(tmp_path.iterdir())
  assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('progress', [True, False])
def test_a_bar_tells_what_is_trained_its_step_its_loss_and_its_speed_if_wanted(tmp_path, capsys, progress):
  log = _log(tmp_path, progress=progress)
  log.step(1, 0.5)
  log.step(2, 0.25)
  log.close()
  shown = capsys.readouterr().err
  assert ('compiling' in shown) == progress
  line = r'a run:  20%\|.*\|, step 2/10, loss 0.250, +[\d.?]+k?w/s \[\d\d:\d\d<\S+\]$'
  assert bool(re.search(line, shown.split('\r')[-1].strip())) == progress


def test_a_narrow_terminal_shortens_the_title_and_shows_step_loss_and_speed(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr('tqdm.tqdm', functools.partial(tqdm.tqdm, ncols=80))
  title = 'sample_motionsense: lora, subject split, seed 0'
  log = Log(tmp_path, title=title, steps=48, resumed=0, batch=4, progress=True, silent=False)
  for step in range(1, 49):
    log.step(step, 0.25)
  log.close()
  line = capsys.readouterr().err.split('\r')[-1].strip()
  assert line.startswith('sample_motionsense: lora…: ')
  assert ', step 48/48, loss 0.250, ' in line
  assert 'w/s [' in line
